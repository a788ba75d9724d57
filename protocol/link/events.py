"""What the two ends of a link tell the core they live in, and what they ask of trust.

An event is told in the same call, with the same Effects, as the stores it rests on: what a core does about it is
performed after these are durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from protocol import messages

if TYPE_CHECKING:
    from protocol.bundle.head import Proof
    from protocol.link.relay import runs


class GapSigner(Protocol):
    """Signs the GAPs of our own streams."""

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody: ...


class ChildTrust(GapSigner, Protocol):
    """What a child's end asks of trust: its parent's words are checked (raises TrustError), its own GAPs are signed."""

    def learn(self, chain_pem: str, parent: str) -> object: ...
    def check_manifest(self, signed: messages.Signed, parent: str, child: str) -> None: ...
    def check_revoked(self, revoked: messages.Revoked, parent: str, child: str) -> None: ...
    def check(self, covered: bytes, signature: str, key: str, parent: str) -> None: ...


class Signer(GapSigner, Protocol):
    """What a parent's end asks of trust (protocol.trust.signing.Signer)."""

    chain: str
    key: str
    """The id of the signing key."""

    def sign(self, covered: bytes) -> str:
        """Return the signature (base64) over `covered`, which begins with a purpose of its own."""
        ...

    def manifest(self, child: str, term: int, generation: int, digest: str) -> messages.Signed: ...
    def revoked(self, child: str, time_ms: int, reason: str, incarnation: str) -> messages.Revoked: ...
    def check_gap(self, node: str, key: str, epoch: str, stream: str, body: messages.GapBody) -> None:
        """Raise TrustError unless `body` is signed for (node, epoch, stream); `key`: its key's SHA-256 (hex)."""
        ...

    def check_node(self, node: str, key: str, covered: bytes, proof: Proof) -> None:
        """Raise TrustError unless `proof` over `covered` is by `node`, whose key has this SHA-256 (hex)."""
        ...


# ------------------------------------------------------------------------------------------------ of the child's end


class ChildEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what a child's end tells."""


class WentLive(ChildEvent, frozen=True, kw_only=True):
    """Greeted by the parent. `renew_only`: our certificate has expired, only `renew` is served."""

    renew_only: bool = False


class WentOffline(ChildEvent, frozen=True, kw_only=True):
    """No longer live."""

    reason: str


class Wanted(ChildEvent, frozen=True, kw_only=True):
    """The whole of what the parent asks: every document present, verified by digest, stored (INVARIANTS A10, A11)."""

    items: dict[str, bytes]
    held: messages.Held


class DesiredRefused(ChildEvent, frozen=True, kw_only=True):
    """A manifest was refused; the last good one stays."""

    reason: str


class Acked(ChildEvent, frozen=True, kw_only=True):
    """The parent has committed our `stream` up to `seq` (of the current epoch)."""

    stream: str
    seq: int


class Ticket(ChildEvent, frozen=True, kw_only=True):
    """The ticket for an artifact; `` when the parent gives none."""

    digest: str
    ticket: str


class Asked(ChildEvent, frozen=True, kw_only=True):
    """The parent asks; call `Child.answer`, part by part."""

    ask: messages.Ask


class Leased(ChildEvent, frozen=True, kw_only=True):
    """The parent lets each of these services run for so many seconds from `asked` (mono) on (A20)."""

    granted: dict[str, float]
    asked: float


class Renewed(ChildEvent, frozen=True, kw_only=True):
    """A new certificate chain (PEM)."""

    certificate: str


class RenewRefused(ChildEvent, frozen=True, kw_only=True):
    """There is no new certificate."""

    reason: str


class RevokedBy(ChildEvent, frozen=True, kw_only=True):
    """The parent signed that this node is no longer part of the fleet; the link stays down for good."""

    reason: str


class Quarantined(ChildEvent, frozen=True, kw_only=True):
    """The parent turns us away until an operator decides."""

    reason: str


class RosterAcked(ChildEvent, frozen=True, kw_only=True):
    """The parent has taken the pages of our roster up to `number`; of a hub alone (protocol.link.roster.child)."""

    session: int
    number: int


class EpochBegun(ChildEvent, frozen=True, kw_only=True):
    """`stream` took a new epoch: the parent holds another past than ours. `lost` rows may be lost, at most (A17)."""

    stream: str
    epoch: str
    reason: str
    lost: int


class ParentBehind(ChildEvent, frozen=True, kw_only=True):
    """The parent has less of `stream` than it acked: it was restored. It is refilled from `seq` on (A17)."""

    stream: str
    seq: int
    acked: int


class GapDeclared(ChildEvent, frozen=True, kw_only=True):
    """`count` rows of `stream` are gone, declared by a GAP row (A16)."""

    stream: str
    count: int
    reason: str


# ------------------------------------------------------------------------------------------------ of the parent's end


class ParentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The base of what a parent's end tells."""

    node: str


class ChildLive(ParentEvent, frozen=True, kw_only=True):
    """A child is greeted. `renew_only`: its certificate has expired."""

    hello: messages.Hello
    renew_only: bool = False


class ChildAway(ParentEvent, frozen=True, kw_only=True):
    """A child's session ended."""

    reason: str


class ChildStatus(ParentEvent, frozen=True, kw_only=True):
    """The newest observed state of a child; never an older one (A12)."""

    status: messages.Status


class ChildEntries(ParentEvent, frozen=True, kw_only=True):
    """New rows of a child, `(seq, raw, hash, time_ms, kind, key)`, each told once in an epoch (A8, decision 0027).

    `node` is the address of who made them: the child, or a node below a child hub that relayed them (decision 0030).
    They follow row `prev`, whose hash is `before`, and end with row `last`, whose hash is `hash`; GAPs are among them.
    `poison`: those in between that are no entries, `(seq, raw, hash)`; there may be nothing else. Unchained: no hashes.
    """

    stream: str
    epoch: str
    rows: list[tuple[int, bytes, bytes, int, str, str]]
    prev: int
    before: bytes
    last: int
    hash: bytes
    poison: list[tuple[int, bytes, bytes]] = []


class ChildRoster(ParentEvent, frozen=True, kw_only=True):
    """What a child hub knows of the nodes below it has changed: `put` and `gone` are addresses below that child."""

    put: list[str]
    gone: list[str]


class RenewAsked(ParentEvent, frozen=True, kw_only=True):
    """A child asks for a new certificate; answer by `Parent.renewed`."""

    csr: str


class ChildAnswer(ParentEvent, frozen=True, kw_only=True):
    """One part of an answer to `Parent.ask`."""

    answer: messages.Answer


class CloneSeen(ParentEvent, frozen=True, kw_only=True):
    """Alarm: one session counter, two nonces. Both are quarantined until `Parent.release` (A13)."""

    session: int


class ChildRestored(ParentEvent, frozen=True, kw_only=True):
    """Alarm: the child's session counter is behind what it once was: an old copy of its store (A17)."""

    session: int
    newest: int


class EpochChanged(ParentEvent, frozen=True, kw_only=True):
    """A stream of the child goes on in a new epoch; the former one is fenced at `seq` (A9).

    The new one goes on after row `place`. Rows up to `again` may have come under former epochs, `lost` are given up.
    `hash` (hex) is that of row `seq`, `place_hash` that of `place`.
    """

    stream: str
    epoch: str
    former: str
    seq: int
    reason: str
    place: int
    hash: str = ""
    place_hash: str = ""
    again: int = 0
    lost: int = 0


class StreamMet(ParentEvent, frozen=True, kw_only=True):
    """A stream is met for the first time, and goes on from elsewhere: after row `place`, from the epoch `former`.

    Rows up to `again` may have come under former epochs, by way of where it was before.
    """

    stream: str
    epoch: str
    former: str
    place: int
    place_hash: str
    again: int = 0


class HeldBack(ParentEvent, frozen=True, kw_only=True):
    """A hub between here and the origin holds rows back, and signs for that: `held` (protocol.link.relay.runs.Held)."""

    stream: str
    epoch: str
    held: runs.Held


class ChildCarried(ParentEvent, frozen=True, kw_only=True):
    """The newest word of a child that came without a session, in a bundle: how it stood when that was made."""

    hello: messages.Hello
    status: messages.Status


class LossDeclared(ParentEvent, frozen=True, kw_only=True):
    """The child declares that `count` rows of a stream will not come (0: unknown how many).

    Of a node further down it may be its `hub` that did not relay them: they are listed, and taken if they come.
    """

    stream: str
    epoch: str
    count: int
    reason: str
    hub: str = ""


class Fork(ParentEvent, frozen=True, kw_only=True):
    """Alarm: same (node, epoch, seq), other bytes. Set aside, nothing overwritten (A7).

    Of a node further down `node` is the address that the bytes came from, and `reason` the one that is held for true.
    """

    stream: str
    epoch: str
    seq: int
    reason: str


class GapRefused(ParentEvent, frozen=True, kw_only=True):
    """Alarm: a GAP over `first`..`last` is not signed as it must be: set aside; the stream waits there (A4, A16).

    It goes on with a GAP that is signed, or with any after `Parent.release`.
    """

    stream: str
    epoch: str
    first: int
    last: int
    reason: str


class Poison(ParentEvent, frozen=True, kw_only=True):
    """`count` rows of a message, the first of them `seq`, are no entries: counted, the first ones set aside.

    Their stream goes on (A21).
    """

    stream: str
    epoch: str
    seq: int
    count: int


class RestoredParent(ParentEvent, frozen=True, kw_only=True):
    """Alarm: the child holds what we never asked for: we were restored. Nothing is sent until `new_term` (A17)."""

    held: messages.Held
    term: int
    generation: int


class Misbehaved(ParentEvent, frozen=True, kw_only=True):
    """The child sent what the link forbids; it was dropped."""

    reason: str


class Crowded(ParentEvent, frozen=True, kw_only=True):
    """Alarm: the child relays more ranges of missing rows than there is room for; `hub` is where most of them are.

    The lowest there are only counted any more (limits.MISSING_OF_CHILD_MAX).
    """

    hub: str


class CloseAsked(ParentEvent, frozen=True, kw_only=True):
    """Close this connection of the child: superseded, quarantined or revoked (`ban`: admit it no more)."""

    connection: int
    reason: str
    ban: bool = False
