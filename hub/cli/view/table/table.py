"""Tables by Rich, without lines, one row a line, a page of rows at a time: the first are read while the last are made.

Where the terminal is too narrow cells end in `…`, the name and the state last.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hub.cli.view import output

if TYPE_CHECKING:
    from rich import table as rich
    from rich.console import Console

PAGE_ROWS = 250
KEPT_COLUMNS = 2  # the name and the state, unless they are longer than
KEPT_WIDTH_MAX = 28
GAP = 2  # between two columns


class Table:
    """Heads and rows, each of as many cells; what a device says in them moves no cursor. `spare`: the head of a column
    that is left out where the terminal is too narrow for all."""

    def __init__(self, heads: Sequence[str], rows: Iterable[Sequence[str]], spare: str = "") -> None:
        self._heads, self._spare = list(heads), spare
        self._rows = [[output.clean(cell) for cell in row] for row in rows]

    def pages(self, console: Console) -> Iterator[rich.Table]:
        """Yield the table for `console` as tables of at most PAGE_ROWS rows, their columns alike; the first has the
        heads."""
        from rich.text import Text

        if self._spare and sum(self._longest()) + GAP * (len(self._heads) - 1) > console.width:
            self._leave_out(self._heads.index(self._spare))
        widths = self._widths(console)
        for start in range(0, max(len(self._rows), 1), PAGE_ROWS):
            page = _bare(has_heads=start == 0)
            for head, width in zip(self._heads, widths, strict=True):
                page.add_column(head, no_wrap=True, overflow="ellipsis", width=width)
            for row in self._rows[start : start + PAGE_ROWS]:
                page.add_row(*(Text(cell, style=output.colour(cell)) for cell in row))
            yield page

    def _leave_out(self, at: int) -> None:
        self._spare = ""
        for cells in (self._heads, *self._rows):
            del cells[at]

    def _longest(self) -> list[int]:
        """Return how wide each column is where there is room."""
        from rich.cells import cell_len

        return [max(map(cell_len, column)) for column in zip(self._heads, *self._rows, strict=True)]

    def _widths(self, console: Console) -> list[int]:
        """Return how wide each column is on `console`: Rich says so of one row of the longest cells."""
        longest = self._longest()
        ruler = _bare(has_heads=False)
        for at, width in enumerate(longest):  # those that may wrap give way first, the widest before the others
            ruler.add_column(no_wrap=at < KEPT_COLUMNS and width <= KEPT_WIDTH_MAX, overflow="fold")
        ruler.add_row(*("x" * width for width in longest))
        line = "".join(part.text for part in console.render_lines(ruler)[0])
        widths = [len(cell) for cell in line.split()]
        return widths + [1] * (len(longest) - len(widths))


def show(made: Table, *, wide: bool = False) -> None:
    """Print a table that fits the terminal; one that is `wide`, or goes into a pipe, is never cut."""
    console = output.console()
    if console.is_terminal:
        shown = output.unbounded() if wide else console
        for page in made.pages(shown):
            shown.print(page)
        return
    for page in made.pages(console):
        with console.capture() as capture:
            console.print(page)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    sys.stdout.flush()


def _bare(*, has_heads: bool) -> rich.Table:
    from rich.table import Table as RichTable

    return RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=has_heads)
