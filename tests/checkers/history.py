"""What happened, as facts in the order in which they happened: what every checker reads.

The simulator notes facts as it goes; a real daemon writes its own to the file that SKERRY_TRACE names
(protocol.aio.trace), one JSON object a line, and what stands on the disks and in the producers' ledgers is read
afterwards (tests.checkers.real).

A fact of a daemon is noted when it is true: Stored after the commit has returned, Sent when the transport has the
message, Acted when the executor has the action. A daemon that is killed in between leaves no fact of it, and the disk
may know more than the history: a commit whose Stored was never noted. Checkers allow for that at Died, and only there.

`node` in a fact names a machine. A clone is a machine of its own with the same node: NODE~2, NODE~3 ... (`identity`).
Ids never have a tilde.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from protocol import effects
from protocol.effects import Action, Now
from protocol.messages import AnyMessage


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: seconds of the world's own clock, which never jumps; `node`: where it happened ("" is the world itself)."""

    at: float
    node: str = ""


class Born(Fact, frozen=True, kw_only=True):
    """A life of a node's daemon begins. `role`: agent or hub. `disk`: names the copy of the data it lives from."""

    role: str
    disk: str = ""


class Died(Fact, frozen=True, kw_only=True):
    """The life ended. `how`: kill, stop, power, or store (its disk failed; the core was discarded)."""

    how: str


class Took(Fact, frozen=True, kw_only=True):
    """The core has handled an input. `input` is the core's own struct; what it led to follows when it is done."""

    input: object
    now: Now


class Stored(Fact, frozen=True, kw_only=True):
    """One transaction is committed."""

    ops: list[effects.Store]


class Sent(Fact, frozen=True, kw_only=True):
    """`message` was given to the transport for `peer`; it may be lost."""

    peer: str
    message: AnyMessage


class Acted(Fact, frozen=True, kw_only=True):
    """An executor was given `action`."""

    action: Action


class Tried(Fact, frozen=True, kw_only=True):
    """A producer on `node` is about to say `item` (unique in the world) on `stream`; written and fsynced by itself."""

    stream: str
    item: str


class Kept(Fact, frozen=True, kw_only=True):
    """The producer heard that `item` is kept; written and fsynced by itself."""

    item: str


class Ran(Fact, frozen=True, kw_only=True):
    """A process of `instance` began on the device, as the machine itself knows; `proof` is its service, run or task."""

    instance: str
    proof: str = ""


class Gone(Fact, frozen=True, kw_only=True):
    """The process of `instance` is no more."""

    instance: str


class Operated(Fact, frozen=True, kw_only=True):
    """An operator's request was answered: `op` as the hub's core took it, `error` when it was refused."""

    op: object
    error: str = ""


class Fault(Fact, frozen=True, kw_only=True):
    """A fault was brought about. `kind`: a word (cut, kill, restore, clone, corrupt, clock, full); `note` says more."""

    kind: str
    note: str = ""


class Calm(Fact, frozen=True, kw_only=True):
    """The last fault is over: everything runs, everything connects. Convergence is bounded from here (A19)."""


def identity(machine: str) -> str:
    """Return the id of the node that `machine` is, or is a clone of."""
    return machine.partition("~")[0]


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A stored row, own or of a child, with its place."""

    node: str
    epoch: str
    stream: str
    seq: int
    raw: bytes
    hash: bytes


class Disk(Fact, frozen=True, kw_only=True):
    """What stands on the disk of `node` at the end: its own rows, its heads, its state, a hub's rows of its children.

    `heads`: stream -> (epoch, last seq, hash, acked). `entries`: a hub's, in the order of their arrival.
    """

    own: list[Row]
    heads: dict[str, tuple[str, int, bytes, int]]
    spaces: dict[str, dict[str, bytes]]
    entries: list[Row] = []


AnyFact = Born | Died | Took | Stored | Sent | Acted | Tried | Kept | Ran | Gone | Operated | Fault | Calm | Disk


class Broken(AssertionError):
    """A rule does not hold: `rule` is its name (A4), `at` the fact's place in the history."""

    def __init__(self, rule: str, text: str, at: int = -1) -> None:
        super().__init__(f"{rule}: {text}" + (f" (fact {at})" if at >= 0 else ""))
        self.rule, self.at = rule, at


@dataclass
class History:
    """Facts, in order. `note` is what recorders call; iteration is what checkers do."""

    facts: list[AnyFact] = field(default_factory=list[AnyFact])

    def note(self, fact: AnyFact) -> None:
        """Add what happened now."""
        self.facts.append(fact)

    def __iter__(self) -> Iterator[AnyFact]:
        return iter(self.facts)
