"""Mutants of what happens out at the devices: sticks, updates that are kept away, what is declared there."""

from __future__ import annotations

from tests.mutants.kinds import one

COURIER = "protocol/link/below/courier.py"
HOLD = "edge_agent/core/person/hold.py"
STICK_TESTS = ["tests/unit/link/test_bundles.py"]
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
]
