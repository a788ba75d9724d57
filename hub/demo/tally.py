"""The proof: what the producers wrote down and fsynced, beside what the hub received.

Each sample has a number and stands in its producer's ledger before it is emitted; each step writes a line when it runs.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One node's figures. `made`: samples in the ledger; `received`: different samples at the hub."""

    node: str
    made: int
    received: int
    lost: int
    doubled: int
    steps: int
    steps_twice: int

    @property
    def whole(self) -> bool:
        """Nothing lost, nothing twice."""
        return self.lost == 0 and self.doubled == 0 and self.steps_twice == 0


def tally(node: str, ledger: Path, events: Iterable[dict[str, Any]]) -> Tally:
    """Compare the ledger files of `node` under `ledger` with the hub's `events` (`skerry events -o json`)."""
    made = set(_lines(ledger / f"{node}.samples"))
    came = collections.Counter(
        str(event["body"]["n"]) for event in events if event["kind"] == "app.sample" and event["node"] == node
    )
    steps = collections.Counter(_lines(ledger / f"{node}.steps"))
    return Tally(
        node=node,
        made=len(made),
        received=len(came),
        lost=len(made - came.keys()),
        doubled=came.total() - len(came),
        steps=steps.total(),
        steps_twice=steps.total() - len(steps),
    )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
