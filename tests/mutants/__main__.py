"""`make mutants`: break each rule on purpose, and see what turns red. `ONLY=name` for one, `SEEDS=` for the simulator.

Every mutant runs in programs of its own: the simulator, seed by seed until one breaks, and the tests that guard the
rule. It is caught when either turns red; a test that hangs is red too. The whole thing fails when a mutant
survives, or when something is red with no mutant in it. Writes build/mutants.json, and build/mutants.md.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.kinds import Mutant
from tests.mutants.loader import ROOT
from tests.mutants.table import MUTANTS

SEEDS = int(os.environ.get("SEEDS", "60"))
ONLY = os.environ.get("ONLY", "")
JOBS = int(os.environ.get("JOBS", str(os.cpu_count() or 1)))
_WAIT_S = 1_800.0
_BUILD = ROOT / "build"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant. `seeds`: how many the simulator needed, 0 when it did not see it or was not asked."""

    name: str
    rule: str
    says: str
    seeds: int
    broke: str
    test: str

    @property
    def is_caught(self) -> bool:
        """Tell whether anything turned red."""
        return bool(self.seeds or self.test)


def main() -> int:
    """Return 0 when every mutant is caught."""
    chosen = [one for one in MUTANTS if ONLY in one.name]
    if not chosen:
        print(f"no mutant has {ONLY} in its name: tests/mutants/table.py has them all")
        return 2
    seeds, broke = _simulate(None)
    if seeds:
        print(f"the simulator breaks {broke} within {seeds} seeds with no mutant in it: mend that first (make sim)")
        return 1
    red = _test(None, list(dict.fromkeys(path for one in chosen for path in one.tests)))
    if red:
        print(f"{red} is red with no mutant in it: mend that first (make test)")
        return 1
    verdicts: list[Verdict] = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for verdict in pool.map(judge, chosen):
            verdicts.append(verdict)
            print(_line(verdict), flush=True)
    _BUILD.mkdir(exist_ok=True)
    (_BUILD / "mutants.json").write_text(json.dumps([asdict(one) for one in verdicts], indent=1))
    (_BUILD / "mutants.md").write_text(_table(verdicts))
    survivors = [one.name for one in verdicts if not one.is_caught]
    print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} mutants caught", *survivors)
    return 1 if survivors else 0


def judge(mutant: Mutant) -> Verdict:
    """Run what may see `mutant`."""
    seeds, broke = _simulate(mutant) if mutant.sim else (0, "")
    test = _test(mutant, mutant.tests) if mutant.tests else ""
    return Verdict(mutant.name, mutant.rule, mutant.says, seeds, broke, test)


def _simulate(mutant: Mutant | None) -> tuple[int, str]:
    name = mutant.name if mutant is not None else "none"
    report = _BUILD / "mutants" / f"{name}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    more = {"SEEDS": str(SEEDS), "STOP": "1", "SHRINK": "0", "JOBS": "1", "REPORT": str(report)}
    try:
        done = _run(mutant, ["tests.sim"], more)
    except subprocess.TimeoutExpired:
        return SEEDS, "a world that never ends"
    if done.returncode == 0:
        return 0, ""
    assert report.exists(), f"{name}: the simulator did not run\n{done.stderr[-2000:]}"
    said = json.loads(report.read_text())
    return said["seeds"], said["failures"][0]["rule"]


def _test(mutant: Mutant | None, tests: list[str]) -> str:
    try:
        done = _run(mutant, ["pytest", "-q", "-x", "-p", "no:cacheprovider", *tests], {})
    except subprocess.TimeoutExpired:
        return f"{tests[0]} (it hung)"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert done.returncode in (0, 1), f"the tests did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return found[1] if found else ""


def _run(mutant: Mutant | None, words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    breaking = ["-m", "tests.mutants.loader", mutant.name] if mutant is not None else []
    command = [sys.executable, *breaking, "-m", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=_WAIT_S, check=False
    )


def _line(one: Verdict) -> str:
    seen = [f"{one.broke} at seed {one.seeds}"] if one.seeds else []
    seen += [one.test.rpartition("/")[2]] if one.test else []
    return f"{'caught  ' if one.is_caught else 'SURVIVED'} {one.rule:4} {one.name:26} {', '.join(seen)}"


def _table(verdicts: list[Verdict]) -> str:
    lines = [
        "| rule | mutant | what it breaks | seeds until the simulator saw it | a test that saw it |",
        "|---|---|---|---|---|",
    ]
    for one in verdicts:
        seeds = f"{one.seeds} ({one.broke})" if one.seeds else "-"
        test = f"`{Path(one.test.partition('::')[0]).name}::{one.test.partition('::')[2]}`" if one.test else "-"
        lines.append(f"| {one.rule} | {one.name} | {one.says} | {seeds} | {test} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
