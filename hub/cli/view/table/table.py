"""A table of text without lines, one row a line: its work is linear in its rows, for they may be thousands.

Where the terminal is too narrow cells end in `…`: the widest column gives way first, and the name and the state last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hub.cli.view import output

GAP = "  "
KEPT_COLUMNS = 2  # the name and the state
KEPT_WIDTH_MAX = 28
NARROW = 6  # columns are cut to this before those that are kept give way
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_COLOURS = {"green": "\x1b[32m", "yellow": "\x1b[33m", "red": "\x1b[31m"}


class Table:
    """Heads and rows, each of as many cells; what a device says in them moves no cursor."""

    def __init__(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self._heads = list(heads)
        self._rows = [[output.clean(cell) for cell in row] for row in rows]
        self._long = _measure()
        self._widths = [
            max(self._long(row[at]) for row in (self._heads, *self._rows)) for at in range(len(self._heads))
        ]

    def lines(self, width: int | None = None, *, coloured: bool = False) -> Iterator[str]:
        """Yield the lines of the table, none longer than `width` (columns; None: however long they are)."""
        widths = self._widths if width is None else _fitted(self._widths, width)
        yield self._line(self._heads, widths, [_BOLD] * len(widths) if coloured else [])
        for row in self._rows:
            yield self._line(row, widths, [_COLOURS.get(output.colour(cell), "") for cell in row] if coloured else [])

    def _line(self, cells: list[str], widths: list[int], styles: list[str]) -> str:
        shown: list[str] = []
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            text, long = cell, self._long(cell)
            if long > width:
                text, long = self._cut(cell, width), width
            styled = f"{styles[at]}{text}{_PLAIN}" if styles and styles[at] else text
            shown.append(styled + " " * (width - long))
        return GAP.join(shown).rstrip()

    def _cut(self, text: str, width: int) -> str:
        """Return the beginning of `text` and `…`, `width` columns in all."""
        kept = text[: width - 1]
        while self._long(kept) > width - 1:  # some letters take two columns
            kept = kept[:-1]
        return kept + " " * (width - 1 - self._long(kept)) + "…"


def _fitted(widths: list[int], width: int) -> list[int]:
    """Return widths that sum up to no more than `width`, gaps included, as far as each column has one at all."""
    fitted = list(widths)
    over = sum(widths) + len(GAP) * (len(widths) - 1) - width
    kept = [min(one, KEPT_WIDTH_MAX) for one in widths[:KEPT_COLUMNS]]
    rest = widths[KEPT_COLUMNS:]
    for floors in ([*kept, *(min(one, NARROW) for one in rest)], [*kept, *(1 for _ in rest)], [1] * len(widths)):
        while over > 0:
            at = max(range(len(fitted)), key=lambda one: (fitted[one] > floors[one], fitted[one]))
            if fitted[at] <= floors[at]:
                break
            fitted[at] -= 1
            over -= 1
    return fitted


def _measure() -> Callable[[str], int]:
    """Return what tells how many columns a text takes."""
    from rich.cells import cell_len

    return lambda text: len(text) if text.isascii() else cell_len(text)
