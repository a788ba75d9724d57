"""What a node reports of itself: the body of a Status (a level: replaced, never appended), and bodies of entries.

Numbers and names are bounded where they are read, for others add them up and show them (INVARIANTS C10).
"""

from __future__ import annotations

import msgspec

from protocol.messages import Count, Moment, Word


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a person should know, with what to do next."""

    what: str
    text: str
    since_ms: Moment = 0


class OverrideReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A local person's decision about a service. `until_ms` 0 means until released."""

    decision: Word
    user: Word
    uid: Moment
    reason: str = ""
    since_ms: Moment = 0
    until_ms: Moment = 0


class HoldReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A local person keeps updates away. `generation` is the one that is followed meanwhile; `waiting` counts the
    documents that differ from what is asked now. `until_ms` 0 means until released."""

    user: Word
    uid: Moment
    reason: str = ""
    since_ms: Moment = 0
    until_ms: Moment = 0
    generation: Count = 0
    waiting: Count = 0


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service. `state`: fetching, waiting, starting, running, backoff, stopping, stopped, exited, failed.

    `healthy` is None when no probe is declared or none has answered yet. `digest` is that of the assignment in force,
    `fence` the term of this copy (0: none). It is `waiting` when it may not run before the hub is heard.
    """

    state: Word
    digest: Word = ""
    healthy: bool | None = None
    pid: Count = 0
    since_ms: Moment = 0
    restarts: Count = 0
    last_exit: str = ""
    """`code 1` or `signal 9`, `` when it never ended."""
    reason: str = ""
    override: OverrideReport | None = None
    fence: Count = 0
    by: Word = ""
    """Who declared it at the device, if it is one of the device's own."""


class StepReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run. `state`: waiting, running, ok, failed, skipped, cancelled, interrupted."""

    name: str
    state: Word
    attempts: Count = 0
    exit_code: Moment | None = None


class RunReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run. `state`: running, ok, failed, cancelled, asking."""

    id: str
    workflow: str
    state: Word
    started_ms: Moment
    ended_ms: Moment = 0
    trigger: str = ""
    steps: list[StepReport] = []


class WorkflowReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One workflow: when it fires next, and what is running."""

    digest: str = ""
    next_ms: Moment = 0
    running: Count = 0
    last: RunReport | None = None
    by: Word = ""
    """As in ServiceReport."""


class Vitals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The device: shares are 0..1, sizes bytes, uptime seconds, temperature Celsius where there is one."""

    time_ms: Moment = 0
    cpu: float = 0.0
    memory_used: Count = 0
    memory_total: Count = 0
    disk_used: Count = 0
    disk_total: Count = 0
    uptime_s: float = 0.0
    temperature_c: float | None = None
    rss: Count = 0
    """Of the agent itself."""


class UpgradeReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The version of the agent that is asked for, and the one that runs, as packages have them.

    `state`: fetching, asked, trying, running, back (it was gone back from), refused (nothing was done).
    """

    number: Count
    version: Word
    running: Word
    state: Word
    reason: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that an agent says of itself. `lost` counts rows declared lost, by stream."""

    services: dict[Word, ServiceReport] = {}
    workflows: dict[Word, WorkflowReport] = {}
    vitals: Vitals | None = None
    conditions: list[Condition] = []
    lost: dict[Word, Count] = {}
    platform: dict[str, str] = {}
    hold: HoldReport | None = None
    upgrade: UpgradeReport | None = None


# ------------------------------------------------------------------------------------------------ bodies of entries


class ServiceFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of every `service.*` entry."""

    instance: str = ""
    pid: Count = 0
    digest: str = ""
    code: Moment | None = None
    signal: Moment | None = None
    lost: bool = False
    """The outcome is unknown: the power went, or the record was lost."""
    after_s: float = 0.0
    cause: str = ""
    error: str = ""


class TaskFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `task.started` and `task.ended`. `state`: running, ok, failed, refused, unknown, cancelled.

    `run` is the run that a task started, if it was to start a workflow.
    """

    id: str
    state: str = "running"
    by: str = ""
    command: list[str] = []
    workflow: str = ""
    exit_code: Moment | None = None
    signal: Moment | None = None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    reason: str = ""
    run: str = ""
    attempt: Count = 1


class ErrandFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `errand.ended`: a hub says of a task for the node `at` (below it) how it ended: what the node says of it
    does not come, or is held back."""

    at: str
    fact: TaskFact


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `run.started`; that of `run.ended` is a RunReport."""

    id: str
    workflow: str
    trigger: str
    params: dict[str, str] = {}
    by: str = ""


class StepFact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of every `step.*` entry: started, ended, retrying (it failed, an attempt follows), asking."""

    run: str
    step: str
    state: str = ""
    attempt: Count = 0
    exit_code: Moment | None = None
    signal: Moment | None = None
    outputs: dict[str, str] = {}
    reason: str = ""
    stderr: str = ""
    wait_s: float = 0.0


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Report)


def encode(report: Report) -> bytes:
    """Return `report` as JSON bytes."""
    return _encoder.encode(report)


def decode(raw: bytes) -> Report:
    """Return the report in `raw`. Raises msgspec.DecodeError when it is none."""
    return _decoder.decode(raw)
