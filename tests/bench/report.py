"""What `make bench` says: a table for people, build/bench.json for programs."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.registry import Figure, Value


def numbers(value: Value) -> dict[str, float]:
    """Return the numbers of a figure by name, "" for a single one."""
    return value if isinstance(value, dict) else {"": value}


def floor_of(figure: Figure, name: str, found: dict[str, Value]) -> float | None:
    """Return the floor that a number is compared with, if any."""
    target = figure.targets.get(name)
    if target is None or target.key() not in found:
        return None
    return numbers(found[target.key()]).get(target.of.partition(".")[2])


def missed(figures: Sequence[Figure], found: dict[str, Value]) -> list[str]:
    """Return the names of the numbers that do not reach their target."""
    return [
        f"{figure.key} {name}".strip()
        for figure in figures
        if figure.key in found
        for name, number in numbers(found[figure.key]).items()
        if name in figure.targets and not figure.targets[name].reached(number, floor_of(figure, name, found))
    ]


def show(
    figures: Sequence[Figure], found: dict[str, Value], failed: dict[str, str], why: dict[str, str], console: Console
) -> None:
    """Print the table."""
    table = Table("figure", "", title=None, box=None, header_style="bold", pad_edge=False)
    for title in ("measured", "floor", "of floor"):
        table.add_column(title, justify="right")
    table.add_column("target")
    for figure in figures:
        for name, number in numbers(found[figure.key]).items() if figure.key in found else ():
            floor = floor_of(figure, name, found)
            target = figure.targets.get(name)
            text = target.text() if target is not None else ""
            table.add_row(
                *(figure.key, name, f"{_round(number)} {figure.unit}"),
                *(("", "") if floor is None else (_round(floor), f"{number / floor:.0%}")),
                f"{_verdict(figure, name, number, floor)} {text}" if text else "",
            )
        if figure.key in failed:
            table.add_row(figure.key, "", "[red]failed", "", "", failed[figure.key])
        if figure.key in why:
            table.add_row(figure.key, "", "[yellow]not measured", "", "", why[figure.key])
    console.print(table)
    for figure in figures:
        if figure.beside:
            console.print(f"beside {figure.key}: {figure.beside}", style="dim", soft_wrap=True)


def write(path: Path, found: dict[str, Value], failed: dict[str, str], why: dict[str, str]) -> None:
    """Write build/bench.json: the keys, and `machine`, `failed`, `why`: of each key that is null."""
    machine = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": os.getloadavg()[0],
    }
    told = {"machine": machine, "failed": failed, "why": why}
    path.write_text(json.dumps({**found, **dict.fromkeys(why), **told}, indent=2) + "\n")


def _verdict(figure: Figure, name: str, number: float, floor: float | None) -> str:
    return "[green]reached[/]" if figure.targets[name].reached(number, floor) else "[red]missed[/]"


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
