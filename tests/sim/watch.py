"""One seed, looked at: its transcript on the standard output."""

from __future__ import annotations

from pathlib import Path

from tests.checkers.history import AnyFact
from tests.sim import plan as plans
from tests.sim import run, transcript
from tests.sim.fleet import Options


def main(seed: int, options: Options, *, trace: bool, plan_file: str) -> int:
    """Run `seed`, with the plan in `plan_file` if that is given. Return 0 when every rule held."""
    plan = plans.decode(Path(plan_file).read_bytes()) if plan_file else None

    def show(fact: AnyFact) -> None:
        for line in transcript.lines(fact):
            print(line)

    outcome = run.run(
        seed,
        agents=options.agents,
        hours=options.hours,
        plan=plan,
        tiers=options.tiers,
        listen=show if trace else None,
    )
    said = f"seed {seed}: {outcome.hours:.2f} hours, {sum(outcome.faults.values())} faults, {outcome.items} items kept"
    print(said + (f"\nBROKEN at {outcome.at:.3f}: {outcome.text}" if outcome.rule else "; every rule held"))
    return 1 if outcome.rule else 0
