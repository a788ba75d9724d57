"""The parent's end, desired: what is asked of one child, numbered, signed, whole or as a delta (INVARIANTS A10, A11).

The generation counts what this parent asked of this child; it rises with every change of the set, and never falls.
Bodies are shared by all children and kept by digest. A manifest is sent when the child holds an older one, and again
with growing waits until a Status names it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from protocol import documents, effects, limits
from protocol.effects import Effects, Now
from protocol.link.events import RestoredParent, Signer
from protocol.messages import Desired, Documents, Held
from protocol.snapshot import Snapshot

ASKED = "asked"
BODY = "body"

_BASES_KEPT = 4
_BEGINNING = 8  # hex digits of a digest in Record.past

_encode = msgspec.json.Encoder().encode


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one child, as stored in space `asked` under its node id."""

    term: int = 1
    generation: int = 0
    digest: str = ""
    items: dict[str, str] = {}
    past: str = ""
    """The beginnings of the digests of the generations before this one, newest last, without a gap, of this term."""


_decode = msgspec.json.Decoder(Record).decode


class Bodies:
    """Documents by digest, each stored once however many children are asked for it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._raw: dict[str, bytes] = dict(snapshot.spaces.get(BODY, {}))
        self._digests = {raw: digest for digest, raw in self._raw.items()}
        self._uses = dict.fromkeys(self._raw, 0)

    def get(self, digest: str) -> bytes | None:
        """Return the document with `digest`."""
        return self._raw.get(digest)

    def digest_of(self, raw: bytes) -> str:
        """Return the digest of `raw`; known bytes are not hashed again."""
        return self._digests.get(raw) or documents.digest_of(raw)

    def take(self, digest: str, raw: bytes | None, fx: Effects) -> None:
        """Count one more use; `raw` is needed when the document is new (at start, None: it is stored already)."""
        if digest not in self._raw:
            if raw is None:
                return  # the store lost it: the child will be told that it is missing
            self._raw[digest] = raw
            self._digests[raw] = digest
            fx.store.append(effects.Put(BODY, digest, raw))
        self._uses[digest] = self._uses.get(digest, 0) + 1

    def drop(self, digest: str, fx: Effects) -> None:
        """Count one use less; what nobody uses goes."""
        if digest not in self._raw:
            return
        self._uses[digest] -= 1
        if self._uses[digest] <= 0:
            del self._uses[digest]
            del self._digests[self._raw.pop(digest)]
            fx.store.append(effects.Delete(BODY, digest))


class Delegation:
    """What is asked of one child, and what that child is known to hold."""

    def __init__(self, node: str, bodies: Bodies, signer: Signer) -> None:
        self._node, self._bodies, self._signer = node, bodies, signer
        self.record = Record()
        self.held = Held()
        self.blocked = False
        self.waits = False
        """An operator has yet to say that this parent may go on: nothing is sent (A17)."""
        self.retry_at: float | None = None
        self._retry_s = limits.ACK_WAIT_S
        self._sent = ""
        self._bases: dict[str, dict[str, str]] = {}

    def load(self, value: bytes, fx: Effects) -> None:
        """Take the stored record back."""
        self.record = _decode(value)
        self._bases[self.record.digest] = self.record.items
        for digest in self.record.items.values():
            self._bodies.take(digest, None, fx)

    def change(self, items: dict[str, bytes], fx: Effects) -> bool:
        """Ask for exactly `items` (document id -> bytes). Return False when that is what is asked already."""
        named = {key: self._bodies.digest_of(raw) for key, raw in items.items()}
        digest = documents.manifest_digest(named)
        if digest == self.record.digest:
            return False
        for key, one in named.items():
            self._bodies.take(one, items[key], fx)
        for one in self.record.items.values():
            self._bodies.drop(one, fx)
        record = self.record
        past = (record.past + _beginning(record.digest))[-_BEGINNING * limits.GENERATIONS_KNOWN :]
        generation = record.generation + 1
        self._store(Record(term=record.term, generation=generation, digest=digest, items=named, past=past), fx)
        return True

    def new_term(self, fx: Effects) -> None:
        """Go beyond all that was ever seen, on an operator's word (A10, A17)."""
        record, held = self.record, self.held
        term, generation = max(record.term, held.term) + 1, max(record.generation, held.generation) + 1
        self.blocked = self.waits = False
        digest = record.digest or documents.manifest_digest(record.items)
        self._store(Record(term=term, generation=generation, digest=digest, items=record.items), fx)

    def succeed(self, held: Held, fx: Effects) -> None:
        """Another parent asked for what the child holds, and this one takes over: under a term beyond all seen (A10).

        What was never made here is not sent: it is asked for when it is made, and not before (A11).
        """
        record = self.record
        if (record.term, record.generation) <= (held.term, held.generation) or not self._is_ours(held):
            self._store(msgspec.structs.replace(record, term=max(record.term, held.term) + 1, past=""), fx)

    def _store(self, record: Record, fx: Effects) -> None:
        self.record = record
        self._bases[record.digest] = record.items
        while len(self._bases) > _BASES_KEPT:
            del self._bases[next(iter(self._bases))]
        fx.store.append(effects.Put(ASKED, self._node, _encode(record)))

    # -------------------------------------------------------------------------------------------- sending

    def greet(self, held: Held) -> bool:
        """A session begins with a child that holds `held`. Return False when we never asked that: we were restored."""
        self._sent, self._retry_s, self.retry_at, self.blocked = "", limits.ACK_WAIT_S, None, False
        return self.note_held(held)

    def reaches(self, held: Held) -> bool:
        """Tell whether as much was asked here as `held`."""
        return (self.record.term, self.record.generation) >= (held.term, held.generation)

    def note_held(self, held: Held) -> bool:
        """The child holds `held`. Return False when that is beyond what we ever asked, or another thing than we did."""
        self.held = held
        ours, theirs = (self.record.term, self.record.generation), (held.term, held.generation)
        if held.generation and (theirs > ours or not self._is_ours(held)):
            self.blocked = True
        if not self.due:
            self.retry_at = None
        return not self.blocked

    def restored(self) -> RestoredParent:
        """Return the event that says what `blocked` means."""
        record = self.record
        return RestoredParent(node=self._node, held=self.held, term=record.term, generation=record.generation)

    def _is_ours(self, held: Held) -> bool:
        """Tell whether we asked for `held`, which is not beyond us; what is too long ago is believed."""
        record = self.record
        if held.term != record.term:
            return True
        if held.generation == record.generation:
            return held.digest == record.digest
        place = len(record.past) - (record.generation - held.generation) * _BEGINNING
        return place < 0 or record.past[place : place + _BEGINNING] == _beginning(held.digest)

    @property
    def due(self) -> bool:
        """Tell whether the child may be sent what is asked, and holds something older."""
        behind = (self.held.term, self.held.generation) < (self.record.term, self.record.generation)
        return behind and self.record.generation > 0 and not self.blocked and not self.waits

    def forget_session(self) -> None:
        """The session ended: nothing is under way."""
        self._sent, self.retry_at = "", None

    def message(self, incarnation: str, session: int, now: Now, *, whole: bool = False) -> Desired:
        """Return the manifest for the child: a delta on what it holds or was sent, or whole."""
        record = self.record
        base = self._sent or self.held.digest
        before = self._bases.get(base) if base and not whole else None
        put, gone = dict(record.items), list[str]()
        if before is not None:
            put = {key: one for key, one in record.items.items() if before.get(key) != one}
            gone = [key for key in before if key not in record.items]
        self._sent = record.digest
        self.retry_at = now.mono + self._retry_s
        self._retry_s = min(self._retry_s * 2, max(limits.STATUS_EVERY_S, limits.ACK_WAIT_S))
        return Desired(
            incarnation=incarnation,
            session=session,
            signed=self._signer.manifest(self._node, record.term, record.generation, record.digest),
            base=base if before is not None else "",
            put=put,
            gone=gone,
            documents=list(self._inline(put)),
        )

    def whole(self) -> Desired | None:
        """Return the whole of what is asked, without bodies, for a bundle; None: nothing ever was."""
        record = self.record
        if not record.generation:
            return None
        signed = self._signer.manifest(self._node, record.term, record.generation, record.digest)
        return Desired(incarnation="", session=0, signed=signed, put=record.items)

    def body(self, digest: str) -> bytes | None:
        """Return a document that is asked."""
        return self._bodies.get(digest) if digest in self.record.items.values() else None

    def _inline(self, put: dict[str, str]) -> Iterator[msgspec.Raw]:
        room = limits.INLINE_DOCUMENTS_BYTES_MAX
        for digest in dict.fromkeys(put.values()):
            raw = self._bodies.get(digest)
            if raw is not None and len(raw) <= room:
                room -= len(raw)
                yield msgspec.Raw(raw)

    def replies(
        self, digests: list[str], tickets: dict[str, str], incarnation: str, session: int, now: Now
    ) -> Iterator[Documents]:
        """Return what a child needs, one message if any; only what this child is asked for is given out.

        It is one part: the first of `digests`, in their order, that come to limits.DOCUMENTS_BYTES_MAX, and at least
        one. The child asks for the rest when it has them: answers must fit into what may wait for its socket.
        """
        if digests and self.retry_at is not None:  # it has the manifest, which need not be sent again for now
            self.retry_at = now.mono + self._retry_s
        asked = set(self.record.items.values())
        parts: list[msgspec.Raw] = []
        missing: list[str] = []
        size = 0
        for digest in digests[: limits.NEED_DIGESTS_MAX]:
            raw = self._bodies.get(digest) if digest in asked else None
            if raw is None:
                missing.append(digest)
                continue
            if parts and size + len(raw) > limits.DOCUMENTS_BYTES_MAX:
                break
            parts.append(msgspec.Raw(raw))
            size += len(raw)
        if parts or missing or tickets:
            yield Documents(incarnation=incarnation, session=session, documents=parts, tickets=tickets, missing=missing)


def _beginning(digest: str) -> str:
    """Return what Record.past keeps of `digest`: of its hex digits, for all begin with the name of their algorithm."""
    return digest.partition(":")[2][:_BEGINNING]
