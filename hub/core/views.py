"""What people see of the fleet: pure functions over the core, as the JSON values of the API.

Nothing here changes anything. Nothing says only "away": every view of a node says since when, and as of when the rest
was known (INVARIANTS B). Times are milliseconds of the hub's clock unless they stand inside a report of a device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core.enrollment import Token
from hub.core.registry import Node
from hub.core.work.declared import Resource
from hub.core.work.runs import Run
from hub.core.work.tasks import Group, Result
from protocol import selector, status
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

Holds = Callable[[str], bool]
"""Tells of a node whether it was placed there before."""

JSON = dict[str, Any]


# ------------------------------------------------------------------------------------------------ nodes


def nodes(core: HubCore, chosen: str, now: Now) -> list[JSON]:
    """Return the nodes that `chosen` selects, by name; all of them, revoked ones too, when it is empty.

    Raises BadSelector.
    """
    which = selector.parse(chosen)
    found = [one for one in core.registry if not which.terms or which.matches(one.selectable())]
    return [_node(core, one) for one in sorted(found, key=lambda one: one.name)]


def node(core: HubCore, name: str, now: Now) -> JSON:
    """Return one node. Raises Refusal (404)."""
    return _node(core, core.registry.get(name))


def node_state(core: HubCore, one: Node) -> str:
    """Return `online`, `away`, `revoked` or `quarantined`."""
    if one.revoked_ms:
        return "revoked"
    if core.parent.view(one.name).quarantined:
        return "quarantined"
    return "online" if core.rollup.is_online(one.name) else "away"


def away_text(core: HubCore, name: str) -> str:
    """Return the sentence for a node that cannot be reached."""
    since = _since_ms(core, core.registry.get(name))
    seen = core.rollup.seen(name)
    if seen is None:
        return f"{name} has never connected since it was enrolled (since_ms {since})"
    return f"{name} is away (since_ms {since}, last heard {core.rollup.contact_ms(name)}): it answers when it is back"


def _since_ms(core: HubCore, one: Node) -> int:
    seen = core.rollup.seen(one.name)
    return one.revoked_ms or (one.enrolled_ms if seen is None else seen.since_ms)


def _node(core: HubCore, one: Node) -> JSON:
    seen = core.rollup.seen(one.name)
    report = core.rollup.report(one.name) or status.Report()
    link = core.parent.view(one.name)
    heads = seen.heads if seen is not None else {}
    cursors = {
        stream: {"epoch": cursor.epoch, "seq": cursor.seq, "last": max(heads.get(stream, 0), cursor.seq)}
        for stream, cursor in link.cursors.items()
    }
    return {
        "name": one.name,
        "path": f"{core.node}/{one.name}",
        "kind": "agent",
        "labels": one.labels,
        "state": node_state(core, one),
        "since_ms": _since_ms(core, one),
        "last_contact_ms": core.rollup.contact_ms(one.name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
        "desired_generation": link.generation,
        "observed_generation": seen.held.generation if seen is not None else 0,
        "term": link.term,
        "settled": core.delegate.is_settled(one.name),
        "epoch": cursors["state"]["epoch"] if "state" in cursors else "",
        "cursors": cursors,
        "version": seen.version if seen is not None else "",
        "lost": link.lost,
        "losses": msgspec.to_builtins(link.losses),
        "waiting": link.waiting,
        "aside": link.aside,
        "clock_offset_ms": link.status.time_ms - seen.status_ms if link.status is not None and seen is not None else 0,
        "cordoned": one.cordoned,
        "drained": one.drained,
        "services": msgspec.to_builtins(report.services),
        "workflows": msgspec.to_builtins(report.workflows),
        "vitals": msgspec.to_builtins(report.vitals),
        "conditions": msgspec.to_builtins(report.conditions),
        "platform": report.platform,
        "alarms": msgspec.to_builtins(one.alarms),
        "placed": core.delegate.placed(one.name),
        "facts": one.facts,
        "enrolled_ms": one.enrolled_ms,
        "certificate_until_ms": one.until_ms,
        "revoked_reason": one.revoked_reason,
    }


# ------------------------------------------------------------------------------------------------ resources


def resources(core: HubCore, kind: str = "") -> list[JSON]:
    """Return what operators declared, of `kind` (all when empty), by key."""
    return [_resource(core, record) for record in core.resources.records(kind)]


def resource(core: HubCore, kind: str, name: str) -> JSON:
    """Return one resource. Raises Refusal (404)."""
    return _resource(core, core.resources.get(kind, name))


def _resource(core: HubCore, record: Resource) -> JSON:
    return {
        "kind": record.kind,
        "name": record.name,
        "generation": record.generation,
        "changed_ms": record.changed_ms,
        "by": record.by,
        "spec": msgspec.json.decode(record.spec),
        "digest": core.resources.document(record.key)[2],
        "placement": {"selector": record.selector, "count": record.count, "nodes": _placed(core, record.key)},
    }


def _placed(core: HubCore, key: str) -> list[str]:
    return core.resources.placed_on(key, lambda node: key in core.delegate.placed(node))


def services(core: HubCore, now: Now) -> list[JSON]:
    """Return all services with how many nodes do what."""
    return [_summary(core, record) for record in core.resources.records("service")]


def service(core: HubCore, name: str, now: Now) -> JSON:
    """Return one service with every node that is asked to run it, or still does. Raises Refusal (404)."""
    record = core.resources.get("service", name)
    return _summary(core, record) | {"spec": msgspec.json.decode(record.spec), "on": _on(core, record)}


def workflows(core: HubCore, now: Now) -> list[JSON]:
    """Return all workflows with how many nodes have them."""
    return [_summary(core, record) for record in core.resources.records("workflow")]


def workflow(core: HubCore, name: str, now: Now) -> JSON:
    """Return one workflow with every node that is asked to have it, or still does. Raises Refusal (404)."""
    record = core.resources.get("workflow", name)
    return _summary(core, record) | {"spec": msgspec.json.decode(record.spec), "on": _on(core, record)}


def _summary(core: HubCore, record: Resource) -> JSON:
    digest = core.resources.document(record.key)[2]
    placed = _placed(core, record.key)
    said = [(name, _said(core, record, name)) for name in placed]
    return {
        "name": record.name,
        "kind": record.kind,
        "generation": record.generation,
        "changed_ms": record.changed_ms,
        "by": record.by,
        "selector": record.selector,
        "count": record.count,
        "digest": digest,
        "nodes": placed,
        "placed": len(placed),
        "current": sum(1 for _, one in said if one is not None and one.digest == digest),
        "running": sum(1 for _, one in said if _is_running(one)),
        "unhealthy": sum(1 for _, one in said if isinstance(one, status.ServiceReport) and one.healthy is False),
        "away": sum(1 for name in placed if not core.rollup.is_online(name)),
    }


def _on(core: HubCore, record: Resource) -> list[JSON]:
    digest = core.resources.document(record.key)[2]
    placed = dict.fromkeys(_placed(core, record.key))
    lingering = [one.name for one in core.registry if one.name not in placed and _said(core, record, one.name)]
    return [_on_node(core, record, name, digest, name in placed) for name in sorted([*placed, *lingering])]


def _on_node(core: HubCore, record: Resource, name: str, digest: str, is_placed: bool) -> JSON:
    """Return what one node says of a resource; `current`: it has what is asked now. Absent: it has said nothing."""
    one = core.registry.get(name)
    said = _said(core, record, name)
    seen = core.rollup.seen(name)
    return {
        "node": name,
        "node_state": node_state(core, one),
        "since_ms": _since_ms(core, one),
        "last_contact_ms": core.rollup.contact_ms(name),
        "as_of_ms": seen.status_ms if seen is not None else 0,
        "placed": is_placed,
        "current": said is not None and said.digest == digest,
        "report": msgspec.to_builtins(said),
    }


def _said(core: HubCore, record: Resource, name: str) -> status.ServiceReport | status.WorkflowReport | None:
    report = core.rollup.report(name)
    if report is None:
        return None
    return report.services.get(record.name) if record.kind == "service" else report.workflows.get(record.name)


def _is_running(said: status.ServiceReport | status.WorkflowReport | None) -> bool:
    match said:
        case status.ServiceReport():
            return said.state == "running"
        case status.WorkflowReport():
            return said.running > 0
        case None:
            return False


# ------------------------------------------------------------------------------------------------ runs, tasks, tokens


def runs(core: HubCore, workflow: str = "", node: str = "", limit: int = 100) -> list[JSON]:
    """Return at most `limit` runs, the newest first, of a workflow or a node where one is named."""
    found = [run for run in core.runs if workflow in ("", run.workflow) and node in ("", run.node)]
    found.sort(key=lambda run: (run.started_ms, run.id), reverse=True)
    return [_run(run) for run in found[:limit]]


def run(core: HubCore, id: str) -> JSON:  # noqa: A002 - the API's word
    """Return one run. Raises Refusal (404)."""
    return _run(core.runs.get(id))


def _run(one: Run) -> JSON:
    return {
        "id": one.id,
        "workflow": one.workflow,
        "node": one.node,
        "state": one.state,
        "trigger": one.trigger,
        "params": one.params,
        "started_ms": one.started_ms,
        "ended_ms": one.ended_ms,
        "steps": [
            {"name": step.name, "state": step.state, "attempts": step.attempts, "exit_code": step.exit_code}
            for step in one.steps.values()
        ],
    }


def task_group(core: HubCore, group: str, now: Now) -> JSON:
    """Return a group with one task for each node. Raises Refusal (404)."""
    record = core.tasks.get(group)
    results = core.tasks.results(group)
    return _group(record) | {"tasks": [_task(core, record, name, results.get(name)) for name in record.nodes]}


def _group(record: Group) -> JSON:
    return {
        "group": record.id,
        "by": record.by,
        "created_ms": record.created_ms,
        "deadline_ms": record.document.deadline_ms,
        "command": record.document.command,
        "workflow": record.document.workflow,
        "cancel_run": record.document.cancel_run,
        "timeout_s": record.document.timeout_s,
        "nodes": len(record.nodes),
        "params": record.document.params,
    }


def _task(core: HubCore, group: Group, name: str, result: Result | None) -> JSON:
    one: JSON = {"task": group.id, "node": name, "deadline_ms": group.document.deadline_ms}
    if result is None:
        is_away = not core.rollup.is_online(name)
        one["state"] = "away" if is_away else "pending"
        one["since_ms"] = _since_ms(core, core.registry.get(name)) if is_away else group.created_ms
        return one
    return one | {
        "state": result.state,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "duration_s": result.duration_s,
        "reason": result.reason,
        "run": result.run,
        "since_ms": result.time_ms,
    }


def tokens(core: HubCore) -> list[JSON]:
    """Return all enrollment tokens, without their secrets."""
    return [token(one) for one in core.enrollment.tokens.values()]


def token(one: Token) -> JSON:
    """Return one token, without its secret."""
    return {
        "id": one.id,
        "expires_ms": one.expires_ms,
        "uses": one.uses,
        "used": one.used,
        "labels": one.labels,
        "by": one.by,
        "created_ms": one.created_ms,
    }
