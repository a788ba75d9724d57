"""The figures of `make bench`: one function for each key of build/bench.json, registered by `@figure`.

    @figure("steps_per_s", unit="/s", targets={"scheduling": Target(at_least=1_500, share=0.4, of=FLOOR)})
    async def steps_per_s(bench: Bench) -> dict[str, float]:
        ...

A function gets an empty folder on the disk whose floor was taken, and what was measured before it; it returns one
number, or several by name. One that cannot measure on this machine raises `NotMeasured`. Groups are modules of this
folder, listed in `GROUPS` in the order in which they run: floors first.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

GROUPS = (
    "floors",
    "store",
    "dispatch",
    "events",
    "steps",
    "doors",
    "storm",
    "backlog",
    "tiers",
    "idle",
    "wire",
    "boot",
    "package",
)

Value = float | dict[str, float]


class NotMeasured(Exception):
    """What a figure needs was never made here, and why that is no failure. Its text says what to do first."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a number must reach: an absolute bound, and a share of the floor `of` taken in the same run.

    `of` is the key of a figure, or KEY.NAME for one of several numbers.
    """

    at_least: float | None = None
    at_most: float | None = None
    share: float | None = None
    of: str = ""

    def key(self) -> str:
        """Return the key of the floor's figure, or ""."""
        return self.of.partition(".")[0]

    def text(self) -> str:
        """Return the target for people."""
        parts = [f">= {self.at_least:,.0f}"] if self.at_least is not None else []
        parts += [f"<= {self.at_most:g}"] if self.at_most is not None else []
        parts += [f">= {self.share:.0%} of the floor"] if self.share is not None else []
        return ", ".join(parts)

    def reached(self, number: float, floor: float | None) -> bool:
        """Tell whether `number` reaches it."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.share is None or floor is None or number >= self.share * floor)
        )


@dataclass(kw_only=True)
class Bench:
    """What a figure's function gets: an empty folder of its own, and the figures so far."""

    folder: Path
    so_far: Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One key of build/bench.json. `targets` by the number's name, "" for a single one. `beside`: what others publish
    of the same thing."""

    key: str
    unit: str
    measure: Callable[[Bench], Awaitable[Value]]
    targets: Mapping[str, Target] = field(default_factory=dict[str, Target])
    beside: str = ""

    def needs(self) -> set[str]:
        """Return the floors that its targets are shares of."""
        return {target.key() for target in self.targets.values() if target.of}


FIGURES: dict[str, Figure] = {}


def figure(
    key: str, *, unit: str, targets: Mapping[str, Target] | Target | None = None, beside: str = ""
) -> Callable[[Callable[[Bench], Awaitable[Value]]], Callable[[Bench], Awaitable[Value]]]:
    """Register the decorated function as what measures `key`."""
    by_name = {"": targets} if isinstance(targets, Target) else (targets or {})

    def register(measure: Callable[[Bench], Awaitable[Value]]) -> Callable[[Bench], Awaitable[Value]]:
        assert key not in FIGURES
        FIGURES[key] = Figure(key=key, unit=unit, measure=measure, targets=by_name, beside=beside)
        return measure

    return register


def load() -> dict[str, Figure]:
    """Import every group; return all figures in the order in which they run."""
    for group in GROUPS:
        importlib.import_module(f"tests.bench.{group}")
    return FIGURES


def chosen(only: str) -> list[Figure]:
    """Return the figures whose key begins with `only` ("" is all), and the floors that they need."""
    figures = load()
    wanted = {key for key in figures if key.startswith(only)}
    for key in list(wanted):
        wanted |= figures[key].needs()
    return [one for key, one in figures.items() if key in wanted]
