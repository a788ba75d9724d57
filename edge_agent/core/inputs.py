"""What enters the agent's core, and the actions that leave it. The shell makes the one and performs the other.

An `instance` names one execution of one process, for ever: `s-SERVICE-N`, `r-RUN-STEP-ATTEMPT` or `t-TASK` (with `-N`
for its N-th attempt). It keys the shim's folder, so an action that is repeated after a crash finds what it did before
(DESIGN 7: idempotent, keyed by an id).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from edge_agent.core.isolation import Able
from protocol import documents, limits, status
from protocol.effects import Action
from protocol.link.table import Connect as Connect
from protocol.link.table import Disconnect as Disconnect
from protocol.messages import AnyMessage, Moment
from protocol.upgrade.words import Kept


class Exit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a process ended: `code` or `signal`; both None when the record is lost (power cut): outcome unknown.

    `expired`: it was told to end because its lease had run out.
    """

    code: int | None = None
    signal: int | None = None
    time_ms: int = 0
    expired: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A shim's folder found at start. `exit` None: it still runs, and the shell watches it again (adoption).

    `stdout` and `stderr`: the captured tail, as in Ended, when it has ended. `lease_until` as in Launch.
    """

    instance: str
    pid: int
    exit: Exit | None = None
    stdout: str = ""
    stderr: str = ""
    lease_until: float = 0.0


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """Where versions of the agent lie side by side: which one this is, for what, and what root's part keeps of them."""

    version: str
    release: str
    arch: str
    kept: Kept


# ------------------------------------------------------------------------------------------------ inputs


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all inputs of the agent's core."""


class Started(Input, frozen=True, kw_only=True):
    """First input of every life. `entropy`: 32 random bytes. `boot_id` tells a reboot from a restart."""

    boot_id: str
    entropy: bytes
    version: str
    found: list[Found]
    artifacts: list[str]
    """Digests of artifacts that are unpacked and verified on this device."""
    platform: dict[str, str]
    able: Able = Able()
    """What of an isolation this device can enforce."""
    certificate_until_ms: int
    certificate_from_ms: int
    slots: Slots | None = None
    """None: this agent was not installed from its package."""


class Enforces(Input, frozen=True, kw_only=True):
    """What of an isolation the device can enforce is known anew, or who starts what runs here is not heard."""

    able: Able


class Opened(Input, frozen=True, kw_only=True):
    """The transport is connected for `session`."""

    session: int


class Closed(Input, frozen=True, kw_only=True):
    """The transport of `session` ended, or could not be connected; `reason` is for people.

    `turned_away`: who answered there would not have us (TLS, or its front door), and it is no matter of the network.
    """

    session: int
    reason: str
    turned_away: bool = False


class Got(Input, frozen=True, kw_only=True):
    """A message of the parent, decoded and (through an external broker) authenticated."""

    message: AnyMessage


class Tick(Input, frozen=True, kw_only=True):
    """The timer fired."""


class Launched(Input, frozen=True, kw_only=True):
    """The shim of `instance` runs; `pid` leads the workload's process group."""

    instance: str
    pid: int


class LaunchFailed(Input, frozen=True, kw_only=True):
    """`instance` could not be started (no such command, no such user, no space); nothing runs."""

    instance: str
    error: str


class Ended(Input, frozen=True, kw_only=True):
    """The process of `instance` ended. `output` is its captured tail for a task or a step (bounded), else empty."""

    instance: str
    exit: Exit
    stdout: str = ""
    stderr: str = ""


class Probed(Input, frozen=True, kw_only=True):
    """One probe's answer."""

    service: str
    instance: str
    ok: bool
    text: str = ""


class Fetched(Input, frozen=True, kw_only=True):
    """The artifact is unpacked and verified; or `error` says why not (`ticket_refused`: a new ticket is needed)."""

    digest: str
    error: str = ""
    ticket_refused: bool = False


class Sampled(Input, frozen=True, kw_only=True):
    """Vitals, every limits.VITALS_EVERY_S and once at start. `aside`: names of damaged stores that are kept here."""

    vitals: status.Vitals
    aside: list[str] = []


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing a workload says. `to`: `state` (default), `audit`, `metrics`, `logs`, or `outputs` (of a step: body is
    a map of strings). `kind` gets the prefix `app.`; `key` is the service or the run by default.

    `id` numbers what one instance says, always rising. Who does not know whether an item was kept, because the agent
    died before it answered, says it again under its id: what is not above the last one kept is acknowledged and not
    kept twice. 0: unnumbered."""

    kind: str = "event"
    body: msgspec.Raw = msgspec.Raw(b"null")
    key: str = ""
    to: str = "state"
    id: Annotated[int, msgspec.Meta(ge=-limits.INTEGER_MAX, le=limits.INTEGER_MAX)] = 0


class Emitted(Input, frozen=True, kw_only=True):
    """Items of one batch of one workload's connection; answered by EmitAck after the commit."""

    connection: int
    instance: str
    items: list[Item]


class Local(Input, frozen=True, kw_only=True):
    """A local person's request through control.sock (identity by SO_PEERCRED); answered by LocalReply."""

    request: int
    user: str
    uid: int
    command: LocalCommand


class LogRead(Input, frozen=True, kw_only=True):
    """A part of the answer to ReadLogs: lines as the files hold them."""

    ask: str
    part: int
    last: bool
    lines: list[str]


class CsrMade(Input, frozen=True, kw_only=True):
    """The CSR (PEM) that MakeCsr asked for."""

    csr: str


class CertificateStored(Input, frozen=True, kw_only=True):
    """A renewed certificate is on disk and in use from the next connection on."""

    from_ms: int
    until_ms: int


class AnsweredApart(Input, frozen=True, kw_only=True):
    """What AskApart came to: a `certificate` chain (PEM), or why it is `refused`; neither: nothing new, or no answer.

    A revocation is told before it, by Got.
    """

    certificate: str = ""
    refused: str = ""


class Sought(Input, frozen=True, kw_only=True):
    """What Seek came to: where the hub answers now (HOST:PORT), which is stored; or an empty text, and the `reason`."""

    place: str = ""
    reason: str = ""


class HavenFound(Input, frozen=True, kw_only=True):
    """What LookForHaven came to: the hub to turn to; or None, and the `reason`."""

    digest: str
    to: documents.Haven | None = None
    reason: str = ""


class MoveChecked(Input, frozen=True, kw_only=True):
    """What CheckMove came to: `error` says why the Move does not hold; empty: it does."""

    digest: str
    error: str = ""


class Installed(Input, frozen=True, kw_only=True):
    """What root's part keeps, as far as it came with what was asked of it; `error`: why it did nothing."""

    kept: Kept
    error: str = ""


class Stopping(Input, frozen=True, kw_only=True):
    """The daemon stops (SIGTERM): say Bye. Workloads run on."""


# ------------------------------------------------------------------------------------------------ local commands


class LocalCommand(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", omit_defaults=True):
    """The base of what a person may ask of the core at the device."""


class LocalStatus(LocalCommand, frozen=True, kw_only=True, tag="status"):
    """The whole local truth: link, report, overrides, backlog by stream."""


class LocalWhy(LocalCommand, frozen=True, kw_only=True, tag="why"):
    """The chain of reasons for a service's state, from desired to last exit."""

    service: str


class LocalRuns(LocalCommand, frozen=True, kw_only=True, tag="runs"):
    """The runs this device remembers."""

    workflow: str = ""


class LocalStop(LocalCommand, frozen=True, kw_only=True, tag="stop"):
    """Stop a service here: an override. `until_ms` 0: until released; None: as one that stands, else until released."""

    service: str
    reason: str = ""
    until_ms: Moment | None = None


class LocalStart(LocalCommand, frozen=True, kw_only=True, tag="start"):
    """Start a service here: an override to run (also ends a stop). `until_ms` as in LocalStop."""

    service: str
    reason: str = ""
    until_ms: Moment | None = None


class LocalRestart(LocalCommand, frozen=True, kw_only=True, tag="restart"):
    """Restart a service now."""

    service: str
    reason: str = ""


class LocalRelease(LocalCommand, frozen=True, kw_only=True, tag="release"):
    """End an override."""

    service: str
    reason: str = ""


class LocalHold(LocalCommand, frozen=True, kw_only=True, tag="hold"):
    """Keep updates away (core/person/hold). `until_ms` as in LocalStop."""

    reason: str = ""
    until_ms: Moment | None = None


class LocalUnhold(LocalCommand, frozen=True, kw_only=True, tag="unhold"):
    """Let updates come, and apply what waited."""

    reason: str = ""


class LocalApply(LocalCommand, frozen=True, kw_only=True, tag="apply"):
    """Declare services and workflows of this device's own (core/person/own), all or none of these documents."""

    documents: list[msgspec.Raw]
    reason: str = ""


class LocalDelete(LocalCommand, frozen=True, kw_only=True, tag="delete"):
    """Let go of one that was declared here. `kind`: service or workflow."""

    kind: str
    name: str
    reason: str = ""


class LocalWorkflowStart(LocalCommand, frozen=True, kw_only=True, tag="workflow-start"):
    """Start a run here."""

    workflow: str
    params: dict[str, str] = {}
    reason: str = ""


class LocalRunCancel(LocalCommand, frozen=True, kw_only=True, tag="run-cancel"):
    """Cancel a run here."""

    run: str
    reason: str = ""


class LocalRunAnswer(LocalCommand, frozen=True, kw_only=True, tag="run-answer"):
    """Decide what an interrupted step with `interrupted: ask` does: `retry` or `fail`."""

    run: str
    step: str
    answer: str


class LocalBundleRefused(LocalCommand, frozen=True, kw_only=True, tag="bundle-refused"):
    """A bundle was not taken, for a reason that showed before the core saw it."""

    reason: str


class LocalBundleOpen(LocalCommand, frozen=True, kw_only=True, tag="bundle-open"):
    """Check the `bundle.json` of a bundle that was brought, its signing chain being proven or refused."""

    head: bytes


class LocalBundleTake(LocalCommand, frozen=True, kw_only=True, tag="bundle-take"):
    """Take a bundle: every part is here and is what its name says. `artifacts` are unpacked; nobody asks this over the
    socket, where the parts come by themselves."""

    head: bytes
    documents: list[bytes]
    artifacts: list[str]


class LocalBundleExport(LocalCommand, frozen=True, kw_only=True, tag="bundle-export"):
    """Say what a bundle for the hub takes."""


AnyLocalCommand = (
    LocalStatus
    | LocalWhy
    | LocalRuns
    | LocalStop
    | LocalStart
    | LocalRestart
    | LocalRelease
    | LocalHold
    | LocalUnhold
    | LocalApply
    | LocalDelete
    | LocalWorkflowStart
    | LocalRunCancel
    | LocalRunAnswer
    | LocalBundleRefused
)

Bundles = LocalBundleOpen | LocalBundleTake | LocalBundleExport | LocalBundleRefused


# ------------------------------------------------------------------------------------------------ actions


class Launch(Action, frozen=True, kw_only=True):
    """Start `process` as `instance` under a shim; a second Launch of a known instance only reports what it finds.

    `capture`: keep stdout and stderr apart for Ended (tasks and steps); services log to rotated files.
    `timeout_s` 0 means none; at the timeout the shell stops the group as Stop does.
    `lease_until` (Now.mono of this boot): then it is stopped whether or not the agent lives (A20); 0.0: no lease.
    """

    instance: str
    process: documents.Process
    key: str
    """The service, run or task it works for; names its log files."""
    timeout_s: float = 0.0
    capture: bool = False
    stop_grace_s: float = 10.0
    lease_until: float = 0.0
    fence: str = ""
    """The term of this copy of a service, which it finds as SKERRY_FENCE (documents.Fence.text); empty: none."""


class Extend(Action, frozen=True, kw_only=True):
    """The lease of a running `instance` lasts until `until` (Now.mono of this boot; inf: it needs none any more)."""

    instance: str
    until: float


class Stop(Action, frozen=True, kw_only=True):
    """Stop the process group of `instance`: SIGTERM, `grace_s`, SIGKILL. Ended follows; harmless when it is gone."""

    instance: str
    grace_s: float


class Forget(Action, frozen=True, kw_only=True):
    """The exit of `instance` is journaled: its folder may go (log files of a service stay)."""

    instance: str


class RunProbe(Action, frozen=True, kw_only=True):
    """Probe once; Probed follows."""

    service: str
    instance: str
    probe: documents.Probe
    process: documents.Process


class Fetch(Action, frozen=True, kw_only=True):
    """Download, verify and unpack an artifact; Fetched follows."""

    digest: str
    ticket: str


class Collect(Action, frozen=True, kw_only=True):
    """Delete every artifact that is not in `keep`."""

    keep: list[str]


class EmitAck(Action, frozen=True, kw_only=True):
    """Tell a workload that `count` items of its batch are committed; or `error` why the batch was refused."""

    connection: int
    count: int
    error: str = ""


class LocalReply(Action, frozen=True, kw_only=True):
    """Answer a Local: `data` is JSON, or `error` one sentence."""

    request: int
    data: bytes = b"null"
    error: str = ""


class ReadLogs(Action, frozen=True, kw_only=True):
    """Read the last `tail` lines of a service's log; LogRead follows, again and again until `until_ms` if `follow`."""

    ask: str
    service: str
    tail: int
    follow: bool
    until_ms: int


class MakeCsr(Action, frozen=True, kw_only=True):
    """Make a CSR on the device's key; CsrMade follows."""


class StoreCertificate(Action, frozen=True, kw_only=True):
    """Verify and store a renewed certificate chain (PEM); CertificateStored follows."""

    certificate: str


class AskApart(Action, frozen=True, kw_only=True):
    """Ask the hub's API, apart from the link, how this device stands; AnsweredApart follows."""


class Seek(Action, frozen=True, kw_only=True):
    """Look for the hub at another address: on the local network, and by the names in its certificate. Sought follows.

    What answers counts only if it proves to be that hub; its address is stored then.
    """


class LookForHaven(Action, frozen=True, kw_only=True):
    """See whether our hub is gone while one that the grant names (the bytes of a document, and their digest) is there.

    The grant is proven under the pinned root, and that hub by TLS; HavenFound follows.
    """

    digest: str
    grant: bytes


class CheckMove(Action, frozen=True, kw_only=True):
    """Prove a Move (the bytes of a document, and their digest) under the pinned root; MoveChecked follows."""

    digest: str
    move: bytes


class Turn(Action, frozen=True, kw_only=True):
    """Store that this device looks up to `to` from now on, and begin a life that does. Work goes on."""

    to: documents.Haven


class Install(Action, frozen=True, kw_only=True):
    """Ask root to put another version in place (`request`: the bytes of an Upgrade); Installed follows."""

    number: int
    request: bytes


class Vouch(Action, frozen=True, kw_only=True):
    """Say, as the version on trial, that all is well, or what is not; Installed follows."""

    number: int
    fault: str = ""


class AwaitInstalled(Action, frozen=True, kw_only=True):
    """Root's part is at something: say what came of it. Installed follows."""


class StopPulling(Action, frozen=True, kw_only=True):
    """The node is revoked or quarantined: no more connections until the daemon is enrolled anew."""

    reason: str
