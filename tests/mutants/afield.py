"""Mutants of what happens out at the devices: sticks, contacts, what people decide there, other versions."""

from __future__ import annotations

from tests.mutants.kinds import one

COURIER = "protocol/link/below/courier.py"
CONTACTS = "protocol/link/flow/contacts.py"
WAVES = "hub/core/upgrade/waves.py"
SLOTS = "protocol/upgrade/slots.py"
HOLD = "edge_agent/core/person/hold.py"
STICK_TESTS = ["tests/unit/link/test_bundles.py"]
METERED_TESTS = ["tests/unit/agent/test_metered.py"]
WAVE_TESTS = ["tests/unit/hub/test_waves.py", "tests/unit/hub/test_upgrades.py"]
SLOT_TESTS = ["tests/unit/agent/test_slots.py"]
HOLD_TESTS = ["tests/unit/agent/test_hold.py"]

AFIELD = [
    one(
        "stick-of-yesterday",
        "A12",
        "what an older bundle says of a device takes the place of what a newer one said",
        COURIER,
        "        if mark <= record.carried or hello.session < record.session:\n",
        "        if False:\n",
        tests=STICK_TESTS,
    ),
    one(
        "stick-ends-an-epoch",
        "A9",
        "a late bundle brings a former epoch back",
        COURIER,
        "    return given.epoch != held.epoch and all(one.epoch != given.epoch for one in held.former)\n",
        "    return given.epoch != held.epoch\n",
        tests=STICK_TESTS,
    ),
    one(
        "half-a-stick",
        "A11",
        "a bundle counts before all of its documents are there",
        "protocol/link/child_desired.py",
        "        if message.base or lacking:\n",
        "        if False:\n",
        sim=False,
        tests=STICK_TESTS,
    ),
    one(
        "stick-from-a-backup",
        "A17",
        "a hub that lives from a backup asks for more when a bundle is exported",
        "hub/core/down/courier.py",
        "        core.parent.couriers.allow(node.name)  # before anything more is asked of it (A17)\n",
        "",
        tests=["tests/unit/hub/test_courier.py"],
    ),
    one(
        "hold-forgotten",
        "B",
        "updates come though somebody at the device keeps them away",
        HOLD,
        "        if self.kept is None:\n            return self._wanted\n        passes",
        "        if True:\n            return self._wanted\n        passes",
        tests=HOLD_TESTS,
    ),
    one(
        "hold-over-at-once",
        "B",
        "a hold ends before its time",
        HOLD,
        "if held is not None and held.until_ms and held.until_ms <= context.ms(now):",
        "if held is not None and held.until_ms:",
        tests=HOLD_TESTS,
    ),
    one(
        "own-overruled",
        "B",
        "what the hub asks takes the place of what was declared at the device",
        "edge_agent/core/person/own.py",
        "        return theirs | {key: bytes(one.document) for key, one in self._all.items()}\n",
        "        return {key: bytes(one.document) for key, one in self._all.items()} | theirs\n",
        tests=["tests/unit/agent/test_own.py"],
    ),
    one(
        "metered-chatter",
        "B",
        "a metered device says at once what could wait for its next contact",
        CONTACTS,
        "        return not self.every_s or mono < self._shuts_at\n",
        "        return True\n",
        tests=METERED_TESTS,
    ),
    one(
        "metered-deaf",
        "B",
        "a metered device lets whoever asks it wait for its next contact",
        CONTACTS,
        "        self._shuts_at = mono + limits.CONTACT_OPEN_S\n",
        "        pass\n",
        tests=METERED_TESTS,
    ),
    one(
        "metered-away",
        "B",
        "a metered device counts as away when its network forgets it between two contacts",
        "protocol/link/parent.py",
        "        child.quiet = may_be_quiet and child.record.contact_s > 0\n",
        "        child.quiet = False\n",
        tests=["tests/unit/link"],
    ),
    one(
        "held-version",
        "B",
        "another version of the agent comes though somebody at the device keeps updates away",
        HOLD,
        '_STAYS = ("assignment/", "fence/", "workflow/", "upgrade/")',
        '_STAYS = ("assignment/", "fence/", "workflow/")',
        tests=HOLD_TESTS,
    ),
    one(
        "waves-at-once",
        "B",
        "the next wave begins before the one before is well",
        WAVES,
        "    return PENDING not in found.values() and RUNNING in found.values()\n",
        "    return True\n",
        tests=WAVE_TESTS,
    ),
    one(
        "waves-without-a-stop",
        "B",
        "an Upgrade goes on though too many went back",
        WAVES,
        "    if former.stopped or len(bad) > stop_after:\n",
        "    if False:\n",
        tests=WAVE_TESTS,
    ),
    one(
        "never-back",
        "B",
        "who gives up a version goes on with it",
        SLOTS,
        '    if seen.current != seen.good:\n        return words.Switch("current", seen.good)\n    if seen.waited_s',
        "    if seen.waited_s",
        tests=SLOT_TESTS,
    ),
    one(
        "silence-is-well",
        "B",
        "a version that says nothing in its time stays",
        SLOTS,
        '        return _gone_back(kept, f"it did not say in {kept.confirm_s:g} s that all is well")\n',
        "        return words.Keep(msgspec.structs.replace(kept, stage=words.Stage.PROVEN))\n",
        tests=SLOT_TESTS,
    ),
]
