"""What is known of the world at a fact, from the facts before it: every machine, and what it has committed.

Checkers read it, and never keep a second copy of it. It is brought up to date op by op, after the checkers have seen
the op: they judge what happens against what was.

What is not known is not guessed. A disk that came from elsewhere (restored, cloned, damaged) is unknown until its
machine commits something; and at its death, an orderly one too, a real daemon may have committed one transaction that
nobody noted (tests.checkers.history), unless the history is `exact`, as the simulator's are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from edge_agent.core.upward import home
from hub.core import inputs
from protocol import effects, limits
from protocol.link import child, cursor, parent_entries
from protocol.link.relay import records
from protocol.messages import CHAINED, RELAYS
from tests.checkers import history
from tests.checkers.items import item_of

DISK_FAULTS = frozenset({"restore", "clone", "corrupt", "lost", "torn", "poison"})
"""Kinds of Fault after which the node's disk is not what its commits made of it."""

_decode_home = msgspec.json.Decoder(home.Kept).decode
_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_origin = msgspec.json.Decoder(records.Record).decode


@dataclass(slots=True)
class Own:
    """One own stream of a machine. `sure`: the next append is at `last` + 1; else `last` is the least it can be."""

    epoch: str = ""
    last: int = 0
    hash: bytes = b""
    floor: int = 0
    """The highest seq whose row went, or is a GAP row."""
    sure: bool = True
    placed: bool = False
    """Something of it was seen: epoch and hash are meant."""


@dataclass(slots=True)
class Machine:
    """One place where a daemon lives; a clone is another machine of the same node."""

    name: str
    role: str = ""
    disk: str = ""
    alive: bool = False
    life: int = 0
    sure: bool = True
    """All that is on its disk was noted."""
    foreign: bool = False
    """Its disk came from elsewhere, at least once."""
    doubtful: bool = False
    """A fault has touched its disk since it was last born."""
    born_at: float = 0.0
    streams: dict[str, Own] = field(default_factory=dict[str, Own])
    spaces: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    learned: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    cursors: dict[tuple[str, str], parent_entries.Record] = field(
        default_factory=dict[tuple[str, str], parent_entries.Record]
    )
    """A hub's: (child, stream) -> its cursor, as committed."""
    origins: dict[tuple[str, str, str], records.Record] = field(
        default_factory=dict[tuple[str, str, str], records.Record]
    )
    """A hub's: (node, epoch, stream) of those below its child hubs -> what it holds of them, as committed."""
    running: dict[str, str] = field(default_factory=dict[str, str])
    """Its processes, as the machine itself knows them: instance -> proof."""

    @property
    def node(self) -> str:
        """The node's id."""
        return history.identity(self.name)

    def own(self, stream: str) -> Own:
        """Return what is known of one of its streams."""
        if stream not in self.streams:
            self.streams[stream] = Own(sure=self.sure)
        return self.streams[stream]

    def is_sure(self, space: str, key: str) -> bool:
        """Tell whether `get` says what is on the disk."""
        return self.sure or (space, key) in self.learned

    def get(self, space: str, key: str) -> bytes | None:
        """Return the value that was committed last; None: nothing, or nothing known."""
        return self.spaces.get(space, {}).get(key)

    def values(self, space: str) -> dict[str, bytes]:
        """Return what is known of a space."""
        return self.spaces.get(space, {})


class World:
    """See the module. `exact`: every commit is noted, whatever the death. `quota_bytes`: each device's; 0: limits'.

    `relay_bytes`: of what each hub relays.
    """

    def __init__(self, *, exact: bool = False, quota_bytes: int = 0, relay_bytes: int = limits.RELAY_BYTES) -> None:
        self.exact, self.quota_bytes, self.relay_bytes = exact, quota_bytes, relay_bytes
        self.index = -1
        """The place of the fact that is judged now."""
        self.at = 0.0
        self.calm_at: float | None = None
        self.relayed: frozenset[tuple[str, str, str]] = frozenset()
        """(node, epoch, stream) of which a child hub brings something in the transaction that is judged now."""
        self.machines: dict[str, Machine] = {}
        self.committed: dict[tuple[str, str], int] = {}
        """(child, stream) -> the highest seq that any parent has ever committed a cursor at."""
        self.items: dict[str, tuple[str, str, int]] = {}
        """Each item that a device committed -> (node, stream, seq)."""
        self.home: dict[str, str] = {}
        """Each node that has turned to another hub -> that hub."""
        self.homes: dict[str, set[str]] = {}
        """Each of these -> all hubs that it has belonged to."""
        self._revoking: dict[tuple[str, int, int], str] = {}
        """(hub, its life, request) -> the node that an operator revoked by it, there or above."""

    @property
    def revoked(self) -> set[str]:
        """Whom an operator has revoked, at whatever hub. A request that was not answered may have done so."""
        return set(self._revoking.values())

    def machine(self, name: str) -> Machine:
        """Return the machine `name`."""
        if name not in self.machines:
            self.machines[name] = Machine(name=name)
        return self.machines[name]

    def learn(self, fact: history.AnyFact) -> None:
        """Take a fact that the checkers have judged; Stored goes op by op, by `learn_op`."""
        match fact:
            case history.Born():
                self._born(fact)
            case history.Died():
                machine = self.machine(fact.node)
                machine.alive = False
                if not self.exact:
                    self._doubt(machine)
                if fact.how == "power":
                    self._forget_telemetry(machine)
            case history.Fault(kind=kind) if kind in DISK_FAULTS:
                self.machine(fact.node).doubtful = True
            case history.Fault(kind="power"):
                self._forget_telemetry(self.machine(fact.node))
            case history.Ran():
                self.machine(fact.node).running[fact.instance] = fact.proof
            case history.Gone():
                self.machine(fact.node).running.pop(fact.instance, None)
            case history.Calm():
                self.calm_at = fact.at
            case history.Took(input=inputs.Request(op=inputs.RevokeNode(node=address), request=request)):
                self._revoking[fact.node, self.machine(fact.node).life, request] = address.rpartition("/")[2]
            case history.Acted(action=inputs.Reply(request=request, error=error)) if error:
                self._revoking.pop((fact.node, self.machine(fact.node).life, request), None)
            case _:
                pass

    def _born(self, fact: history.Born) -> None:
        machine = self.machine(fact.node)
        is_copy = machine.disk != fact.disk if machine.life else machine.name != machine.node
        if machine.doubtful or is_copy:
            machine.streams, machine.spaces, machine.cursors, machine.origins = {}, {}, {}, {}
            machine.sure, machine.foreign, machine.doubtful = False, True, False
            machine.learned = set()
        machine.role, machine.disk, machine.born_at = fact.role, fact.disk, fact.at
        machine.alive, machine.life = True, machine.life + 1

    def _doubt(self, machine: Machine) -> None:
        machine.sure, machine.learned = False, set()
        for own in machine.streams.values():
            own.sure = False

    def _forget_telemetry(self, machine: Machine) -> None:
        """What is not synced may be gone, and goes on in an epoch that the store takes when it is opened."""
        for name in [name for name in machine.streams if not is_chained(name)]:
            machine.streams[name] = Own(sure=False)

    def learn_op(self, machine: Machine, op: effects.Store) -> None:
        """Take one op of a transaction that the checkers have judged."""
        match op:
            case effects.Put():
                machine.spaces.setdefault(op.space, {})[op.key] = op.value
                if not machine.sure:
                    machine.learned.add((op.space, op.key))
                if op.space == parent_entries.CURSOR:
                    self._moved(machine, op)
                elif op.space == records.ORIGIN:
                    machine.origins[origin(op.key)] = _decode_origin(op.value)
                elif (op.space, op.key) == HOME and machine.role != "hub":
                    self._turned(machine, op)
            case effects.Delete():
                machine.spaces.get(op.space, {}).pop(op.key, None)
                if not machine.sure:
                    machine.learned.add((op.space, op.key))
            case effects.Rows():
                self._appended(machine, op)
            case effects.Trim():
                own = machine.own(op.stream)
                own.floor = max(own.floor, op.upto)
            case effects.Gap():
                own = machine.own(op.stream)
                own.floor = max(own.floor, op.last)
            case effects.NewEpoch():
                own = machine.own(op.stream)
                own.epoch, own.floor, own.placed = op.epoch, max(own.floor, op.base), True
                own.last = max(own.last, op.base)
            case _:
                pass

    def judge(self, ops: list[effects.Store]) -> None:
        """A transaction is to be judged."""
        self.relayed = frozenset(
            origin(op.key) for op in ops if isinstance(op, effects.Put) and op.space == records.ORIGIN
        )

    def is_relayed(self, op: effects.Received) -> bool:
        """Tell whether these rows come by way of a child hub; one transaction may hold what the node itself brings,
        too."""
        return bool(op.at) and (op.node, op.epoch, op.stream) in self.relayed

    def _turned(self, machine: Machine, op: effects.Put) -> None:
        kept = _decode_home(op.value)
        if kept.to is not None:
            self.home[machine.node] = kept.to.id
            self.homes.setdefault(machine.node, set()).update((kept.former, kept.to.id))

    def _moved(self, machine: Machine, op: effects.Put) -> None:
        node, _, stream = op.key.partition("/")
        record = _decode_cursor(op.value)
        machine.cursors[node, stream] = record
        self.committed[node, stream] = max(record.seq, self.committed.get((node, stream), 0))

    def _appended(self, machine: Machine, op: effects.Rows) -> None:
        own = machine.own(op.stream)
        own.epoch, own.sure, own.placed = op.epoch, True, True
        own.last, own.hash = op.rows[-1][0], op.rows[-1][2]
        if op.stream in RELAYS:
            return
        for seq, raw, _ in op.rows:
            item = item_of(machine.node, raw)
            if item:
                self.items[item] = (machine.node, op.stream, seq)


def is_chained(stream: str) -> bool:
    """Tell whether rows of `stream` vouch for all before them."""
    return stream in CHAINED


def genesis(node: str, epoch: str, stream: str) -> bytes:
    """Return what stands before the first row."""
    return cursor.genesis(node, epoch, stream) if is_chained(stream) else b""


def origin(key: str) -> tuple[str, str, str]:
    """Return (node, epoch, stream) of a key in the space of origins."""
    node, epoch, stream = key.split("/")
    return node, epoch, stream


HOME = (home.SPACE, "home")
"""Where a device keeps which hub it belongs to."""

SESSION = (child.SPACE, "session")
"""Where a child keeps the counter of its sessions."""
