"""The end of the demo: all tiers agree to the row, and the root has what the producers wrote down, each item once.

Nothing here is counted by what a hub says of itself alone: the ledgers are the producers' own (hub.demo.tally).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hub.demo import sight, tally
from hub.demo.fleet import Fleet

EVENTS_MAX = 1_000_000
_TITLES = ("NODE", "MADE", "AT THE ROOT", "LOST", "DOUBLED", "STEPS RUN", "RUN TWICE")


async def cursors_equal(fleets: Iterable[Fleet]) -> bool:
    """Tell whether each hub has, of each of its own children, all that the child knows to have."""
    for fleet in fleets:
        if not all(_is_whole(node) for node in (await sight.nodes(fleet)).values()):
            return False
    return True


def _is_whole(node: dict[str, Any]) -> bool:
    return bool(node["state"] != "unheard" and all(one["seq"] == one["last"] for one in node["cursors"].values()))


async def at_the_root(root: Fleet, kind: str) -> list[dict[str, Any]]:
    """Return all events of `kind` at the root."""
    code, text = await root.command("events", "--kind", kind, "--limit", str(EVENTS_MAX), "-o", "json")
    return [root.parse(line) for line in text.splitlines() if line] if code == 0 else []


async def ledgers_agree(root: Fleet, paths: Iterable[str], ledger: Path, console: Console) -> bool:
    """Compare the producers' ledgers with the root, show it, and tell whether nothing is lost or doubled."""
    events = await at_the_root(root, "app.sample")
    tallies = {path: tally.tally(path.rpartition("/")[2], ledger, events) for path in paths}
    table = Table(*_TITLES, box=None, padding=(0, 2, 0, 0))
    for path, one in tallies.items():
        numbers = (one.made, one.received, one.lost, one.doubled, one.steps, one.steps_twice)
        table.add_row(path, *map(str, numbers), style="green" if one.whole else "bold red")
    console.print(table)
    return all(one.whole and one.made and one.steps for one in tallies.values())
