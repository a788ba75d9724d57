"""`make sim`: runs seeds, reports what breaks and how to see it again.

SEEDS=500          seeds 1 to 500; 20-40 for a range
SEED=7 TRACE=1     one seed, with a transcript; PLAN=FILE in place of the seed's own plan
AGENTS=3 HOURS=1   the fleet, and how long faults last in the world's time
TIERS=3            of every world, 2 (flat) to 5; else every third seed is a tree
JOBS=2             processes; STOP=1 ends at the first seed that breaks; SHRINK=0 leaves its plan as it is
REPORT=FILE        where the figures go (build/sim.json)
RULES=A1,A4        only these rules' checkers
SPEED=1            how fast it is at the stated load, and what bounds it
"""

from __future__ import annotations

import os
import sys

from tests.sim import fleet, run, speed, watch


def main() -> int:
    """Return 0 when every rule held, 1 when one did not, 2 for words that say nothing."""
    env = os.environ
    try:
        run.chosen()
        options = fleet.Options.of(env)
    except ValueError as error:
        print(error)
        return 2
    if env.get("SPEED"):
        return speed.main(profile=env["SPEED"] != "quick")
    if env.get("SEED"):
        return watch.main(int(env["SEED"]), options, trace=bool(env.get("TRACE")), plan_file=env.get("PLAN", ""))
    return fleet.main(options)


if __name__ == "__main__":
    sys.exit(main())
