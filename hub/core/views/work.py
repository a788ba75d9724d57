"""Runs, tasks and tokens: what was started once, how it went, and who may come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.enrollment import Token
from hub.core.work.runs import Run
from hub.core.work.tasks import Group, Result
from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


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
        spot = core.subtree.find(name)
        is_away = spot is None or spot.state != "online"
        one["state"] = "away" if is_away else "pending"
        one["since_ms"] = spot.since_ms if spot is not None and is_away else group.created_ms
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
        "kind": one.kind,
        "by": one.by,
        "created_ms": one.created_ms,
    }
