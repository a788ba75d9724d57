"""THE shape: `handle(input, now) -> Effects`.

A core is synchronous, deterministic and without I/O. A driver (protocol.aio.driver) performs what it returns, in
exactly this order:

    store     every operation in ONE durable transaction
    send      messages to peers
    act       actions for executors; each idempotent, keyed by an id
    wake_at   (re)arms the one timer; the newest value replaces the former

A crash between any two is harmless. What follows a store is derivable from it: after a restart the core is rebuilt
from the store and emits the same idempotent actions again, and the link re-sends from its cursor.

Deliberately absent: any way to read. What a core needs to know, it holds in memory or gets as an input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from protocol.messages import AnyMessage, FormerEpoch


class Now(msgspec.Struct, frozen=True):
    """The moment of an input. `mono` never jumps, `wall` is for people and deadlines (INVARIANTS A15); seconds."""

    mono: float
    wall: float


StoredRow = tuple[int, bytes, bytes]
"""`(seq, raw, hash)` of one of our own rows; hash is b"" in an unchained stream."""


class Rows(msgspec.Struct, frozen=True):
    """Append contiguous rows to our own stream."""

    stream: str
    epoch: str
    rows: list[StoredRow]


class Acked(msgspec.Struct, frozen=True):
    """The parent has committed everything of our stream up to `seq`."""

    stream: str
    epoch: str
    seq: int


class Trim(msgspec.Struct, frozen=True):
    """Delete our own rows with seq <= `upto`: acked, or covered by a GAP row stored in the same transaction."""

    stream: str
    epoch: str
    upto: int


class Gap(msgspec.Struct, frozen=True):
    """Replace our rows `first`..`last` by one GAP row at seq `last` (INVARIANTS A16). Hash is that of row `last`.

    Rows of the range may be gone already, `last` too: the GAP row is inserted all the same, and is the lowest row then.
    """

    stream: str
    epoch: str
    first: int
    last: int
    raw: bytes
    hash: bytes


class NewEpoch(msgspec.Struct, frozen=True):
    """Our stream takes a new epoch inside the same file: its past is not the parent's (INVARIANTS A6, A9, A17).

    Rows above `base` go over as they are: seq, raw and hash stay, only their epoch changes. Rows up to `base` are
    deleted; mostly `base` is just below the lowest row, so that acked rows stay to refill a parent. Then acked is
    `base`, until an Acked says otherwise, and StreamState.former is `former`.
    """

    stream: str
    epoch: str
    former: FormerEpoch
    base: int


class Put(msgspec.Struct, frozen=True):
    """Set the value of (`space`, `key`) in the state table."""

    space: str
    key: str
    value: bytes


class Delete(msgspec.Struct, frozen=True):
    """Remove (`space`, `key`) from the state table; harmless when it is absent."""

    space: str
    key: str


class Received(msgspec.Struct, frozen=True):
    """Append a child's entries, checked against its chain: contiguous `(seq, raw, hash, time_ms, kind, key)`.

    Rows up to `again` may have come under another epoch, brought by a copy of the child, or by way of another hub: what
    stands already under one of the last limits.EPOCHS_KEPT_MAX, with the same seq, bytes and hash, is not stored a
    second time (A8). `over`: they were declared lost, and come after all: a GAP row that stands among these seqs gives
    way. `at`: the address, as of now, of a node that is no child of ours (protocol.ids.address).
    """

    node: str
    epoch: str
    stream: str
    rows: list[tuple[int, bytes, bytes, int, str, str]]
    again: int = 0
    over: bool = False
    at: str = ""


class SetAside(msgspec.Struct, frozen=True):
    """Keep bytes that could not be applied (a fork, a poison entry), for people to look at; never applied."""

    node: str
    epoch: str
    stream: str
    seq: int
    raw: bytes
    reason: str


Store = Rows | Acked | Trim | Gap | NewEpoch | Put | Delete | Received | SetAside


class Send(msgspec.Struct, frozen=True):
    """Hand `message` to the transport for `peer` (a node id). Loss is normal: the link's timers re-send."""

    peer: str
    message: AnyMessage


class SendRows(msgspec.Struct, frozen=True):
    """Send our rows `after` < seq <= `upto` to `peer` as one `Entries`; the driver reads their bytes from the journal.

    The driver stops early at limits.ENTRIES_BYTES_MAX; the core learns what arrived from the ack. It sends nothing
    when there is no such row, and fills `Entries.hash` with the stored hash (hex) of the last row that it sends.
    """

    peer: str
    session: int
    stream: str
    epoch: str
    after: int
    upto: int


class Action(msgspec.Struct, frozen=True):
    """The base of every action; the agent's and the hub's cores define their own, one struct each."""


@dataclass(slots=True)
class Effects:
    """What one input leads to. `lazy` stores may wait up to limits.LAZY_COMMIT_S unless a send or an act follows."""

    store: list[Store] = field(default_factory=list[Store])
    send: list[Send | SendRows] = field(default_factory=list[Send | SendRows])
    act: list[Action] = field(default_factory=list[Action])
    wake_at: float | None = None
    lazy: bool = False
