"""What a run of figures ends with: each that fails is said and fails the run; what cannot be measured here is null."""

import io
import json
from pathlib import Path

from rich.console import Console

from tests.bench import __main__ as bench
from tests.bench.registry import Bench, Figure, NotMeasured, Target


async def _five(bench: Bench) -> float:
    assert bench.folder.is_dir()
    return 5.0


async def _nothing(bench: Bench) -> float:
    raise NotMeasured("no package was built here: run 'make packages' first")


async def _broken(bench: Bench) -> float:
    raise FileNotFoundError("no such program")


GOOD = Figure(key="good", unit="/s", measure=_five, targets={"": Target(at_least=4)})
MISSED = Figure(key="missed", unit="/s", measure=_five, targets={"": Target(at_least=6)})
UNBUILT = Figure(key="unbuilt", unit="MB", measure=_nothing)
BROKEN = Figure(key="broken", unit="s", measure=_broken)


def test_what_was_never_built_is_null_with_why_and_the_run_ends_well(tmp_path: Path) -> None:
    shown = io.StringIO()
    assert bench.run([GOOD, UNBUILT], tmp_path, Console(file=shown, width=140)) == 0
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["good"] == 5.0
    assert written["unbuilt"] is None
    assert written["why"] == {"unbuilt": "no package was built here: run 'make packages' first"}
    assert "not measured" in shown.getvalue()
    assert "run 'make packages' first" in shown.getvalue()


def test_a_figure_that_fails_or_misses_its_target_fails_the_run(tmp_path: Path) -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=140)
    assert bench.run([MISSED], tmp_path, console) == 1
    assert bench.run([BROKEN, GOOD, UNBUILT], tmp_path, console) == 1
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["failed"] == {"broken": "FileNotFoundError: no such program"}
    assert written["good"] == 5.0
    assert "failed" in shown.getvalue()
