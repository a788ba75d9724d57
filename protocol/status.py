"""What a node reports of itself: the body of a Status (a level: replaced, never appended)."""

from __future__ import annotations

import msgspec


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a person should know, with what to do next."""

    what: str
    text: str
    since_ms: int = 0


class OverrideReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A local person's decision about a service. `until_ms` 0 means until released."""

    decision: str
    user: str
    uid: int
    reason: str = ""
    since_ms: int = 0
    until_ms: int = 0


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service. `state`: fetching, starting, running, backoff, stopping, stopped, exited, failed.

    `healthy` is None when no probe is declared or none has answered yet. `digest` is that of the assignment in force.
    """

    state: str
    digest: str = ""
    healthy: bool | None = None
    pid: int = 0
    since_ms: int = 0
    restarts: int = 0
    last_exit: str = ""
    """`code 1` or `signal 9`, `` when it never ended."""
    reason: str = ""
    override: OverrideReport | None = None


class StepReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run. `state`: waiting, running, ok, failed, skipped, cancelled, interrupted."""

    name: str
    state: str
    attempts: int = 0
    exit_code: int | None = None


class RunReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run. `state`: running, ok, failed, cancelled, asking."""

    id: str
    workflow: str
    state: str
    started_ms: int
    ended_ms: int = 0
    trigger: str = ""
    steps: list[StepReport] = []


class WorkflowReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One workflow: when it fires next, and what is running."""

    digest: str = ""
    next_ms: int = 0
    running: int = 0
    last: RunReport | None = None


class Vitals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The device: shares are 0..1, sizes bytes, uptime seconds, temperature Celsius where there is one."""

    time_ms: int = 0
    cpu: float = 0.0
    memory_used: int = 0
    memory_total: int = 0
    disk_used: int = 0
    disk_total: int = 0
    uptime_s: float = 0.0
    temperature_c: float | None = None
    rss: int = 0
    """Of the agent itself."""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that an agent says of itself. `lost` counts rows declared lost, by stream."""

    services: dict[str, ServiceReport] = {}
    workflows: dict[str, WorkflowReport] = {}
    vitals: Vitals | None = None
    conditions: list[Condition] = []
    lost: dict[str, int] = {}
    platform: dict[str, str] = {}


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Report)


def encode(report: Report) -> bytes:
    """Return `report` as JSON bytes."""
    return _encoder.encode(report)


def decode(raw: bytes) -> Report:
    """Return the report in `raw`. Raises msgspec.DecodeError when it is none."""
    return _decoder.decode(raw)
