"""Lists as tables: one row for each node, service, workflow, run or token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hub.cli.view import human, nodes, output, resources
from hub.cli.view.below import tiers
from hub.cli.view.hubs import missing, policies, this

if TYPE_CHECKING:
    from rich.table import Table

Rows = Sequence[Sequence[str]]


def table(kind: str, listed: list[dict[str, Any]], *, wide: bool, now_ms: int) -> Table:
    """Return `listed`, things of `kind`, as a table."""
    make: dict[str, Callable[[list[dict[str, Any]], bool, int], tuple[Sequence[str], Rows]]] = {
        "nodes": _nodes,
        "regions": tiers.table,
        "hub": this.table,
        "policies": policies.table,
        "services": resources.services,
        "workflows": resources.workflows,
        "runs": _runs,
        "tokens": _tokens,
    }
    heads, rows = make[kind](listed, wide, now_ms)
    return output.table(heads, rows)


def _nodes(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["NODE", "STATE", "LABELS", "DESIRED", "SEEN", "WORK", "SYNCED"]
    is_tree = nodes.is_tree(listed)
    rows = [
        [
            nodes.place(node, is_tree=is_tree),
            nodes.state(node, now_ms),
            nodes.labels(node),
            f"gen {node['desired_generation']}" if node["state"] != "revoked" else "–",
            str(node["observed_generation"] or "–"),
            nodes.work(node, now_ms),
            nodes.synced(node, now_ms),
        ]
        for node in listed
    ]
    if wide:
        heads += ["LOST", "NOT HERE", "LAST CONTACT", "VERSION", "VITALS", "PATH"]
        for row, node in zip(rows, listed, strict=True):
            contact = human.clock(node["last_contact_ms"], now_ms)
            row += [
                nodes.lost(node),
                missing.short(node),
                contact,
                node["version"] or "–",
                nodes.vitals(node),
                node["path"],
            ]
    return heads, rows


def _runs(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["RUN", "WORKFLOW", "NODE", "STATE", "STEPS", "TRIGGER", "STARTED", "TOOK"]
    rows = [
        [
            one["id"],
            one["workflow"],
            one["node"],
            one["state"],
            steps(one["steps"]),
            one["trigger"] or "–",
            human.clock(one["started_ms"], now_ms),
            human.duration((one["ended_ms"] - one["started_ms"]) / 1000) if one["ended_ms"] else "–",
        ]
        for one in listed
    ]
    if wide:
        heads += ["PARAMS"]
        for row, one in zip(rows, listed, strict=True):
            row.append(" ".join(f"{key}={value}" for key, value in one["params"].items()) or "–")
    return heads, rows


def steps(taken: list[dict[str, Any]]) -> str:
    """Return how far the steps of a run got: `4/4`, `1/2 (publish: failed)`."""
    done = sum(step["state"] in ("ok", "skipped") for step in taken)
    bad = next((step for step in taken if step["state"] in ("failed", "interrupted")), None)
    return f"{done}/{len(taken)}" + (f" ({bad['name']}: {bad['state']})" if bad else "")


def _tokens(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["TOKEN", "FOR", "USED", "EXPIRES", "LABELS", "BY"]
    rows = [
        [
            one["id"],
            "hubs" if one["kind"] == "hub" else "devices",
            f"{one['used']} of {one['uses']}",
            human.clock(one["expires_ms"], now_ms) if one["expires_ms"] > now_ms else "expired",
            nodes.labels(one),
            one["by"],
        ]
        for one in listed
    ]
    return heads, rows
