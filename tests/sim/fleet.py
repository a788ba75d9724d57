"""Many seeds, on all cores: progress, what broke with the command that shows it again, figures for the report."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.sim import chances, run, shrink, trees
from tests.sim.plan import Plan, encode

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
_SHRINK_TRIES = 150
_SHRUNK_MAX = 5
_ENOUGH_SEEDS = 20
"""So many worlds give every rule something to judge."""
_OF_TREES = frozenset({"relay", "shares", "owner wins", "one at most", "narrowing", "A20 region", "moves"})
_ENOUGH_TREES = 15
"""So many trees give those rules something to judge."""
_FOLLOWED = frozenset({"aside", "lost"})
"""What worlds note beside their faults: it followed from one."""


@dataclass(frozen=True)
class Options:
    """What the environment says; see tests.sim.__main__."""

    seeds: range
    agents: int
    hours: float
    tiers: int
    jobs: int
    stop: bool
    shrink: bool
    report: Path

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Options:
        """Read the environment."""
        text = env.get("SEEDS", "100")
        first, _, last = text.rpartition("-")
        seeds = range(int(first or 1), int(last) + 1)
        if not seeds:
            raise ValueError(f"SEEDS={text}: these are none; say 500, or 20-40")
        return cls(
            seeds=seeds,
            agents=int(env.get("AGENTS", "3")),
            hours=float(env.get("HOURS", "0.5")),
            tiers=_tiers(env.get("TIERS", "0")),
            jobs=int(env.get("JOBS", "0")) or os.cpu_count() or 1,
            stop=env.get("STOP", "") not in ("", "0"),
            shrink=env.get("SHRINK", "1") != "0",
            report=Path(env.get("REPORT", "") or BUILD / "sim.json"),
        )

    def command(self, seed: int) -> str:
        """Return what shows `seed` again."""
        tiers = f" TIERS={self.tiers}" if self.tiers else ""
        return f"make sim SEED={seed} AGENTS={self.agents} HOURS={self.hours:g}{tiers} TRACE=1"


def _tiers(text: str) -> int:
    if not 2 <= int(text) <= trees.TIERS_MAX and int(text):
        raise ValueError(f"TIERS={text}: a world has 2 to {trees.TIERS_MAX}; 0 leaves it to the seed")
    return int(text)


def main(options: Options) -> int:
    """Run all seeds. Return 0 when every rule held, and each had something to judge if the seeds are many."""
    options.report.unlink(missing_ok=True)  # of a run that is broken off nothing older speaks
    began = time.perf_counter()
    outcomes: list[run.Outcome] = []
    broken = 0
    with _bar() as bar:
        task = bar.add_task("", total=len(options.seeds), broken=0)
        for outcome in _all(options):
            outcomes.append(outcome)
            if outcome.rule:
                broken += 1
                _tell(outcome, options, closely=broken <= _SHRUNK_MAX)
            bar.update(task, advance=1, broken=broken)
            if outcome.rule and options.stop:
                break
    wall_s = time.perf_counter() - began
    _report(options, outcomes, wall_s)
    print(_summary(outcomes, wall_s))
    return 1 if any(one.rule for one in outcomes) or idle(outcomes) else 0


def idle(outcomes: list[run.Outcome]) -> list[str]:
    """Return the rules that judged nothing in any of many worlds: their checkers may look at what is no more."""
    _, judged = counted(outcomes)
    trees = sum(one.hubs > 1 for one in outcomes)
    none = [rule for rule in judged if not judged[rule] and (rule not in _OF_TREES or trees >= _ENOUGH_TREES)]
    return none if len(outcomes) >= _ENOUGH_SEEDS else []


def _all(options: Options) -> Iterator[run.Outcome]:
    """Yield outcomes; in the seeds' order when one process runs them."""
    if options.jobs == 1:
        yield from (_one(seed, options) for seed in options.seeds)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        running = [pool.submit(_one, seed, options) for seed in options.seeds]
        try:
            for one in concurrent.futures.as_completed(running):
                yield one.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one(seed: int, options: Options) -> run.Outcome:
    return run.run(seed, agents=options.agents, hours=options.hours, tiers=options.tiers)


def _tell(outcome: run.Outcome, options: Options, *, closely: bool) -> None:
    print(f"\nseed {outcome.seed}: {outcome.text}\n  see it again: {options.command(outcome.seed)}")
    if not options.shrink or not closely:
        return
    plan, at = shortest(outcome, options)
    path = BUILD / f"sim-{outcome.seed}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(plan))
    short = path.relative_to(ROOT)
    print(f"  the shortest plan found: {len(plan.items)} records, breaks at {at:.0f} s; PLAN={short} shows it:")
    for item in plan.items:
        print("   ", msgspec.json.encode(item).decode())


def shortest(outcome: run.Outcome, options: Options) -> tuple[Plan, float]:
    """Return the shortest plan found that breaks the same rule, and when it does."""

    def breaks(plan: Plan) -> float | None:
        again = run.run(outcome.seed, agents=options.agents, hours=options.hours, plan=plan)
        return again.at if again.rule == outcome.rule else None

    plan = chances.make(outcome.seed, options.agents, options.hours, tiers=options.tiers)
    return shrink.shrink(plan, outcome.at, breaks, tries=_SHRINK_TRIES)


def _bar() -> Progress:
    """Return the bar of progress; it shows in a terminal alone, and what is printed stands above it."""
    console = Console()
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("seeds, {task.fields[broken]} broken"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def counted(outcomes: list[run.Outcome]) -> tuple[Counter[str], Counter[str]]:
    """Return (faults by kind, judgements by rule)."""
    faults: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for one in outcomes:
        faults.update({kind: count for kind, count in one.faults.items() if kind not in _FOLLOWED})
        judged.update(one.judged)
    return faults, judged


def figures(outcomes: list[run.Outcome], wall_s: float) -> dict[str, object]:
    """Return what the reliability report shows."""
    faults, judged = counted(outcomes)
    return {
        "seeds": len(outcomes),
        "hours": round(sum(one.hours for one in outcomes), 1),
        "node_hours": round(sum(one.hours * (one.agents + one.hubs) for one in outcomes), 1),
        "trees": sum(one.hubs > 1 for one in outcomes),
        "asleep_hours": round(sum(one.asleep_hours for one in outcomes), 1),
        "items": sum(one.items for one in outcomes),
        "faults": dict(sorted(faults.items())),
        "judged": dict(sorted(judged.items())),
        "wall_s": round(wall_s, 1),
        "failures": [msgspec.to_builtins(one) for one in outcomes if one.rule],
    }


def _report(options: Options, outcomes: list[run.Outcome], wall_s: float) -> None:
    options.report.parent.mkdir(parents=True, exist_ok=True)
    said = {"agents": options.agents, "hours_each": options.hours, **figures(outcomes, wall_s)}
    options.report.write_text(json.dumps(said, indent=1) + "\n")


def _summary(outcomes: list[run.Outcome], wall_s: float) -> str:
    said = figures(outcomes, wall_s)
    faults, judged = counted(outcomes)
    broken = [str(one.seed) for one in outcomes if one.rule]
    lines = [
        f"{said['seeds']} seeds ({said['trees']} trees), {said['hours']} hours simulated "
        f"({said['node_hours']} node-hours) in {wall_s:.0f} s, and {said['asleep_hours']} with everything off",
        f"{sum(faults.values())} faults: " + ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items())),
        f"{sum(judged.values())} checks: " + ", ".join(f"{rule} {count}" for rule, count in judged.items()),
        f"BROKEN: {len(broken)} seeds ({', '.join(sorted(broken, key=int))})" if broken else "every rule held",
        *(f"{rule} JUDGED NOTHING" for rule in idle(outcomes)),
    ]
    return "\n".join(lines)
