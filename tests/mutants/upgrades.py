"""Mutants of another version that takes the place of one: what is counted, believed, carried, and left as it is."""

from __future__ import annotations

from tests.mutants.kinds import one

SLOTS = "protocol/upgrade/slots.py"
SLOT_TESTS = ["tests/unit/agent/test_slots.py"]
PACKAGE_TESTS = ["tests/contract/agent/test_upgrade_packages.py"]
TRIAL = "hub/core/upgrade/trial.py"
TRIAL_TESTS = ["tests/unit/hub/test_trial.py"]

UPGRADES = [
    one(
        "boot-uncounted",
        "B",
        "a version that takes the power away as soon as it starts is tried for ever",
        SLOTS,
        "    if kept.stage is words.Stage.TRIAL and not seen.is_begun:\n        counted",
        "    if False:\n        counted",
        sim=False,
        tests=SLOT_TESTS,
    ),
    one(
        "boot-counted-twice",
        "B",
        "one power cut is two trials",
        SLOTS,
        "if kept.is_counted else _count(kept)",
        "if False else _count(kept)",
        sim=False,
        tests=SLOT_TESTS,
    ),
    one(
        "failed-started-again",
        "B",
        "a version that was tried too often starts once more with the machine",
        SLOTS,
        "    if kept.stage is words.Stage.FAILED and seen.current != seen.good:\n",
        "    if False:\n",
        sim=False,
        tests=SLOT_TESTS,
    ),
    one(
        "given-to-others",
        "C17",
        "a device installs what the root signed for another one",
        "protocol/aio/upgrade/wish.py",
        "    if said.only and (its := _node(at)) not in said.only:\n",
        "    if (its := _node(at)) is None:\n",
        sim=False,
        tests=PACKAGE_TESTS,
    ),
    one(
        "any-package-fits",
        "B",
        "a device takes the first package of an Upgrade",
        "protocol/documents.py",
        "        return next((one for one in self.packages if (one.release, one.arch) == (release, arch)), None)\n",
        "        return next(iter(self.packages), None)\n",
        sim=False,
        tests=["tests/unit/agent/test_upgrade.py"],
    ),
    one(
        "all-packages-on-a-stick",
        "B",
        "a bundle carries the packages of other machines",
        "hub/core/down/courier.py",
        "            if isinstance(document, documents.Upgrade):\n",
        "            if False:\n",
        sim=False,
        tests=["tests/unit/hub/test_upgrades.py"],
    ),
    one(
        "newer-store-opened",
        "A6",
        "a store that needs a newer version is written by an older one",
        "protocol/aio/sqlite.py",
        "    if oldest > SCHEMA_VERSION:\n",
        "    if False:\n",
        sim=False,
        tests=["tests/contract/aio/test_versions.py"],
    ),
    one(
        "columns-by-place",
        "A6",
        "a store of the next version cannot be written",
        "protocol/aio/life.py",
        "INTO stream (name, epoch, last, hash, acked, former, sum) VALUES",
        "INTO stream VALUES",
        sim=False,
        tests=["tests/contract/aio/test_versions.py"],
    ),
    one(
        "deaf-hub-kept",
        "B",
        "a version of a hub stays to which no node comes back",
        TRIAL,
        "    if now.online and not now.back:\n",
        "    if False:\n",
        sim=False,
        tests=TRIAL_TESTS,
    ),
    one(
        "hello-is-back",
        "B",
        "a hub on trial takes who said Hello for one that it has answered",
        TRIAL,
        "    has_said = seen is not None and seen.status_ms != said_ms\n",
        "    has_said = True\n",
        sim=False,
        tests=TRIAL_TESTS,
    ),
    one(
        "hub-package-changed",
        "C13",
        "a package is put in place that root did not ask for",
        "hub/shell/upgrade/asked.py",
        '                if hashlib.file_digest(file, "sha256").hexdigest() != said.sha256:\n',
        "                if False:\n",
        sim=False,
        tests=["tests/contract/upgrade/test_root.py"],
    ),
]
