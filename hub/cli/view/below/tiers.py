"""Regions as a table: how each is, what all that is below it comes to, and where to look first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.cli.view import human, nodes
from hub.cli.view.below import regions


def table(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows."""
    heads = ["REGION", "STATE", "NODES", "HUBS", "WORK", "AS OF", "TROUBLE"]
    rows = [
        [
            one["path"],
            nodes.presence(one, now_ms),
            regions.nodes(one["region"]),
            regions.hubs(one["region"]),
            regions.work(one["region"]),
            human.clock(one["as_of_ms"], now_ms),
            regions.worst(one["region"]),
        ]
        for one in listed
    ]
    if wide:
        heads += ["OVERRIDES", "LABELS", "VERSION"]
        for row, one in zip(rows, listed, strict=True):
            row += [str(one["region"].get("overrides") or "–"), nodes.labels(one), one["version"] or "–"]
    return heads, rows
