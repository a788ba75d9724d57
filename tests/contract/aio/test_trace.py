"""What a driver writes down of a life is what happened, in that order, and reads back as the same structs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from pathlib import Path

import pytest

from edge_agent.core import inputs
from hub.core import inputs as hub
from protocol import effects, messages
from protocol.aio.trace import file as trace
from protocol.effects import Now
from protocol.errors import Refused
from tests.checkers import history, real
from tests.contract.aio.parts import Add, Begin, Send, Stage, opened

NOW = Now(1.5, 2.5)


def a_trace(folder: Path, monkeypatch: pytest.MonkeyPatch, role: str = "agent") -> trace.TraceFile:
    """A trace of `oslo`, whose store is there."""
    (folder / "journal.db").touch()
    monkeypatch.setenv(trace.VARIABLE, str(folder))
    made = trace.begin(role, "oslo", folder / "journal.db")
    assert made is not None
    return made


def test_without_the_variable_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trace.VARIABLE, raising=False)
    assert trace.begin("agent", "oslo", tmp_path / "journal.db") is None


def test_nothing_that_lies_there_already_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 7)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    place = tmp_path / f"oslo.{os.getpid()}.7.trace"
    place.symlink_to(victim)
    with pytest.raises(FileExistsError):
        a_trace(tmp_path, monkeypatch)
    assert victim.read_text() == "mine"
    place.unlink()
    place.touch(0o666)
    with pytest.raises(FileExistsError):
        a_trace(tmp_path, monkeypatch)
    place.unlink()
    a_trace(tmp_path, monkeypatch)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in (0o777, 0o1777, 0o770):
        tmp_path.chmod(mode)
        with pytest.raises(Refused, match="may be written by others"):
            a_trace(tmp_path, monkeypatch)


def test_what_is_written_reads_back_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_trace(tmp_path, monkeypatch)
    taken = inputs.Local(request=1, user="me", uid=7, command=inputs.LocalStop(service="eye"))
    ops: list[effects.Store] = [effects.Rows("state", "e", [(1, b"\xff[1]", b"\x00")]), effects.Put("a", "b", b"c")]
    message = messages.Bye(session=1, nonce="n", reason="stopped")
    made.begun()
    made.took(taken, NOW)
    made.stored(ops)
    made.sent("cloud", message)
    made.acted(inputs.Stop(instance="s-eye-1", grace_s=1.0))
    made.ended("stop")
    born, *facts = real.read(tmp_path, real.Machines())
    assert isinstance(born, history.Born)
    assert (born.node, born.role) == ("oslo", "agent")
    at = [fact.at for fact in facts]
    assert facts == [
        history.Took(at=at[0], node="oslo", input=taken, now=NOW),
        history.Stored(at=at[1], node="oslo", ops=ops),
        history.Sent(at=at[2], node="oslo", peer="cloud", message=message),
        history.Acted(at=at[3], node="oslo", action=inputs.Stop(instance="s-eye-1", grace_s=1.0)),
        history.Died(at=at[4], node="oslo", how="stop"),
    ]
    assert sorted(at) == at


def test_a_request_of_an_operator_reads_back_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_trace(tmp_path, monkeypatch, "hub")
    asked = hub.Request(request=1, who="me", op=hub.DeleteResource(kind="service", name="eye"))
    made.begun()
    made.took(asked, NOW)
    took = real.read(tmp_path, real.Machines())[1]
    assert isinstance(took, history.Took)
    assert took.input == asked


def test_a_life_that_does_not_say_how_it_ended_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = a_trace(tmp_path, monkeypatch)
    made.begun()
    made.took(inputs.Tick(), NOW)
    with next(tmp_path.glob("*.trace")).open("ab") as torn:
        torn.write(b'{"is":"sto')
    died = real.read(tmp_path, real.Machines())[-1]
    assert isinstance(died, history.Died)
    assert died.how == "kill"


def test_a_second_folder_of_a_node_is_a_clone() -> None:
    machines = real.Machines()
    assert machines.name("oslo", "agent", "/one") == "oslo"
    assert machines.name("oslo", "agent", "/two") == "oslo~2"
    assert machines.name("oslo", "agent", "/one") == "oslo"


async def test_a_driver_tells_each_thing_when_it_is_true(tmp_path: Path) -> None:
    told: list[str] = []

    class Told:
        """Keeps the names of what it is told."""

        def begun(self) -> None:
            told.append("begun")

        def took(self, event: object, now: Now) -> None:
            told.append(f"took {type(event).__name__}")

        def stored(self, ops: object) -> None:
            told.append("stored")

        def sent(self, peer: str, message: object) -> None:
            told.append(f"sent {type(message).__name__}")

        def acted(self, action: object) -> None:
            told.append("acted")

        def ended(self, how: str) -> None:
            told.append(f"ended {how}")

    stage = Stage(await opened(tmp_path), trace=Told())
    running = asyncio.create_task(stage.driver.run(Begin))
    stage.driver.put(Add(text=b"one"))
    stage.driver.put(Send(upto=1))
    await stage.driver.settled()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await stage.journal.close()
    assert told[:2] == ["begun", "took Begin"]
    assert told[2:4] == ["took Add", "took Send"]
    assert told[4] == "stored"
    assert "sent Entries" in told[5:]
    assert told[-1] == "ended stop"
