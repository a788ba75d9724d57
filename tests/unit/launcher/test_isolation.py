"""What a device cannot enforce is said; what requires it does not run there, and what ran before runs on."""

from __future__ import annotations

import pytest

from edge_agent.core.services import isolation
from protocol import documents

ALL = ("memory", "cpu", "pids", "groups", "rlimits", "read_only", "private_tmp", "no_network", "paths")


def process(*, required: bool = False) -> documents.Process:
    return documents.Process(
        command=["x"],
        limits=documents.Limits(memory_bytes=1, cpu=0.5, processes=2),
        isolation=documents.Isolation(
            required=required,
            groups=["video"],
            read_only=["/etc"],
            private_tmp=True,
            no_network=True,
            reads=["/srv"],
            writes=["/srv/a"],
            rlimits={"core": 0},
        ),
    )


def test_a_device_that_can_do_all_of_it_has_nothing_to_say() -> None:
    assert isolation.lacks(process(), ALL) == isolation.told(process(), ALL) == ""
    assert isolation.refusal(process(required=True), ALL) == ""
    assert isolation.enforceable(process(), ALL) == process()


@pytest.mark.parametrize("missing", ALL)
def test_each_thing_that_is_missing_is_told_and_not_asked_for(missing: str) -> None:
    able = [name for name in ALL if name != missing]

    assert isolation.told(process(), able).startswith("this device cannot enforce ")
    assert isolation.refusal(process(), able) == ""
    assert isolation.refusal(process(required=True), able).startswith("refused: its isolation is required")
    assert isolation.lacks(isolation.enforceable(process(), able), able) in ("", isolation.lacks(process(), able))


def test_what_declares_nothing_lacks_nothing() -> None:
    plain = documents.Process(command=["x"])

    assert isolation.told(plain, ()) == ""
    assert isolation.enforceable(plain, ()) is plain
