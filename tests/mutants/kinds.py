"""What a mutant is: places in the source, what is put there, and what is expected to see it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Edit:
    """One place: `old` stands in `file` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One break. `tests`: what is run when the simulator is not expected to see it (`sim` False), or did not."""

    name: str
    rule: str
    says: str
    edits: list[Edit]
    sim: bool = True
    tests: list[str] = field(default_factory=list[str])

    def alter(self, file: str, source: str) -> str:
        """Return the source of `file` with this mutant in it. Raises AssertionError when a place has moved."""
        for edit in self.edits:
            if edit.file == file:
                found = source.count(edit.old)
                assert found == 1, f"mutant {self.name}: {edit.old!r} stands {found} times in {file}, not once"
                source = source.replace(edit.old, edit.new)
        return source


def one(
    name: str, rule: str, says: str, file: str, old: str, new: str, *, sim: bool = True, tests: list[str] | None = None
) -> Mutant:
    """Return a mutant of one place."""
    return Mutant(name, rule, says, [Edit(file, old, new)], sim, tests or [])
