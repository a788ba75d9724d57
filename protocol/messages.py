"""What crosses a link (DESIGN 4): one frozen struct for each message, and nothing else does.

    child -> parent    Hello Status Roster Entries Need Renew Answer Bye
    parent -> child    Welcome Look Desired Documents EntriesAck RosterAck Leases Renewed Revoked Ask

Every message of a parent carries its incarnation; every message that belongs to a session carries the session's
counter, so that what is late is recognised and changes nothing (INVARIANTS A13). The bytes are pinned in
tests/golden. Streams of every class, `relay` included, cross as the same Entries, so a tier more changes no byte here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from protocol import limits

Count = Annotated[int, msgspec.Meta(ge=0, le=limits.INTEGER_MAX)]
Moment = Annotated[int, msgspec.Meta(ge=-limits.INTEGER_MAX, le=limits.INTEGER_MAX)]
"""Milliseconds of somebody's wall clock, which may believe anything; but it stays a number that floats can hold."""
Word = Annotated[str, msgspec.Meta(max_length=limits.WORD_CHARS_MAX)]
"""A name, a hash, a reason: what is kept of a peer, and shown, is short (INVARIANTS C10)."""
Address = Annotated[str, msgspec.Meta(max_length=limits.ADDRESS_CHARS_MAX)]
"""Where a node is below the sender (protocol.ids.address, which also checks its grammar)."""

CLASSES = ("audit", "state", "metrics", "logs")
RELAYS = ("relay_audit", "relay_state", "relay_metrics", "relay_logs")
"""What a hub relays of each of CLASSES: a stream for each, so that none pushes another out (INVARIANTS A16)."""
STREAMS = (*CLASSES, *RELAYS)
CHAINED = frozenset({"audit", "state", *RELAYS})
"""Streams whose entries are hash-chained; `metrics` and `logs` are not (DESIGN 4)."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", omit_defaults=True):
    """The base of all messages; `is` in the JSON names the type."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One journaled fact as it is stored, hashed and sent: `[seq, time_ms, kind, key, body]`.

    `time_ms` is the device's wall clock, for people only (A15). `kind` names what happened (`service.started`),
    `key` whom it concerns (a service, a run). `body` is a JSON value.
    """

    seq: int
    time_ms: int
    kind: str
    key: str
    body: msgspec.Raw


class GapBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of an entry of kind `gap`: rows `first`..`last` are gone, declared (A16).

    The entry has seq `last`; the chain goes on from `hash` (hex), which is that of row `last`. `signature` (base64) is
    that of the node which lost the rows, over protocol.trust.gaps.gap_bytes(), by `key` (its SubjectPublicKeyInfo, DER,
    base64). A GAP that is not signed for its node, epoch and stream is never applied.
    """

    first: int
    last: int
    count: int
    reason: str
    hash: str
    signature: str = ""
    key: str = ""


# ------------------------------------------------------------------------------------------------ child -> parent


class StreamHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a child's stream stands. `first` is the lowest seq it still holds (last + 1 when it holds none), `before`
    the hash of the row below it; empty when that is not known, or a GAP stands at `first`.

    `was` is given when this epoch goes on in the file of another: rows keep their numbers and hashes, and up to
    `was.seq` both epochs have the same rows (A9). A parent whose cursor in the former epoch is not beyond that goes on
    from its cursor, else from `was`. One that knows no former epoch begins after `base`, whose hash is `base_hash`
    ("": the genesis of this epoch); so does one whose cursor is below `base`, for these rows are given up.
    """

    epoch: Word
    seq: Count
    hash: Word = ""
    first: Count = 1
    before: Word = ""
    was: FormerEpoch | None = None
    base: Count = 0
    base_hash: Word = ""


class FormerEpoch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a former epoch as far as the child knows it; seq 0 when it knows nothing.

    `lost` declares how many of its rows may never have reached a parent, at most.
    """

    epoch: Word
    seq: Count
    hash: Word = ""
    reason: Word = ""
    lost: Count = 0


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The manifest a child holds; all zero and empty when it has none."""

    term: Count = 0
    generation: Count = 0
    digest: Word = ""


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """Opens a session. `session` is a counter stored before connecting, `nonce` (hex) proves who minted it (A13).

    `contact_s`: the child is metered, and means to speak this seldom; 0.0: it speaks as the parent expects.
    """

    session: Count
    nonce: Word
    node: Word
    version: Word
    capabilities: Annotated[list[Word], msgspec.Meta(max_length=limits.LABELS_MAX)] = []
    labels: Annotated[dict[Word, Word], msgspec.Meta(max_length=limits.LABELS_MAX)] = {}
    streams: Annotated[dict[Word, StreamHead], msgspec.Meta(max_length=limits.LINK_STREAMS_MAX)] = {}
    held: Held = Held()
    time_ms: Moment = 0
    contact_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Status(Message, frozen=True, kw_only=True, tag="status"):
    """The latest observed state, whole (a level). `count` rises with each Status of a session; older never wins."""

    session: Count
    count: Count
    held: Held
    heads: Annotated[dict[Word, Count], msgspec.Meta(max_length=limits.LINK_STREAMS_MAX)]
    """Last seq of each stream when this was true (A12)."""
    time_ms: Moment
    body: msgspec.Raw
    """A protocol.status.Report as JSON; opaque to the link."""
    leases: Annotated[list[Word], msgspec.Meta(max_length=limits.SERVICES_MAX)] = []
    """Services whose leases the child asks to begin anew with the moment at which it sends this (A20)."""


class Roster(Message, frozen=True, kw_only=True, tag="roster"):
    """What a hub last knew of the nodes below it, some at a time: a level, never appended; an agent sends none.

    `put` maps an address below the sender (protocol.ids.address) to a Brief (protocol.link.roster) as JSON. The first
    ones of a session bring all that there is (`whole`); the one with `last` ends them, and what none of them named is
    gone then, and not before (INVARIANTS A11). After them come changes. `number` counts them within the session, from
    1; they are taken in order and acked by RosterAck.
    """

    session: Count
    number: Count
    put: dict[Address, msgspec.Raw] = {}
    gone: list[Address] = []
    whole: bool = False
    last: bool = False


class Entries(Message, frozen=True, kw_only=True, tag="entries"):
    """Rows of one stream, contiguous: the first has seq `prev` + 1, or is a GAP that covers it."""

    session: Count
    stream: Word
    epoch: Word
    prev: Count
    rows: list[msgspec.Raw]
    hash: Word = ""
    """The sender's own hash of the last row, hex; it must be what the receiver's chain gives (A7). Empty: unchained."""


class Need(Message, frozen=True, kw_only=True, tag="need"):
    """Asks for documents that the manifest names and the child lacks, and for tickets of artifacts."""

    session: Count
    documents: list[Word] = []
    tickets: list[Word] = []
    manifest: bool = False
    """The child could not use a delta: send the whole manifest."""


class Renew(Message, frozen=True, kw_only=True, tag="renew"):
    """Asks for a new certificate on the same key (`csr` is PEM)."""

    session: Count
    csr: str


class Answer(Message, frozen=True, kw_only=True, tag="answer"):
    """One part of the answer to an Ask."""

    session: Count
    id: Word
    part: Count
    last: bool
    data: msgspec.Raw


class Bye(Message, frozen=True, kw_only=True, tag="bye"):
    """The end of a session: sent on a clean stop, and the MQTT will."""

    session: Count
    nonce: Word
    reason: Word


# ------------------------------------------------------------------------------------------------ parent -> child


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a parent has committed a child's stream, and how many rows beyond it may be on their way."""

    epoch: str
    seq: Count
    hash: str = ""
    credit: Count = 0


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """Accepts a session. `nonce` repeats Hello's. `chain` is the parent's signing certificate chain (PEM)."""

    incarnation: str
    session: Count
    nonce: str
    parent: str
    cursors: dict[str, Cursor]
    time_ms: Moment
    contact_s: float
    """How seldom the child may speak before it counts as a missed contact."""
    chain: str = ""
    version: str = ""
    renew_only: bool = False
    """The child's certificate has expired: only Renew is served."""
    refused: str = ""
    """Not empty: there is no session, and this is why (quarantined). The child shows it and asks again seldom."""


class Look(Message, frozen=True, kw_only=True, tag="look"):
    """Says "look again": the child answers with a new Hello on a new session. Sent by a parent that started.

    `session` above 0 answers a Hello whose counter is behind: the child was restored, and mints above `session`.
    `ended` above 0: what came of the child was of no open session; the newest that was is over, of which a child behind
    a broker may know nothing.
    """

    incarnation: str
    session: Count = 0
    ended: Count = 0


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent signs: `signature` (base64) is Ed25519 over protocol.trust.signing.manifest_bytes()."""

    parent: str
    child: str
    term: Count
    generation: Count
    digest: str
    """Of the canonical bytes of the whole set of items (protocol.documents.manifest_digest)."""
    key: str
    signature: str


class Desired(Message, frozen=True, kw_only=True, tag="desired"):
    """All that the parent asks: the whole set of items, or the change from the set with digest `base`.

    Items map a document's id (`assignment/NAME`, `workflow/NAME`, `task/ID`, `policy/NAME`) to its digest. The
    signature always covers the digest of the whole. `documents` are bodies small enough to ride along.
    """

    incarnation: str
    session: Count
    signed: Signed
    base: str = ""
    put: dict[str, str] = {}
    gone: list[str] = []
    documents: list[msgspec.Raw] = []


class Documents(Message, frozen=True, kw_only=True, tag="documents"):
    """Bodies the child asked for, each named by the digest of its bytes; and tickets for artifacts by digest."""

    incarnation: str
    session: Count
    documents: list[msgspec.Raw] = []
    tickets: dict[str, str] = {}
    missing: list[str] = []


class EntriesAck(Message, frozen=True, kw_only=True, tag="ack"):
    """The parent has committed everything up to `seq`; sent after that commit (A2)."""

    incarnation: str
    session: Count
    stream: str
    epoch: str
    seq: Count
    hash: str = ""
    credit: Count = 0
    refill: bool = False
    """The parent could not apply what came: resume from `seq`."""
    fork: bool = False
    """What came contradicts what the parent holds (A7): the child takes a new epoch."""


class RosterAck(Message, frozen=True, kw_only=True, tag="roster-ack"):
    """The parent has taken all Rosters of the session up to `number`; it waits for the next one."""

    incarnation: str
    session: Count
    number: Count


class Leases(Message, frozen=True, kw_only=True, tag="leases"):
    """Answers the Status `count`: the seconds for which each service may run, from when the child sent that Status.

    What it asked for and does not find here it may not run beyond the lease that it has. The parent stores what it
    gives before it sends it, and gives nobody else the lease before this one is over (INVARIANTS A20).
    """

    incarnation: str
    session: Count
    count: Count
    granted: dict[str, float]


class Renewed(Message, frozen=True, kw_only=True, tag="renewed"):
    """The new certificate chain (PEM), or why there is none."""

    incarnation: str
    session: Count
    certificate: str = ""
    refused: str = ""


class Revoked(Message, frozen=True, kw_only=True, tag="revoked"):
    """The node is no longer part of the fleet: signed over protocol.trust.signing.revoked_bytes()."""

    incarnation: str
    parent: str
    child: str
    time_ms: Moment
    reason: str
    key: str
    signature: str


class Ask(Message, frozen=True, kw_only=True, tag="ask"):
    """A question; not durable. `what` is `logs`, `status` or `runs`; nothing that changes something is an Ask.

    `at` is the address below the child of the node that it is for; empty: the child itself.
    """

    incarnation: str
    session: Count
    id: str
    deadline_ms: Moment
    what: str
    params: dict[str, str] = {}
    at: str = ""


FromChild = Hello | Status | Roster | Entries | Need | Renew | Answer | Bye
FromParent = Welcome | Look | Desired | Documents | EntriesAck | RosterAck | Leases | Renewed | Revoked | Ask
AnyMessage = FromChild | FromParent
