"""Origins, hubs and hands to carry what one tells the other: the pieces of the relay's tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from protocol import effects, messages
from protocol.effects import Effects
from protocol.errors import TrustError
from protocol.link import cursor, events
from protocol.link.relay import runs, unwrap, wrap
from protocol.link.relay.origins import Origins
from protocol.link.relay.records import Record
from protocol.messages import GapBody
from protocol.snapshot import Snapshot
from tests.support.link_world import FakeSigner
from tests.support.memory_store import MemoryStore

EPOCH, NODE, STREAM = "a" * 16, "gw-7", "state"
SIGNER = FakeSigner()


@dataclass
class Origin:
    """A device's stream: what it made, and what it declared lost."""

    node: str = NODE
    epoch: str = EPOCH
    stream: str = STREAM
    rows: list[tuple[int, bytes, bytes]] = field(default_factory=list[tuple[int, bytes, bytes]])

    def __post_init__(self) -> None:
        self.tip = cursor.genesis(self.node, self.epoch, self.stream) if self.stream in messages.CHAINED else b""

    def say(self, count: int, word: str = "said") -> Origin:
        """Make `count` more rows."""
        items = [("app.said", "", msgspec.json.encode(f"{word} {len(self.rows) + one}")) for one in range(1, count + 1)]
        made = cursor.encode_rows(len(self.rows), self.tip, bool(self.tip), 1_000, items)
        self.rows += made
        self.tip = made[-1][2]
        return self

    def hash(self, seq: int) -> bytes:
        """Return the hash at row `seq`."""
        if seq:
            return self.rows[seq - 1][2]
        return cursor.genesis(self.node, self.epoch, self.stream) if self.tip else b""

    def gap(self, first: int, last: int, signer: FakeSigner = SIGNER) -> tuple[int, bytes, bytes]:
        """Return the row that says that `first`..`last` are lost."""
        body = GapBody(first=first, last=last, count=last - first + 1, reason="full", hash=self.hash(last).hex())
        raw = cursor.encode_gap(last, 5, signer.sign_gap(self.node, self.epoch, self.stream, body))
        return last, raw, self.hash(last)

    def event(self, prev: int, last: int, *gaps: tuple[int, int]) -> events.ChildEntries:
        """Return what a hub tells that took rows `prev` + 1..`last`, with some of them under GAPs."""
        covered = {seq for first, upto in gaps for seq in range(first, upto + 1)}
        rows = [row for row in self.rows[prev:last] if row[0] not in covered]
        rows = sorted([*rows, *(self.gap(first, upto) for first, upto in gaps)])
        told = [(seq, raw, tip, 1_000, cursor.decode_head(raw).kind, "") for seq, raw, tip in rows]
        before, tip = self.hash(prev), self.hash(last)
        return events.ChildEntries(
            node=self.node,
            stream=self.stream,
            epoch=self.epoch,
            rows=told,
            prev=prev,
            before=before,
            last=last,
            hash=tip,
        )

    def runs(self, prev: int, last: int, *gaps: tuple[int, int], at: str = "") -> list[runs.Run]:
        """Return these rows as they are relayed."""
        return carried(self.event(prev, last, *gaps), at)


def carried(event: events.ChildEntries, at: str = "") -> list[runs.Run]:
    """Return what a parent reads of what a hub wrapped."""
    found: list[runs.Run] = []
    for piece in wrap.pieces(event):
        kind, key, body = wrap.run_item(at or event.node, event.epoch, event.stream, piece)
        raw = msgspec.json.encode(messages.Entry(1, 0, kind, key, msgspec.Raw(body)))
        said = unwrap.decode(kind, raw)
        assert isinstance(said, runs.Run)
        found.append(said)
    return found


def doubt(node: str, key: str, epoch: str, stream: str, body: GapBody) -> str:
    try:
        SIGNER.check_gap(node, key, epoch, stream, body)
    except TrustError as error:
        return str(error)
    return ""


class Root:
    """A hub above child hubs: its origins over a store in memory, rebuilt after every step."""

    def __init__(self) -> None:
        self.store = MemoryStore("cloud")
        self.told: list[events.ParentEvent] = []
        self.ordered: dict[str, str] = {}
        """Where nodes belong, as this hub said."""
        self.origins = self._load()

    def _load(self) -> Origins:
        return Origins(
            Snapshot(node="cloud", spaces=self.store.snapshot().spaces),
            doubt,
            lambda node: "",
            lambda node, epoch, stream: None,
            lambda node: self.ordered.get(node, ""),
        )

    def take(self, child: str, *said: runs.Run | runs.Held | runs.Turn) -> list[events.ParentEvent]:
        """Take what `child` relays; return what is told of it."""
        told: list[events.ParentEvent] = []
        for one in said:
            fx = Effects()
            match one:
                case runs.Run():
                    told += self.origins.run(child, one, fx)
                case runs.Held():
                    told += self.origins.held(child, one, fx)
                case runs.Turn():
                    told += self.origins.turn(child, one, fx)
            self.commit(fx)
        self.told += told
        return told

    def commit(self, fx: Effects) -> None:
        self.store.commit(fx.store)
        again = self._load()
        assert dict(again.records.all()) == dict(self.origins.records.all()), "what is known is what is stored"
        self.origins = again

    def record(self, epoch: str = EPOCH, stream: str = STREAM, node: str = NODE) -> Record:
        return dict(self.origins.records.all())[f"{node}/{epoch}/{stream}"]

    def holds(self, origin: Origin) -> list[int]:
        """Return the seqs that stand here, GAPs apart; each must be what its origin made, once."""
        found = [(seq, raw, tip) for _, epoch, _, seq, raw, tip in self.store.entries if epoch == origin.epoch]
        rows = [row for row in found if cursor.decode_gap(row[1]) is None]
        assert len({seq for seq, *_ in rows}) == len(rows), "a row stands twice"
        assert all(row in origin.rows for row in rows), "a row is not what its origin made"
        return sorted(seq for seq, *_ in rows)

    def missing(self, epoch: str = EPOCH) -> list[tuple[int, int, str]]:
        return [(one.first, one.last, one.why.value) for one in self.record(epoch).missing]


def kinds(told: list[events.ParentEvent]) -> list[str]:
    return [type(event).__name__ for event in told]


def stored(fx: Effects) -> list[int]:
    return [row[0] for op in fx.store if isinstance(op, effects.Received) for row in op.rows]
