"""The history of real daemons: their traces (protocol.aio.trace), the producers' ledgers, and what stands on the disks.

All processes of one machine share CLOCK_MONOTONIC, so that traces merge by it. A life whose trace ends without `died`
was killed. Whatever its end, it may have committed one transaction that nobody noted (tests.checkers.history). A
second data directory of a node is a clone, and another machine: NODE~2.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import heapq
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from hub.core.up import certificate
from protocol import effects, messages
from protocol.aio import life
from protocol.aio.sqlite import of
from protocol.effects import Now
from protocol.link import table
from tests.checkers import history
from tests.checkers.history import AnyFact, Row

_decode_message: Callable[[bytes | msgspec.Raw], messages.AnyMessage] = msgspec.json.Decoder(messages.AnyMessage).decode
_SPOKEN: dict[str, tuple[ModuleType, ...]] = {"agent": (agent, table), "hub": (hub, certificate, table)}
"""Where a core's inputs and actions stand, by its role."""
_OPS: dict[str, type[effects.Store]] = {
    one.__name__: one
    for one in (
        effects.Rows,
        effects.Acked,
        effects.Trim,
        effects.Gap,
        effects.NewEpoch,
        effects.Put,
        effects.Delete,
        effects.Received,
        effects.SetAside,
    )
}


class _Line(msgspec.Struct, kw_only=True, rename={"what": "is"}):
    """One line of a trace, as protocol.aio.trace says."""

    what: str
    at: float
    node: str = ""
    role: str = ""
    store: str = ""
    inode: int = 0
    kind: str = ""
    how: str = ""
    peer: str = ""
    now: tuple[float, float] = (0.0, 0.0)
    input: msgspec.Raw = msgspec.Raw(b"null")
    action: msgspec.Raw = msgspec.Raw(b"null")
    message: msgspec.Raw = msgspec.Raw(b"null")
    ops: list[tuple[str, msgspec.Raw]] = []


class _Local(msgspec.Struct):
    """An agent.Local as it is written: its command names its own kind."""

    request: int
    user: str
    uid: int
    command: agent.AnyLocalCommand


_LINE = msgspec.json.Decoder(_Line)


def clock() -> float:
    """Return the moment as traces have it."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Machines:
    """Which data directory is which machine."""

    def __init__(self) -> None:
        self.stores: dict[str, Path] = {}
        """Machine -> its database."""
        self.roles: dict[str, str] = {}

    def name(self, node: str, role: str, store: str) -> str:
        """Return the machine of `node` whose database is `store`."""
        number = 1
        while True:
            name = node if number == 1 else f"{node}~{number}"
            if self.stores.setdefault(name, Path(store)) == Path(store):
                self.roles[name] = role
                return name
            number += 1


def read(folder: Path, machines: Machines) -> list[AnyFact]:
    """Return the facts of all traces in `folder`, in the order in which they happened."""
    begun = sorted(folder.glob("*.trace"), key=_first_at)
    return list(heapq.merge(*(list(_lives(path, machines)) for path in begun), key=attrgetter("at")))


def _first_at(path: Path) -> float:
    with path.open("rb") as file:
        line = file.readline()
    return _LINE.decode(line).at if line.endswith(b"\n") else 0.0


def _lives(path: Path, machines: Machines) -> Iterator[AnyFact]:
    """Return the facts of one process, of one life or of several (a store that failed and healed)."""
    machine, role, at, alive = "", "", 0.0, False
    for raw in path.read_bytes().split(b"\n")[:-1]:
        line = _LINE.decode(raw)
        if line.what == "born":
            machine, role, alive = machines.name(line.node, line.role, line.store), line.role, True
            yield history.Born(at=line.at, node=machine, role=role, disk=f"{line.store}#{line.inode}")
        elif line.what == "died":
            alive = False
            yield history.Died(at=line.at, node=machine, how=line.how)
        else:
            yield _fact(line, machine, role)
        at = line.at
    if alive:
        yield history.Died(at=at, node=machine, how="kill")


def _fact(line: _Line, machine: str, role: str) -> AnyFact:
    match line.what:
        case "took":
            taken = _input(role, line)
            return history.Took(at=line.at, node=machine, input=taken, now=Now(*line.now))
        case "stored":
            ops: list[effects.Store] = [msgspec.json.decode(raw, type=_OPS[name]) for name, raw in line.ops]
            return history.Stored(at=line.at, node=machine, ops=ops)
        case "sent":
            return history.Sent(at=line.at, node=machine, peer=line.peer, message=_decode_message(line.message))
        case "acted":
            action: effects.Action = msgspec.json.decode(line.action, type=_kind(role, line.kind))
            return history.Acted(at=line.at, node=machine, action=action)
        case _:
            raise AssertionError(line)


def _input(role: str, line: _Line) -> object:
    if role == "agent" and line.kind == "Local":
        local = msgspec.json.decode(line.input, type=_Local)
        return agent.Local(request=local.request, user=local.user, uid=local.uid, command=local.command)
    return msgspec.json.decode(line.input, type=_kind(role, line.kind))


def _kind(role: str, name: str) -> type[Any]:
    return next(getattr(module, name) for module in _SPOKEN[role] if hasattr(module, name))


# ------------------------------------------------------------------------------------------------ ledgers


def produced(ledger: Path, began: float, ended: float) -> Iterator[AnyFact]:
    """Return what the producers of tests.support.producer wrote down: tried at `began`, kept at `ended`.

    Their ledgers say what, not when: a thing is tried before all, and what was kept is judged in the end.
    """
    for what, at in (("tried", began), ("kept", ended)):
        for path in sorted(ledger.glob(f"*.{what}")):
            node = path.name.removesuffix(f".{what}")
            for number in path.read_text().split():
                item = f"{node}/{number}"
                if what == "tried":
                    yield history.Tried(at=at, node=node, stream="state", item=item)
                else:
                    yield history.Kept(at=at, node=node, item=item)


def ran(
    ledger: Path, facts: Iterable[AnyFact], ended: float | None, none_of: Iterable[tuple[str, str]]
) -> list[AnyFact]:
    """Return which processes the device itself saw: each producer wrote when it began, and whether it was alone.

    It holds a lock as long as it lives, so that one that begins alone proves that the one before is gone. At `ended`
    none ran any more of the (node, service) in `none_of`.
    """
    over = set(none_of)
    launched = (fact.action for fact in facts if isinstance(fact, history.Acted))
    named = {_tag(one.instance): one.instance for one in launched if isinstance(one, agent.Launch)}
    found: list[AnyFact] = []
    for path in sorted(ledger.glob("*.ran")):
        node, before = path.name.removesuffix(".ran"), dict[str, str]()
        for line in path.read_text().splitlines():
            tag, at_text, service, alone = line.split()
            at, instance = float(at_text), named.get(tag, f"s-{service}-{tag}")
            if alone == "alone" and service in before:
                found.append(history.Gone(at=at, node=node, instance=before[service]))
            before[service] = instance
            found.append(history.Ran(at=at, node=node, instance=instance, proof=service))
        if ended is not None:
            last = [instance for service, instance in before.items() if (node, service) in over]
            found += [history.Gone(at=ended, node=node, instance=instance) for instance in last]
    return sorted(found, key=attrgetter("at"))


def free(ledger: Path) -> list[tuple[str, str]]:
    """Return the (node, service) of whose producers none lives now, by their locks."""
    found: list[tuple[str, str]] = []
    for path in sorted(ledger.glob("*.lock")):
        with path.open("rb") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            node, service, _ = path.name.split(".")
            found.append((node, service))
    return found


def _tag(instance: str) -> str:
    """Return how the shell names the socket of `instance`."""
    return hashlib.sha256(instance.encode()).hexdigest()[:12]


# ------------------------------------------------------------------------------------------------ disks


def disks(machines: Machines, at: float) -> Iterator[history.Disk]:
    """Return what stands on the disk of every machine whose daemon has ended. Read-only."""
    for machine, store in machines.stores.items():
        parts = [path for path in (store, store.with_name("telemetry.db")) if path.exists()]
        own: list[Row] = []
        heads: dict[str, tuple[str, int, bytes, int]] = {}
        spaces: dict[str, dict[str, bytes]] = {}
        entries: list[Row] = []
        for path in parts:
            db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                _read_own(db, history.identity(machine), own, heads)
                for space, key, value in db.execute("SELECT space, key, value FROM state ORDER BY space, key"):
                    spaces.setdefault(space, {})[key] = value
                entries += _entries(db)
            finally:
                db.close()
        yield history.Disk(at=at, node=machine, own=own, heads=heads, spaces=spaces, entries=entries)


def _read_own(db: sqlite3.Connection, node: str, own: list[Row], heads: dict[str, tuple[str, int, bytes, int]]) -> None:
    streams: Sequence[tuple[str]] = db.execute("SELECT name FROM stream ORDER BY name").fetchall()
    for (stream,) in streams:
        head = life.read_head(db, stream)
        heads[stream] = (head.epoch, head.last, head.hash, head.acked)
        found = db.execute(of(stream, "SELECT seq, raw, hash FROM own_STREAM ORDER BY seq"))
        own.extend(Row(node, head.epoch, stream, *row) for row in found)


def _entries(db: sqlite3.Connection) -> list[Row]:
    query = """
        SELECT c.node, c.epoch, c.stream, e.seq, e.raw, e.hash FROM entry e JOIN channel c ON c.id = e.channel
        ORDER BY e.id
    """
    return [Row(*row) for row in db.execute(query)]
