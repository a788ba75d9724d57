"""The newest rows of our own streams in memory, so that what was just stored is sent without a SELECT."""

from __future__ import annotations

from protocol.effects import StoredRow

_GONE: StoredRow = (0, b"", b"")


class Tail:
    """The newest rows of one stream: contiguous, at most `bytes_max` bytes. Holds only what is committed."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._rows: list[StoredRow] = []
        self._start = 0  # index in _rows of the oldest kept; the ones before it are let go in bulk
        self._first = 1  # seq of that one
        self._bytes = 0

    @property
    def last(self) -> int:
        """The newest seq, or the one before the oldest when nothing is kept."""
        return self._first + len(self._rows) - self._start - 1

    def clear(self) -> None:
        """Forget everything."""
        self._rows, self._start, self._bytes = [], 0, 0

    def append(self, rows: list[StoredRow]) -> None:
        """Add contiguous `rows`, at least one; what does not follow on replaces everything kept."""
        first = rows[0][0]
        if first != self.last + 1:
            self.clear()
            self._first = first
        self._rows += rows
        self._bytes += sum([len(raw) for _, raw, _ in rows])
        while self._bytes > self._bytes_max:
            self._drop()
        self._compact()

    def trim(self, upto: int) -> None:
        """Forget rows with seq <= `upto`: acked or gone."""
        if upto >= self.last:
            first = self.last + 1
            self.clear()
            self._first = first
            return
        while self._first <= upto:
            self._drop()
        self._compact()

    def rows(self, after: int, upto: int) -> list[StoredRow] | None:
        """Return the rows after < seq <= upto, or None when not all of them are kept."""
        if after + 1 < self._first or upto > self.last:
            return None
        start = self._start + after + 1 - self._first
        return self._rows[start : start + upto - after]

    def _drop(self) -> None:
        self._bytes -= len(self._rows[self._start][1])
        self._rows[self._start] = _GONE
        self._start += 1
        self._first += 1

    def _compact(self) -> None:
        if self._start > 1_024 and self._start * 2 > len(self._rows):
            del self._rows[: self._start]
            self._start = 0
