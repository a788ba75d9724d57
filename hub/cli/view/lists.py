"""Lists as tables: one row for each node, service, workflow, run or token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hub.cli.view import human, nodes, resources
from hub.cli.view.below import tiers
from hub.cli.view.hubs import missing, policies, this, upgrades
from hub.cli.view.table.table import Table

Rows = Sequence[Sequence[str]]


def table(
    kind: str, listed: Iterable[dict[str, Any]], *, wide: bool, now_ms: int, spell: Callable[[str], str]
) -> Table:
    """Return `listed`, things of `kind`, as a table; `spell` returns how the node at an address is shown."""
    if kind == "nodes":
        return Table(*_nodes(listed, wide, now_ms, spell), spare="" if wide else "LABELS")
    make: dict[str, Callable[[list[dict[str, Any]], bool, int], tuple[Sequence[str], Rows]]] = {
        "regions": tiers.table,
        "hub": this.table,
        "policies": policies.table,
        "upgrades": upgrades.table,
        "services": resources.services,
        "workflows": resources.workflows,
        "runs": _runs,
        "tokens": _tokens,
    }
    return Table(*make[kind](list(listed), wide, now_ms))


def _nodes(
    listed: Iterable[dict[str, Any]], wide: bool, now_ms: int, spell: Callable[[str], str]
) -> tuple[Sequence[str], Rows]:
    """Return heads and rows; of each node as it comes, for they may be thousands."""
    heads = ["NODE", "STATE", "LABELS", "DESIRED", "SEEN", "WORK", "SYNCED"]
    rows = [[spell(one["address"]), *_node(one, now_ms), *(_more(one, now_ms) if wide else ())] for one in listed]
    return heads + (["LOST", "NOT HERE", "LAST CONTACT", "VERSION", "VITALS", "PATH"] if wide else []), rows


def _node(node: dict[str, Any], now_ms: int) -> list[str]:
    return [
        nodes.state(node, now_ms),
        nodes.labels(node),
        f"gen {node['desired_generation']}" if node["state"] != "revoked" else "–",
        str(node["observed_generation"] or "–"),
        nodes.work(node, now_ms),
        nodes.synced(node, now_ms),
    ]


def _more(node: dict[str, Any], now_ms: int) -> list[str]:
    return [
        nodes.lost(node),
        missing.short(node),
        human.clock(node["last_contact_ms"], now_ms),
        node["version"] or "–",
        nodes.vitals(node),
        node["path"],
    ]


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
