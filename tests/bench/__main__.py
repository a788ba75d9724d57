"""`make bench [ONLY=key]`: measure, print a table, write build/bench.json. Exit code 1 when a target is missed."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from rich.console import Console

from tests.bench import registry, report
from tests.bench.registry import Bench, Value

BUILD = Path(__file__).parents[2] / "build"
_WIDTH = 140  # of a table that goes to a file


def main(only: str) -> int:
    """Measure the figures whose key begins with `only`."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    figures = registry.chosen(only)
    if not figures:
        console.print(f"no figure begins with {only!r}: choose from {', '.join(registry.load())}")
        return 2
    found: dict[str, Value] = {}
    failed: dict[str, str] = {}
    for figure in figures:
        folder = BUILD / "bench" / figure.key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with console.status(f"measuring {figure.key}"):
            try:
                found[figure.key] = asyncio.run(_measure(figure, Bench(folder=folder, so_far=found)))
            except Exception as error:  # one figure that fails does not hide the others
                failed[figure.key] = f"{type(error).__name__}: {error}"
            else:
                shutil.rmtree(folder, ignore_errors=True)
    report.show(figures, found, failed, console)
    report.write(BUILD / "bench.json", found, failed)
    console.print(f"written to {BUILD / 'bench.json'}")
    return 1 if failed or report.missed(figures, found) else 0


async def _measure(figure: registry.Figure, bench: Bench) -> Value:
    return await figure.measure(bench)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
