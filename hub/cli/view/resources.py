"""Services and workflows as tables: how each is in all that is below a hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.cli.view import human


def services(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows of services."""
    heads = ["SERVICE", "RUNNING", "CURRENT", "UNHEALTHY", "AWAY", "PLACED", "SELECTOR", "CHANGED"]
    rows = [
        [
            one["name"],
            f"{one['running']}/{one['placed']}",
            f"{one['current']}/{one['placed']}",
            str(one["unhealthy"] or "–"),
            str(one["away"] or "–"),
            _placed(one),
            _where(one, now_ms),
            _changed(one, now_ms),
        ]
        for one in listed
    ]
    return _widened(heads, rows, listed, wide)


def _changed(one: dict[str, Any], now_ms: int) -> str:
    return f"{human.age(one['changed_ms'], now_ms)} ago" if one["changed_ms"] else "–"


def _where(one: dict[str, Any], now_ms: int) -> str:
    """Return whom a resource is for: its selector, and in how many regions; of one that a hub below owns, that hub."""
    if not one["changed_ms"]:
        return f"of {one['owner']}"
    text = one["selector"] or "nobody"
    if one["override"] is not None:
        text += f", overridden until {human.clock(one['override']['until_ms'], now_ms)}"
    return f"{text}, in {human.plural(len(one['regions']), 'region')}" if one["regions"] else text


def workflows(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], list[list[str]]]:
    """Return the heads and the rows of workflows."""
    heads = ["WORKFLOW", "CURRENT", "RUNNING", "AWAY", "PLACED", "SELECTOR", "CHANGED"]
    rows = [
        [
            one["name"],
            f"{one['current']}/{one['placed']}",
            str(one["running"] or "–"),
            str(one["away"] or "–"),
            _placed(one),
            _where(one, now_ms),
            _changed(one, now_ms),
        ]
        for one in listed
    ]
    return _widened(heads, rows, listed, wide)


def _placed(one: dict[str, Any]) -> str:
    if one["count"] is None:
        return "all that match" if one["selector"] else str(one["placed"])
    return f"{one['placed']}, {one['count']} per region" if one["per_region"] else f"{one['placed']} of {one['count']}"


def _widened(
    heads: list[str], rows: list[list[str]], listed: list[dict[str, Any]], wide: bool
) -> tuple[Sequence[str], list[list[str]]]:
    if wide:
        heads += ["GEN", "BY", "NODES"]
        for row, one in zip(rows, listed, strict=True):
            row += [str(one["generation"]), one["by"], " ".join([*one["nodes"], *one["regions"]]) or "–"]
    return heads, rows
