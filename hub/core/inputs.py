"""What enters the hub's core, and the actions that leave it.

Every request of an operator is one input; its answer is one Reply after the commit. What an operator changes is an
entry in the hub's own audit stream: who, what, when. Reads are not inputs: hub.core.views has pure functions over the
core.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol import documents
from protocol.effects import Action
from protocol.messages import AnyMessage, Revoked


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all inputs of the hub's core."""


class Started(Input, frozen=True, kw_only=True):
    """First input of every life. `entropy`: 32 random bytes."""

    entropy: bytes
    incarnation: str
    version: str


class Upgraded(Input, frozen=True, kw_only=True):
    """What became, at this hub's machine, of the last version that was asked for: `done`, `back` or `refused`."""

    number: int
    version: str
    outcome: str
    reason: str


class Tick(Input, frozen=True, kw_only=True):
    """The timer fired."""


class Opened(Input, frozen=True, kw_only=True):
    """A child's transport is connected; its identity is proven. `expired`: its certificate is past its dates.

    `connection` names the socket (0 through an external broker).
    """

    node: str
    connection: int
    key: str
    """SHA-256 of the child's SubjectPublicKeyInfo, hex."""
    expired: bool = False
    scope: str = ""
    """The domain that its certificate stands in; of a hub, and where it does not matter, empty."""


class Closed(Input, frozen=True, kw_only=True):
    """The socket ended (`connection`), or a will or Bye arrived (`session`, `nonce`). Of an older one: no effect."""

    node: str
    connection: int = 0
    session: int = 0
    nonce: str = ""
    reason: str = ""


class Got(Input, frozen=True, kw_only=True):
    """A message of a child, decoded and authenticated."""

    node: str
    connection: int
    message: AnyMessage


class Bad(Input, frozen=True, kw_only=True):
    """A child sent what is no message; counted and shown."""

    node: str
    connection: int
    error: str


class Strayed(Input, frozen=True, kw_only=True):
    """What came through an external broker is of no session that is open here: `node` may not know that its is over."""

    node: str


class Reachable(Input, frozen=True, kw_only=True):
    """The external broker is connected, anew: children that sat there unheard do not know that we are back."""


class UpInput(Input, frozen=True, kw_only=True):
    """The base of what comes from above: from this hub's own parent."""


class UpOpened(UpInput, frozen=True, kw_only=True):
    """The transport to the parent of `session` is connected."""

    session: int


class UpClosed(UpInput, frozen=True, kw_only=True):
    """It ended, or could not be connected. `turned_away`: the parent's transport did not let us in."""

    session: int
    reason: str
    turned_away: bool = False


class UpGot(UpInput, frozen=True, kw_only=True):
    """A message of the parent, decoded and authenticated."""

    message: AnyMessage


class ArtifactFetched(UpInput, frozen=True, kw_only=True):
    """A FetchArtifact ended: it is here with `size` bytes, or `error` says why not.

    `ticket_refused`: the parent wants another ticket; `lacks`: there is no room for so many bytes.
    """

    digest: str
    size: int = 0
    error: str = ""
    ticket_refused: bool = False
    lacks: int = 0


class Stopping(UpInput, frozen=True, kw_only=True):
    """This hub is about to end in order."""


class CertificateIssued(Input, frozen=True, kw_only=True):
    """The answer to IssueCertificate: a PEM chain, or `error`."""

    request: str
    node: str
    certificate: str = ""
    serial: str = ""
    until_ms: int = 0
    error: str = ""


class ArtifactsFound(Input, frozen=True, kw_only=True):
    """The hub starts, and these artifacts lie in its folder: size in bytes by digest."""

    sizes: dict[str, int]


class Request(Input, frozen=True, kw_only=True):
    """An operator's request, answered by Reply. `who` is the operator's name (`token:NAME`, `user`), for the audit."""

    request: int
    who: str
    op: AnyOp


# ------------------------------------------------------------------------------------------------ operations


class Op(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """The base of all operations."""


class Enroll(Op, frozen=True, kw_only=True, tag="enroll"):
    """A device asks in. The shell has parsed the CSR: `key` is the SHA-256 of its SubjectPublicKeyInfo, hex.

    `token` is the token's id and `secret_hash` the SHA-256 (hex) of the secret that the device showed: the secret
    itself never enters the core. `name` empty: the hub names the node after `facts["hostname"]` or the token.
    A hub asks in with a second request, for the CA that it is to have: `ca` (PEM) on the key `ca_key`.
    """

    token: str
    secret_hash: str
    name: str
    csr: str
    key: str
    ca: str = ""
    ca_key: str = ""
    labels: dict[str, str] = {}
    facts: dict[str, str] = {}


class Renew(Op, frozen=True, kw_only=True, tag="renew"):
    """A device that its link does not let in asks apart, signed with `key` (SHA-256 of the SubjectPublicKeyInfo, hex).

    The shell has checked the signature; `csr` is on that key. `until_ms`: the end of the certificate that it has.
    Answered by a Standing.
    """

    node: str
    key: str
    csr: str
    until_ms: int


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a device stands, for one that asks apart: `certificate` (PEM) when it needs one; `revoked`, the signed word;
    neither: its certificate is good. `chain` proves the key that signed."""

    certificate: str = ""
    revoked: Revoked | None = None
    chain: str = ""


class CreateToken(Op, frozen=True, kw_only=True, tag="create-token"):
    """`secret_hash` is SHA-256 hex of the secret; the secret itself never enters the core.

    `kind` is what it lets in: `agent` or `hub`. `node`: the reserved name that it is for, if it is for one.
    """

    id: str
    secret_hash: str
    ttl_s: float
    uses: int
    labels: dict[str, str] = {}
    kind: str = "agent"
    node: str = ""


class DeleteToken(Op, frozen=True, kw_only=True, tag="delete-token"):
    """Withdraw an enrollment token."""

    id: str


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """That documents are to stand in the place of delegated ones of their names, for so long."""

    for_s: float
    reason: str


class Apply(Op, frozen=True, kw_only=True, tag="apply"):
    """Documents in the operator's language, already validated by protocol.spec: one canonical JSON object each."""

    documents: list[dict[str, Any]]
    dry_run: bool = False
    override: Override | None = None


class DeleteResource(Op, frozen=True, kw_only=True, tag="delete"):
    """`kind` is `service` or `workflow`."""

    kind: str
    name: str


class ReleaseOverride(Op, frozen=True, kw_only=True, tag="release-override"):
    """Let what is delegated under this name be in force again: here, or at the hub `at` below, which its owner asks."""

    kind: str
    name: str
    at: str = ""
    reason: str = ""


class CreateTasks(Op, frozen=True, kw_only=True, tag="create-tasks"):
    """One task for each node that matches: a command, the start of a workflow, or a cancel.

    Give `nodes` or `selector`; an empty selector selects nobody (C7). `deadline_s` None means no deadline.
    """

    nodes: list[str] = []
    selector: str = ""
    command: list[str] = []
    workflow: str = ""
    cancel_run: str = ""
    params: dict[str, str] = {}
    timeout_s: float = 30.0
    deadline_s: float | None = 30.0
    repeatable: bool = False
    user: str = ""
    limits: documents.Limits = documents.Limits()
    isolation: documents.Isolation = documents.Isolation()


class LabelNode(Op, frozen=True, kw_only=True, tag="label"):
    """Set and remove labels of a node."""

    node: str
    set: dict[str, str] = {}
    remove: list[str] = []


class CordonNode(Op, frozen=True, kw_only=True, tag="cordon"):
    """Keep new work away from a node, or let it in again."""

    node: str
    cordoned: bool


class DrainNode(Op, frozen=True, kw_only=True, tag="drain"):
    """Cordon a node and take its placed work away."""

    node: str


class RevokeNode(Op, frozen=True, kw_only=True, tag="revoke"):
    """The node is no longer part of the fleet, from now on and for ever (C5)."""

    node: str
    reason: str = ""


class AcceptNode(Op, frozen=True, kw_only=True, tag="accept"):
    """An operator has looked at a node's alarms and clears them.

    Ends a quarantine (the next Hello decides which copy it is); after this hub was restored, takes over again with a
    new term, so that what the node holds is replaced by what this hub asks (INVARIANTS A13, A17).
    """

    node: str
    reason: str = ""


class AskNode(Op, frozen=True, kw_only=True, tag="ask"):
    """Put a question to a connected node; the answer's parts come as Answered actions with this `id`."""

    id: str
    node: str
    what: str
    params: dict[str, str] = {}
    wait_s: float = 30.0


class AcceptRestore(Op, frozen=True, kw_only=True, tag="accept-restore"):
    """This hub's store may be behind its own past: an operator says that it is to go on (INVARIANTS A17)."""

    reason: str = ""


class MoveNode(Op, frozen=True, kw_only=True, tag="move"):
    """A device is to belong to another hub: this one, or one below it. `node` and `to`: as an operator names them."""

    node: str
    to: str


class RequestRelease(Op, frozen=True, kw_only=True, tag="request-release"):
    """Ask the person at a device to give an override back; to let updates come again, when no service is named."""

    node: str
    service: str
    reason: str = ""


class NoteArtifact(Op, frozen=True, kw_only=True, tag="note-artifact"):
    """An artifact has arrived whole and verified, or somebody who wants to name it has asked whether it is here."""

    digest: str
    size: int


class MakeRoom(Op, frozen=True, kw_only=True, tag="make-room"):
    """An artifact of `size` bytes is to come, and does not fit beside the `coming` bytes of others that are under way:
    let those go that nothing names."""

    size: int
    coming: int = 0


class ReserveNode(Op, frozen=True, kw_only=True, tag="reserve"):
    """Keep a name for a device that has not been met, and make the token that it gets it by, as CreateToken."""

    node: str
    token: str
    secret_hash: str
    ttl_s: float
    labels: dict[str, str] = {}


class ExportBundle(Op, frozen=True, kw_only=True, tag="export-bundle"):
    """Make a bundle for a device: its head, signed, with the names and sizes of its parts."""

    node: str


class TakeBundle(Op, frozen=True, kw_only=True, tag="take-bundle"):
    """A device's bundle was brought: its `bundle.json`. Its parts with rows follow, in order."""

    head: bytes


class TakePart(Op, frozen=True, kw_only=True, tag="take-part"):
    """A part with rows of the bundle of `node` that was begun."""

    node: str
    raw: bytes


AnyNodeOp = (
    LabelNode
    | CordonNode
    | DrainNode
    | RevokeNode
    | AcceptNode
    | RequestRelease
    | ReserveNode
    | ExportBundle
    | TakeBundle
    | TakePart
)
"""What is done with one node."""

AnyOp = (
    AnyNodeOp
    | Enroll
    | Renew
    | CreateToken
    | DeleteToken
    | Apply
    | DeleteResource
    | ReleaseOverride
    | CreateTasks
    | AskNode
    | MoveNode
    | NoteArtifact
    | MakeRoom
    | AcceptRestore
)


# ------------------------------------------------------------------------------------------------ actions


class Reply(Action, frozen=True, kw_only=True):
    """Answer a Request: `data` is JSON; or `error` one sentence, with `status` as an HTTP status code."""

    request: int
    data: bytes = b"null"
    error: str = ""
    status: int = 200


class Notify(Action, frozen=True, kw_only=True):
    """Something changed: "look again".

    `topic` is `node/NAME`, `task/GROUP`, `resource/KIND/NAME`, `entries`, `run/ID` or `token/ID`.
    """

    topic: str


class Answered(Action, frozen=True, kw_only=True):
    """One part of an answer to AskNode; `error` says why there will be none."""

    ask: str
    part: int
    last: bool
    data: bytes = b"null"
    error: str = ""


class IssueCertificate(Action, frozen=True, kw_only=True):
    """Have the authority sign `csr` for `node`; CertificateIssued follows with this `request`.

    `key` is what the CSR's SubjectPublicKeyInfo must hash to (SHA-256, hex); on another key the answer is an `error`.
    `kind`: of the node; a hub gets a CA of its own, confined to its scope.
    """

    request: str
    node: str
    csr: str
    key: str
    kind: str = "agent"


class DropArtifact(Action, frozen=True, kw_only=True):
    """Delete the file of an artifact; harmless when there is none."""

    digest: str


class FetchArtifact(Action, frozen=True, kw_only=True):
    """Fetch an artifact from the parent by this ticket; ArtifactFetched follows."""

    digest: str
    ticket: str


class CloseChild(Action, frozen=True, kw_only=True):
    """Close the child's socket (embedded) or forget its session key (external). `ban`: and refuse it from now on."""

    node: str
    connection: int
    reason: str
    ban: bool = False
