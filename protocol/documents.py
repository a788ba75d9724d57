"""The agent's language: small, strict, already decided (DESIGN 6). Documents are named by the digest of their bytes.

`encode` gives the canonical bytes: compact JSON, keys in the struct's order, maps sorted. A document is decoded from
the very bytes that were hashed; nothing is ever re-encoded to compare it.
"""

from __future__ import annotations

import hashlib

import msgspec

from protocol import limits
from protocol.errors import RemoteProtocolError, TooLarge
from protocol.ids import Digest


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", omit_defaults=True):
    """The base of all documents; `is` in the JSON names the type."""


class InlineFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A small file written into the working directory before start; `path` is relative and stays inside."""

    path: str
    text: str
    mode: int = 0o644


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Resource limits; None leaves the system's own. Memory in bytes, cpu in cores, files and processes as counts."""

    memory_bytes: int | None = None
    cpu: float | None = None
    open_files: int | None = None
    processes: int | None = None


class Isolation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workload is kept from. What the device cannot enforce is told; if `required`, it is refused.

    Paths are absolute. `reads` and `writes`: all that it may touch (Landlock), besides the system's programs and its
    own working directory; both empty: all that its user may. `rlimits`: by the kernel's names (core, stack, ...).
    """

    required: bool = False
    groups: list[str] = []
    new_privileges: bool = False
    """It may gain rights that its user has not (sudo, ping)."""
    read_only: list[str] = []
    private_tmp: bool = False
    no_network: bool = False
    reads: list[str] = []
    writes: list[str] = []
    rlimits: dict[str, int] = {}


class Process(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The runtime part: only a change of this restarts a service (DESIGN 4).

    `command[0]` is looked up in the working directory first when it has a slash, else on PATH. The working directory
    is the unpacked artifact, or the workload's own empty folder; `cwd` is relative to it.
    """

    command: list[str]
    artifact: str = ""
    env: dict[str, str] = {}
    cwd: str = ""
    user: str = ""
    files: list[InlineFile] = []
    limits: Limits = Limits()
    isolation: Isolation = Isolation()


class Backoff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exponential from `min_s` to `max_s`, each wait jittered down by up to a half."""

    min_s: float = limits.RESTART_BACKOFF_S_MIN
    max_s: float = limits.RESTART_BACKOFF_S_MAX


class Probe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One health probe: `exec` (a command, exit 0 is healthy) or `http` (a GET on loopback, 2xx-3xx is healthy)."""

    exec: list[str] = []
    http: str = ""
    interval_s: float = 10.0
    timeout_s: float = limits.PROBE_TIMEOUT_S
    delay_s: float = 0.0
    failures: int = 3
    successes: int = 1


class Lease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent does with a service while it hears nothing of its hub; not of the runtime part.

    `stop_after_s` None: it runs on. `at_most_one`: it runs only under a lease that the shim enforces (INVARIANTS A20).
    """

    stop_after_s: float | None = None
    at_most_one: bool = False


class Disconnect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a hub does with a service on a node that it does not hear; it never crosses a link by itself.

    `replace_after_s` None: it waits. `on_return`: keep_original, keep_replacement, keep_newest or keep_both.
    """

    replace_after_s: float | None = None
    on_return: str = "keep_original"
    at_most_one: bool = False


class Assignment(Document, frozen=True, kw_only=True, tag="assignment"):
    """What one agent is asked to do with one service. `restart` is `always`, `on-failure` or `never`."""

    service: str
    process: Process
    restart: str = "always"
    backoff: Backoff = Backoff()
    health: Probe | None = None
    restart_unhealthy: bool = False
    stop_grace_s: float = limits.STOP_GRACE_S
    ship_logs: bool = False
    labels: dict[str, str] = {}
    lease: Lease = Lease()


class Fence(Document, frozen=True, kw_only=True, tag="fence"):
    """The term of the copy of `service` that is asked for here: it rises with each new copy, wherever that is placed.

    It stands beside the assignment, so that all copies of a service have the same one; without it there is no term.
    """

    service: str
    fence: int
    above: str = ""
    """The `text` that the hub above gave to all copies below the hub that says this; empty: the service is its own."""

    @property
    def text(self) -> str:
        """What the copy finds as SKERRY_FENCE: as text it is higher for each new copy, whichever hub placed it."""
        own = f"{self.fence:0{limits.FENCE_DIGITS}d}"
        return f"{self.above}.{own}" if self.above else own


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Runs a step only if an earlier one ended so. `is_` is `ok`, `failed`, `skipped` or `any`; or an output equals."""

    step: str
    is_: str = msgspec.field(default="", name="is")
    output: str = ""
    equals: str = ""


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`attempts` counts the first one. Each wait doubles from `min_s` to `max_s`, jittered down by up to a half."""

    attempts: int = 1
    min_s: float = 1.0
    max_s: float = 60.0


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step: a command (`run`), or `set`: outputs from references, no process.

    References are `${params.NAME}` and `${steps.STEP.outputs.NAME}`; they are replaced in `run`, `env` and `set`
    values. `interrupted` says what an agent does that finds the step started and its outcome unknown. `user` (if not
    empty), `limits` and `isolation` (if not None) are its own, in place of the workflow's.
    """

    name: str
    needs: list[str] = []
    run: list[str] = []
    set: dict[str, str] = {}
    env: dict[str, str] = {}
    timeout_s: float = 3_600.0
    retry: Retry = Retry()
    interrupted: str = "fail"
    when: list[Condition] = []
    user: str = ""
    limits: Limits | None = None
    isolation: Isolation | None = None


class Cron(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule: a cron expression (5 fields, or 6 with seconds first) in a time zone; what missed firings mean."""

    cron: str
    timezone: str = "UTC"
    catch_up: str = "none"


class Workflow(Document, frozen=True, kw_only=True, tag="workflow"):
    """A graph of steps. `concurrency` bounds the runs at a time; a firing beyond it is recorded as skipped."""

    workflow: str
    steps: list[Step]
    triggers: list[Cron] = []
    params: dict[str, str] = {}
    artifact: str = ""
    env: dict[str, str] = {}
    user: str = ""
    limits: Limits = Limits()
    isolation: Isolation = Isolation()
    concurrency: int = 1
    labels: dict[str, str] = {}


class Task(Document, frozen=True, kw_only=True, tag="task"):
    """A one-off: a command, or the start of a workflow (`workflow`, `params`). `deadline_ms` is in the parent's time.

    `repeatable` declares it safe to run again after a crash between START and END (INVARIANTS A14).
    `deadline_ms` 0 means no deadline.
    """

    id: str
    command: list[str] = []
    workflow: str = ""
    cancel_run: str = ""
    params: dict[str, str] = {}
    timeout_s: float = limits.TASK_TIMEOUT_S_DEFAULT
    deadline_ms: int = 0
    repeatable: bool = False
    user: str = ""
    limits: Limits = Limits()
    isolation: Isolation = Isolation()
    by: str = ""


class ReleaseRequest(Document, frozen=True, kw_only=True, tag="release"):
    """The hub asks for an override back (DESIGN 7), or for the end of a hold; the person at the device decides."""

    service: str
    """Whose override; empty: it is about the hold."""
    by: str
    reason: str = ""


class Delegation(Document, frozen=True, kw_only=True, tag="delegation"):
    """What a hub asks of a hub: an operator's document as it was declared (`spec`: its JSON), with this hub's share.

    `owner` is the path of the hub where it was declared, `generation` counts its changes there. `share`: on how many
    nodes of this subtree; None: on all that match.
    """

    kind: str
    name: str
    generation: int
    owner: str
    spec: msgspec.Raw
    share: int | None = None
    by: str = ""
    word: str = ""
    """The agents' document as its owner signed it, where only that one's word counts (an Upgrade)."""


class Recall(Document, frozen=True, kw_only=True, tag="recall"):
    """The owner of a delegated document asks a hub to end its override of it: the one that began at `since_ms` there.

    `at` is the address of that hub below the one that is told, empty: that one itself. `by` asked at the hub `owner`;
    milliseconds of `asked_ms` are that hub's.
    """

    kind: str
    name: str
    at: str = ""
    since_ms: int
    by: str
    owner: str
    reason: str
    asked_ms: int


class Errand(Document, frozen=True, kw_only=True, tag="errand"):
    """A task that a hub is to hand on to the nodes at these addresses below it (protocol.ids.address)."""

    task: Task
    at: list[str]


class Haven(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hub that a node may turn to: where it listens, and how it proves itself there.

    `scope` is the DNS name that its certificate proves, and the domain of what it certifies. `mqtt_name`: who answers
    at `mqtt_host`, if a broker does (`sealed`).
    """

    id: str
    scope: str
    mqtt_host: str
    mqtt_port: int
    api_host: str
    api_port: int
    mqtt_name: str = ""
    sealed: bool = False


class Grant(Document, frozen=True, kw_only=True, tag="grant"):
    """Where the devices of the hub `of` may turn when that is gone for good: the word of the hub above, beforehand.

    `scope` is that hub's domain, in which the certificates of its devices stand; `havens` are in order, `of` the first.
    Nobody turns before `after_s` without contact. `number`, `chain` and `signature` as in a Move.
    """

    of: str
    scope: str
    after_s: float
    havens: list[Haven]
    number: int
    by: str
    chain: str = ""
    signature: str = ""


class Move(Document, frozen=True, kw_only=True, tag="move"):
    """A node is to turn from one hub to another: the word of a hub above both, to the node and to both hubs.

    `key` is the SHA-256 of the node's key, `labels` are those that it had. `number` counts what `by` said of this node:
    the highest one holds. `arrived`: it has been heard there, and is to be let go of. `revoked`: why the node may not
    turn there: it came by a grant, and is told so by `to`, which alone gets this word. `leaves` and `joins` are the
    addresses, below `by`, of the hubs `former` and `to`; empty: `by` itself. The hubs on these ways hand it on.
    `others`: the highest numbers of other hubs that said where it belongs, as far as `by` knows. `signature` (base64)
    is by the signing key of `by`, whose certificates are `chain`, over protocol.trust.grants.covered().
    """

    node: str
    key: str
    labels: dict[str, str] = {}
    former: str
    to: Haven
    leaves: str = ""
    joins: str = ""
    number: int
    by: str
    others: dict[str, int] = {}
    who: str = ""
    arrived: bool = False
    revoked: str = ""
    chain: str = ""
    signature: str = ""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package for Debian `release` on `arch`; `artifact` is the package itself."""

    release: str
    arch: str
    artifact: str


class Upgrade(Document, frozen=True, kw_only=True, tag="upgrade"):
    """The agent is to be of `version`: the word of the root hub, to devices that one of `packages` fits.

    With `only` no other node may have it than those of these names, whoever hands it on. `confirm_s` is the time within
    which the new one must say that all is well. The highest `number` holds. `signature` (base64) is by the signing key
    of the root hub `by`, whose certificates are `chain`, over protocol.trust.releases.covered(): what installs it
    proves it under the root that was pinned at the installation, and believes nobody else.
    """

    name: str
    version: str
    packages: list[Package]
    only: list[str] = []
    confirm_s: float = limits.UPGRADE_CONFIRM_S
    number: int = 0
    by: str = ""
    chain: str = ""
    signature: str = ""

    def full(self, release: str) -> str:
        """Return the version as the package for Debian `release` has it."""
        return f"{self.version}+deb{release}"

    def fitting(self, release: str, arch: str) -> Package | None:
        """Return the package for Debian `release` on `arch`."""
        return next((one for one in self.packages if (one.release, one.arch) == (release, arch)), None)

    @property
    def machines(self) -> str:
        """Return what there are packages for, in words."""
        return ", ".join(f"Debian {one.release} on {one.arch}" for one in self.packages)


AnyDocument = (
    Assignment | Fence | Workflow | Task | ReleaseRequest | Delegation | Recall | Errand | Move | Grant | Upgrade
)

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[AnyDocument] = msgspec.json.Decoder(AnyDocument)


def encode(document: AnyDocument) -> bytes:
    """Return the canonical bytes of `document`."""
    return _encoder.encode(document)


def decode(raw: bytes) -> AnyDocument:
    """Return the document in `raw`. Raises TooLarge or RemoteProtocolError; never anything else."""
    if len(raw) > limits.DOCUMENT_BYTES_MAX:
        raise TooLarge(f"a document of {len(raw)} bytes is over {limits.DOCUMENT_BYTES_MAX}")
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not a document: {error}") from error


def digest_of(raw: bytes) -> Digest:
    """Return the digest that names `raw`."""
    return Digest("sha256:" + hashlib.sha256(raw).hexdigest())


def document_id(document: AnyDocument) -> str:
    """Return the id under which a manifest lists `document`."""
    match document:
        case Assignment():
            return f"assignment/{document.service}"
        case Fence():
            return f"fence/{document.service}"
        case Workflow():
            return f"workflow/{document.workflow}"
        case Task():
            return f"task/{document.id}"
        case ReleaseRequest():
            return f"release/{document.service}" if document.service else "unhold/device"
        case Delegation():
            return f"delegation/{document.kind}/{document.name}"
        case Recall():
            return f"recall/{document.kind}/{document.name}/{document.at}"
        case Errand():
            return f"errand/{document.task.id}"
        case Move():
            return f"move/{document.node}"
        case Grant():
            return f"grant/{document.of}"
        case Upgrade():
            return f"upgrade/{document.name}"


def manifest_digest(items: dict[str, str]) -> Digest:
    """Return the digest of a whole set of items (document id -> digest): over its canonical JSON, sorted by id."""
    return digest_of(_encoder.encode(items))
