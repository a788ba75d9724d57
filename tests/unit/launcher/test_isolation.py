"""What a device cannot enforce is said; what requires it does not run there, and what ran before runs on."""

from __future__ import annotations

import pytest

from edge_agent.core import isolation
from protocol import documents

ALL = isolation.Able(names=frozenset(isolation.WORDS))


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


@pytest.mark.parametrize("missing", isolation.WORDS)
def test_each_thing_that_is_missing_is_told_and_not_asked_for(missing: str) -> None:
    able = isolation.Able(names=ALL.names - {missing})

    assert isolation.told(process(), able).startswith("this device cannot enforce ")
    assert isolation.refusal(process(), able) == ""
    assert isolation.refusal(process(required=True), able).startswith("refused: its isolation is required")
    assert isolation.lacks(isolation.enforceable(process(), able), able) in ("", isolation.lacks(process(), able))


def test_what_declares_nothing_lacks_nothing() -> None:
    plain = documents.Process(command=["x"])

    assert isolation.told(plain, isolation.Able()) == ""
    assert isolation.enforceable(plain, isolation.Able()) is plain


def test_why_is_said_once_of_all_that_it_is_the_reason_for() -> None:
    old, groups = "kernel 5.10 has none", "no control groups"
    why = {"read_only": old, "paths": old, "memory": groups}
    able = isolation.Able(names=ALL.names - why.keys(), why=why)

    assert isolation.lacks(process(), able) == (
        f"a bound of its memory ({groups}), paths that it cannot write, the paths that it may touch ({old})"
    )
    assert isolation.summary(able) == f"all but memory ({groups}), read_only, paths ({old})"
    assert isolation.summary(isolation.Able(names=ALL.names - {"no_network", "pids"})) == (
        "all but processes, network: none"
    )


def test_all_and_nothing_are_said_as_such() -> None:
    assert isolation.summary(ALL) == "all of it"
    assert isolation.summary(isolation.nobody("no launcher")) == "nothing of it (no launcher)"


def test_while_nobody_knows_nothing_is_said_of_what_cannot_be_enforced() -> None:
    able = isolation.Able(waits="nobody answers")

    assert isolation.lacks(process(), able) == isolation.refusal(process(required=True), able) == ""
    assert isolation.summary(able) == "what is not known yet"
