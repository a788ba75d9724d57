"""What a file was read into: plain values, and where each of them stands in it."""

from __future__ import annotations

import msgspec

from protocol.spec.mistakes import Mistake, Path, path_text


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its name for people, and its text."""

    name: str
    text: str


class Int(int):
    """A whole number that remembers how it was written."""

    text: str


class Float(float):
    """A number that remembers how it was written."""

    text: str


class Tree:
    """One document: its value, and the place of each value and key in it (line and column, from 1)."""

    def __init__(self, file: str, line: int) -> None:
        self.file = file
        self.value: object = None
        self.values: dict[Path, tuple[int, int]] = {(): (line, 1)}
        self.keys: dict[Path, tuple[int, int]] = {}
        self.mistakes: list[Mistake] = []

    def mistake(self, path: Path, text: str, *, at_key: bool = False) -> Mistake:
        """Return the mistake `text` at `path`, or at its nearest ancestor that stands in the file."""
        near = path
        while near not in self.values:
            near = near[:-1]
        line, column = self.keys.get(path, self.values[near]) if at_key else self.values[near]
        return Mistake(file=self.file, line=line, column=column, path=path_text(path), text=text)
