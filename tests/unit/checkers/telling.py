"""Handmade histories: a tale is told fact by fact, and judged by one checker."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import effects, messages
from protocol.effects import Now
from protocol.link import child_desired, cursor, parent, parent_desired, parent_entries
from tests.checkers import all as checkers
from tests.checkers import history
from tests.checkers.base import Checker

EPOCH = "aaaaaaaaaaaaaaaa"
OTHER = "bbbbbbbbbbbbbbbb"
NODE = "oslo"
HUB = "hub"


class Tale:
    """Notes facts; each method tells one, a second after the one before."""

    def __init__(self) -> None:
        self.facts: list[history.AnyFact] = []
        self.at: float = 0.0
        self.born()
        self.born(HUB, role="hub")

    def tell(self, fact: history.AnyFact) -> None:
        """Note any fact."""
        self.facts.append(fact)
        self.at += 1.0

    def born(self, node: str = NODE, *, role: str = "agent", disk: str = "first") -> None:
        """A daemon begins."""
        self.tell(history.Born(at=self.at, node=node, role=role, disk=disk))

    def died(self, node: str = NODE, how: str = "kill") -> None:
        """A daemon ends."""
        self.tell(history.Died(at=self.at, node=node, how=how))

    def fault(self, kind: str, node: str = NODE, note: str = "") -> None:
        """Something breaks."""
        self.tell(history.Fault(at=self.at, node=node, kind=kind, note=note))

    def stored(self, *ops: effects.Store, node: str = NODE) -> None:
        """A transaction is committed."""
        self.tell(history.Stored(at=self.at, node=node, ops=list(ops)))

    def sent(self, message: messages.AnyMessage, node: str = NODE, peer: str = HUB) -> None:
        """A message leaves."""
        self.tell(history.Sent(at=self.at, node=node, peer=peer, message=message))

    def heard(self, message: messages.AnyMessage, node: str = NODE, peer: str = HUB) -> None:
        """A core has handled a message."""
        got = hub.Got(node=peer, connection=1, message=message) if node == HUB else agent.Got(message=message)
        self.took(got, node)

    def took(self, taken: object, node: str = NODE, wall: float = 0.0) -> None:
        """A core has handled an input."""
        self.tell(history.Took(at=self.at, node=node, input=taken, now=Now(self.at, wall or self.at)))

    def acted(self, action: effects.Action, node: str = NODE) -> None:
        """An action leaves."""
        self.tell(history.Acted(at=self.at, node=node, action=action))

    def judged(self, kind: type[Checker], *, exact: bool = True) -> int:
        """Judge by one checker: return how much it judged. Raises Broken."""
        return checkers.check(self.facts, [kind], exact=exact)[kind.rule]

    def breaks(self, kind: type[Checker], words: str, *, exact: bool = True) -> None:
        """Assert that the checker finds fault with the last fact (or the end), and says so in `words`."""
        with pytest.raises(history.Broken, match=words) as caught:
            self.judged(kind, exact=exact)
        assert caught.value.rule == kind.rule
        assert caught.value.at in (-1, len(self.facts) - 1)


def rows(*seqs: int, stream: str = "state", epoch: str = EPOCH, node: str = NODE, body: str = "1") -> effects.Rows:
    """Rows `seqs` as a device would append them, chained from the genesis over all rows before."""
    return effects.Rows(stream, epoch, chained(max(seqs), stream, epoch, node, body)[seqs[0] - 1 : seqs[-1]])


def chained(upto: int, stream: str, epoch: str, node: str, body: str) -> list[effects.StoredRow]:
    """Rows 1..`upto`, all with the same body."""
    tip = cursor.genesis(node, epoch, stream) if stream in messages.CHAINED else b""
    said = [("app.said", "key", body.encode())] * upto
    return cursor.encode_rows(0, tip, stream in messages.CHAINED, 1_000, said)


def received(own: effects.Rows, node: str = NODE) -> effects.Received:
    """The same rows as a hub receives them."""
    return effects.Received(
        node, own.epoch, own.stream, [(seq, raw, tip, 1_000, "app.said", "key") for seq, raw, tip in own.rows]
    )


def at_cursor(
    seq: int, stream: str = "state", epoch: str = EPOCH, node: str = NODE, tip: bytes | None = None, lost: int = 0
) -> effects.Put:
    """A hub's cursor at `seq` of what `rows` makes."""
    if tip is None:
        tip = chained(seq, stream, epoch, node, "1")[-1][2] if seq else cursor.genesis(node, epoch, stream)
    record = parent_entries.Record(epoch=epoch, seq=seq, hash=tip.hex(), lost=lost)
    return put(parent_entries.CURSOR, f"{node}/{stream}", record)


def put(space: str, key: str, value: object) -> effects.Put:
    """A value, as JSON."""
    return effects.Put(space, key, msgspec.json.encode(value))


def greeted(session: int = 1, nonce: str = "n1", quarantined: str = "") -> effects.Put:
    """A hub's record of the child's session."""
    return put(parent.CHILD, NODE, parent.Record(session=session, nonce=nonce, quarantined=quarantined))


def in_session(session: int = 1) -> effects.Put:
    """A child's own counter."""
    return effects.Put("link", "session", str(session).encode())


def asked(generation: int, term: int = 1, digest: str = "d", items: dict[str, str] | None = None) -> effects.Put:
    """What a hub asks of the child."""
    record = parent_desired.Record(term=term, generation=generation, digest=digest, items=items or {})
    return put(parent_desired.ASKED, NODE, record)


def hello(session: int = 1, nonce: str = "n1", held: messages.Held | None = None, **seqs: int) -> messages.Hello:
    """A hello with heads at `seqs`, by stream."""
    heads = {name: messages.StreamHead(epoch=EPOCH, seq=seq) for name, seq in seqs.items()}
    return messages.Hello(
        session=session, nonce=nonce, node=NODE, version="1", streams=heads, held=held or messages.Held()
    )


def welcome(session: int = 1, **seqs: int) -> messages.Welcome:
    """A welcome with cursors at `seqs`, by stream."""
    cursors = {name: messages.Cursor(epoch=EPOCH, seq=seq) for name, seq in seqs.items()}
    return messages.Welcome(
        incarnation="i", session=session, nonce="n1", parent=HUB, cursors=cursors, time_ms=0, contact_s=60
    )


def ack(seq: int, session: int = 1, stream: str = "state", epoch: str = EPOCH) -> messages.EntriesAck:
    """An ack."""
    return messages.EntriesAck(incarnation="i", session=session, stream=stream, epoch=epoch, seq=seq)


def entries(own: effects.Rows, session: int = 1) -> messages.Entries:
    """The message that carries `own`."""
    return messages.Entries(
        session=session,
        stream=own.stream,
        epoch=own.epoch,
        prev=own.rows[0][0] - 1,
        rows=[msgspec.Raw(raw) for _, raw, _ in own.rows],
        hash=own.rows[-1][2].hex(),
    )


def signed(generation: int, term: int = 1, digest: str = "d") -> messages.Signed:
    """The signed part of a manifest."""
    return messages.Signed(
        parent=HUB, child=NODE, term=term, generation=generation, digest=digest, key="k", signature=""
    )


def manifest(generation: int, items: dict[str, str] | None = None, term: int = 1, digest: str = "d") -> effects.Put:
    """What the child holds."""
    held = child_desired.Manifest(signed=signed(generation, term, digest), items=items or {})
    return put(child_desired.MANIFEST, HUB, held)


def disk(
    node: str,
    *ops: effects.Put,
    own: tuple[int, ...] = (),
    entries: tuple[int, ...] = (),
    body: str = "1",
    at: float = 0.0,
    **heads: int,
) -> history.Disk:
    """A disk at the end: the values of `ops`, and heads of own streams, by stream; rows of `state` by seq."""
    spaces: dict[str, dict[str, bytes]] = {}
    for op in ops:
        spaces.setdefault(op.space, {})[op.key] = op.value
    places = {name: (EPOCH, seq, _tip(seq, name), seq) for name, seq in heads.items()}
    return history.Disk(
        at=at, node=node, own=_rows(own, body), heads=places, spaces=spaces, entries=_rows(entries, body)
    )


def _rows(seqs: tuple[int, ...], body: str) -> list[history.Row]:
    made = chained(max(seqs, default=0), "state", EPOCH, NODE, body)
    return [history.Row(NODE, EPOCH, "state", *made[seq - 1]) for seq in seqs]


def encoded(value: object) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)


def _tip(seq: int, stream: str) -> bytes:
    return chained(seq, stream, EPOCH, NODE, "1")[-1][2] if seq else b""
