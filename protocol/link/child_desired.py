"""The child's end, desired: only forward, signed, complete before it is wanted (INVARIANTS A10, A11).

    Desired --verify--> pending (its digest proven, some documents lacking) --Documents--> held --Wanted--> the core

Documents come in parts, one under way at a time: the next is asked for when the one before it is in. A part that does
not come within its wait is asked for again, and the wait doubles, up to NEED_WAIT_S_MAX: on a slow link it is on its
way more often than it is lost, and what is asked for twice crosses twice. Decision 0028.

A manifest is refused when it is not signed for us, when it is lower than the held one, or equal with another digest;
the last good one stays. What is held is stored with its documents before it is told. A pending one is forgotten in a
restart: the parent sends it again, because Hello names the held one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from protocol import documents, effects, limits
from protocol.effects import Effects, Now
from protocol.errors import TrustError
from protocol.link import events
from protocol.messages import Desired, Documents, Held, Need, Signed
from protocol.snapshot import Snapshot

MANIFEST = "manifest"
DOCUMENT = "document"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A verified manifest: what was signed, and the whole set of items (document id -> digest)."""

    signed: Signed
    items: dict[str, str]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Manifest).decode


class Intake:
    """What the parent asks of this node: the manifest held, and the one that is being completed."""

    def __init__(self, node: str, parent: str, trust: events.ChildTrust, snapshot: Snapshot) -> None:
        self._node, self._parent, self._trust = node, parent, trust
        stored = snapshot.spaces.get(MANIFEST, {}).get(parent)
        self._manifest: Manifest | None = None if stored is None else _decode(stored)
        self._documents: dict[str, bytes] = dict(snapshot.spaces.get(DOCUMENT, {}))
        self._pending: Manifest | None = None
        self._former: Manifest | None = None
        self._asked: frozenset[str] = frozenset()
        """What the part under way may hold; empty: nothing is under way."""
        self._asked_at = 0.0
        self._need_at: float | None = None
        self._wait_s = limits.ACK_WAIT_S

    @property
    def held(self) -> Held:
        """The manifest in force, as Hello and Status name it."""
        if self._manifest is None:
            return Held()
        signed = self._manifest.signed
        return Held(term=signed.term, generation=signed.generation, digest=signed.digest)

    def wanted(self) -> list[events.ChildEvent]:
        """Return what is held as the event that tells it, or nothing when nothing is held."""
        if self._manifest is None:
            return []
        items = {key: self._documents[digest] for key, digest in self._manifest.items.items()}
        return [events.Wanted(items=items, held=self.held)]

    def hand_over(self, parent: str, fx: Effects) -> None:
        """Store what is held as what `parent` asked."""
        if self._manifest is not None and parent != self._parent:
            fx.store.append(effects.Put(MANIFEST, parent, _encode(self._manifest)))
            fx.store.append(effects.Delete(MANIFEST, self._parent))

    def forget_session(self) -> None:
        """The session ended: what was pending is sent again in the next one, or was of a parent since restored."""
        self._pending, self._wait_s = None, limits.ACK_WAIT_S
        self._rest()

    def _rest(self) -> None:
        self._asked, self._need_at = frozenset(), None

    # -------------------------------------------------------------------------------------------- taking

    def desired(self, message: Desired, session: int, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take a manifest, whole or as a delta on one that we know."""
        signed = message.signed
        try:
            self._trust.check_manifest(signed, self._parent, self._node)
        except TrustError as error:
            return [events.DesiredRefused(reason=str(error))]
        version, held = (signed.term, signed.generation), self.held
        if version < (held.term, held.generation):
            return [events.DesiredRefused(reason=f"{_text(signed)} is older than {_text(held)}, which is held")]
        if version == (held.term, held.generation):
            if signed.digest == held.digest:
                return []
            return [events.DesiredRefused(reason=f"{_text(signed)} came with another content than the one held")]
        if self._pending is not None and version < (self._pending.signed.term, self._pending.signed.generation):
            return []  # late: a newer one is on its way to completion
        items = self._items(message)
        if items is None:
            fx.send.append(effects.Send(self._parent, Need(session=session, manifest=True)))
            return []
        if len(items) > limits.MANIFEST_DOCUMENTS_MAX:
            return [events.DesiredRefused(reason=f"{len(items)} documents are over {limits.MANIFEST_DOCUMENTS_MAX}")]
        if documents.manifest_digest(items) != signed.digest:
            if not message.base:
                return [events.DesiredRefused(reason=f"the items of {_text(signed)} do not match their digest")]
            fx.send.append(effects.Send(self._parent, Need(session=session, manifest=True)))
            return []
        self._pending = Manifest(signed=signed, items=items)
        return self._complete(message.documents, session, now, fx)

    def carried(self, message: Desired, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take a whole manifest that came without a session, with all the documents that are not here, or nothing."""
        came = {documents.digest_of(bytes(one)) for one in message.documents}
        lacking = [one for one in message.put.values() if one not in came and one not in self._documents]
        if message.base or lacking:
            what = f"{len(lacking)} documents of {_text(message.signed)} are missing"
            return [events.DesiredRefused(reason=f"the bundle is not whole: {what}; copy it again")]
        return self.desired(message, 0, now, fx)

    def _items(self, message: Desired) -> dict[str, str] | None:
        if not message.base:
            return dict(message.put)
        for one in (self._pending, self._manifest, self._former):
            if one is not None and one.signed.digest == message.base:
                items = dict(one.items)
                items.update(message.put)
                for key in message.gone:
                    items.pop(key, None)
                return items
        return None

    def documents(self, message: Documents, session: int, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Take documents that were asked for."""
        if self._pending is None:
            return []
        missing = set(message.missing)
        lacked = missing.intersection(self._lacking())  # else they are of an older manifest, which was asked for first
        if lacked:
            reason = f"the parent lacks {len(lacked)} documents of {_text(self._pending.signed)}"
            self._pending = None
            self._rest()
            return [events.DesiredRefused(reason=reason)]
        self._arrived(missing, now)
        return self._complete(message.documents, session, now, fx)

    def _complete(self, bodies: Iterable[msgspec.Raw], session: int, now: Now, fx: Effects) -> list[events.ChildEvent]:
        assert self._pending is not None
        wished = self._pending.items
        wished_digests, came = set(wished.values()), set[str]()
        for body in bodies:
            raw = bytes(body)
            digest = "sha256:" + hashlib.sha256(raw).hexdigest()
            if len(raw) > limits.DOCUMENT_BYTES_MAX:
                continue
            came.add(digest)
            if digest in wished_digests and digest not in self._documents:
                self._documents[digest] = raw
                fx.store.append(effects.Put(DOCUMENT, digest, raw))
        self._arrived(came, now)
        lacking = self._lacking()
        if lacking:
            if not self._asked:
                self._ask(lacking, session, now, fx)
            return []
        self._former, self._manifest, self._pending = self._manifest, self._pending, None
        self._rest()
        self._collect(wished_digests, fx)
        fx.store.append(effects.Put(MANIFEST, self._parent, _encode(self._manifest)))
        return self.wanted()

    def _lacking(self) -> list[str]:
        assert self._pending is not None
        return [digest for digest in dict.fromkeys(self._pending.items.values()) if digest not in self._documents]

    def _arrived(self, digests: set[str], now: Now) -> None:
        """These came, or will not come: if they are of the part under way, it is in, and tells how long one takes."""
        if not self._asked.isdisjoint(digests):
            took = now.mono - self._asked_at
            self._wait_s = min(limits.NEED_WAIT_S_MAX, max(limits.ACK_WAIT_S, 2 * took))
            self._rest()

    def _ask(self, lacking: list[str], session: int, now: Now, fx: Effects) -> None:
        if not self._asked:
            self._asked_at = now.mono
        self._need_at = now.mono + self._wait_s
        wished = lacking[: limits.NEED_DIGESTS_MAX]
        self._asked = frozenset(wished)
        fx.send.append(effects.Send(self._parent, Need(session=session, documents=wished)))

    def _collect(self, wished: set[str], fx: Effects) -> None:
        for digest in [one for one in self._documents if one not in wished]:
            del self._documents[digest]
            fx.store.append(effects.Delete(DOCUMENT, digest))

    # -------------------------------------------------------------------------------------------- time

    def tick(self, session: int, now: Now, fx: Effects) -> None:
        """Ask again for a part that did not come."""
        if self._need_at is not None and now.mono >= self._need_at:
            self._wait_s = min(limits.NEED_WAIT_S_MAX, 2 * self._wait_s)
            self._ask(self._lacking(), session, now, fx)

    def next_wake(self) -> float | None:
        """Return when documents are asked for again (mono)."""
        return self._need_at


def _text(one: Signed | Held) -> str:
    return f"generation {one.generation} of term {one.term}"
