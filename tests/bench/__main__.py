"""`make bench [ONLY=key]`: measure, print a table, write build/bench.json. Exit code 1 when a target is missed or a
figure fails; what cannot be measured here is null, with `why`, and is neither."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench import registry, report
from tests.bench.registry import Bench, Figure, NotMeasured, Value

BUILD = Path(__file__).parents[2] / "build"
_WIDTH = 140  # of a table that goes to a file


def main(only: str) -> int:
    """Measure the figures whose key begins with `only`."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    figures = registry.chosen(only)
    if not figures:
        console.print(f"no figure begins with {only!r}: choose from {', '.join(registry.load())}")
        return 2
    return run(figures, BUILD, console)


def run(figures: Sequence[Figure], build: Path, console: Console) -> int:
    """Measure `figures`, each in a folder of its own under `build`; write its bench.json; return the exit code."""
    found: dict[str, Value] = {}
    failed: dict[str, str] = {}
    why: dict[str, str] = {}
    for figure in figures:
        folder = build / "bench" / figure.key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with console.status(f"measuring {figure.key}"):
            try:
                found[figure.key] = asyncio.run(_measure(figure, Bench(folder=folder, so_far=found)))
            except NotMeasured as error:
                why[figure.key] = str(error)
            except Exception as error:  # one figure that fails does not hide the others
                failed[figure.key] = f"{type(error).__name__}: {error}"
                continue
        shutil.rmtree(folder, ignore_errors=True)
    report.show(figures, found, failed, why, console)
    report.write(build / "bench.json", found, failed, why)
    console.print(f"written to {build / 'bench.json'}")
    return 1 if failed or report.missed(figures, found) else 0


async def _measure(figure: Figure, bench: Bench) -> Value:
    return await figure.measure(bench)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
