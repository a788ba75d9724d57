"""Why a service is in its state: sentences, the nearest cause first, each with since when it holds (ms, 0: unknown)."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.core.person.hold import Hold
from edge_agent.core.person.own import Declared
from edge_agent.core.services.overrides import Override
from edge_agent.core.services.workload import Workload
from edge_agent.core.upward.contact import LinkView
from protocol import documents, status

Reason = tuple[str, int]


def of(
    service: Workload,
    report: status.ServiceReport,
    override: Override | None,
    asked: documents.ReleaseRequest | None,
    hold: Hold,
    own: Declared | None,
    link: LinkView,
) -> list[Reason]:
    """Return the chain of reasons, from the nearest to what the hub wants and whether it has heard.

    `asked`: somebody at the hub asks for the override back.
    """
    return [
        *_decided(override),
        *_asked_back(override, asked),
        *_so_it_is(service, report),
        _declared(own, service) if own is not None else _wanted(service, hold, link),
        *_held(service, hold, link),
        *_though_it_runs(service, report),
        *_unheard(link),
    ]


def _decided(override: Override | None) -> Iterator[Reason]:
    if override is not None:
        done = "stopped" if override.decision == "stop" else "started"
        why = f' with the reason "{override.reason}"' if override.reason else ""
        life = "until its life is over" if override.until_ms else "until released"
        yield f"{override.user} (uid {override.uid}) {done} it here{why}, {life}", override.since_ms


def next_of(service: Workload, report: status.ServiceReport, override: Override | None, hold: Hold) -> str:
    """Return the command that would change the state, or say more of it; empty: none is needed."""
    if override is not None:
        return f"skerry-agent release {service.name}"
    if f"assignment/{service.name}" in hold.waiting():
        return "skerry-agent unhold"
    ends = report.state in ("backoff", "failed") and report.last_exit
    return f"skerry-agent logs {service.name}" if ends else ""


def _asked_back(override: Override | None, asked: documents.ReleaseRequest | None) -> Iterator[Reason]:
    if override is not None and asked is not None:
        why = f": {asked.reason}" if asked.reason else ""
        yield f"at the hub {asked.by} asks to release that{why}", 0


def _so_it_is(service: Workload, report: status.ServiceReport) -> Iterator[Reason]:
    if report.state != "running":
        yield from _found(service, report)


def _though_it_runs(service: Workload, report: status.ServiceReport) -> Iterator[Reason]:
    """Yield what is to be known of a service that runs: none of it is a reason for that."""
    if report.state == "running":
        yield from _found(service, report)


def _found(service: Workload, report: status.ServiceReport) -> Iterator[Reason]:
    if report.reason:
        yield report.reason, report.since_ms
    if report.last_exit:
        yield _last_exit(service, report)


def _last_exit(service: Workload, report: status.ServiceReport) -> Reason:
    restarts = f"{report.restarts} restart{'' if report.restarts == 1 else 's'} so far"
    return f"its last exit was {report.last_exit}; {restarts}", service.record.last_exit_ms


def _held(service: Workload, hold: Hold, link: LinkView) -> Iterator[Reason]:
    held = hold.kept
    if held is not None and f"assignment/{service.name}" in hold.waiting():
        why = f' with the reason "{held.reason}"' if held.reason else ""
        text = f"{held.user} (uid {held.uid}) holds updates here{why}: what the hub changed of it"
        yield f"{text} (up to generation {link.held.generation}) waits", held.since_ms


def _declared(own: Declared, service: Workload) -> Reason:
    why = f' with the reason "{own.reason}"' if own.reason else ""
    restart = f", restart {service.wanted.restart}" if service.wanted is not None else ""
    return f"{own.user} (uid {own.uid}) declared it here{why}{restart}", own.since_ms


def _wanted(service: Workload, hold: Hold, link: LinkView) -> Reason:
    generation = hold.kept.generation if hold.kept is not None else link.held.generation
    if service.wanted is not None:
        text = f"the hub wants it running (generation {generation}), restart {service.wanted.restart}"
    elif service.known:
        text = "the hub has deleted it"
    else:
        text = "what the hub wants is not known yet in this life"
    return text, link.received_ms


def _unheard(link: LinkView) -> Iterator[Reason]:
    if link.state != "live":
        why = f" ({link.reason})" if link.reason else ""
        yield f"the hub has not heard of what happened here since: the link is {link.state}{why}", link.since_ms
