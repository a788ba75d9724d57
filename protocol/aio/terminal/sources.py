"""The files that a person names to `apply`: read as far as is allowed, and no further."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from protocol import limits
from protocol.errors import SpecError

_SUFFIXES = (".yaml", ".yml")


def named(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and text of each file, of each *.yaml and *.yml in a folder, of stdin for `-`.

    All together are at most limits.SPEC_BYTES_MAX characters. Raises SpecError.
    """
    found: list[tuple[str, str]] = []
    left = limits.SPEC_BYTES_MAX
    for path in (one for name in names for one in _inside(name)):
        name = "<stdin>" if path is None else str(path)
        try:
            text = _head(path, left + 1)
        except OSError as error:
            raise SpecError(f"cannot read {name}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SpecError(f"{name} is no text (byte {error.start} is not UTF-8)") from error
        left -= len(text)
        if left < 0:
            most = f"{limits.SPEC_BYTES_MAX >> 20} MiB"
            raise SpecError(f"{name} is over {most}, with those before it: large files go into an artifact")
        found.append((name, text))
    return found


def _inside(name: str) -> Sequence[Path | None]:
    """Return the files of one name; None stands for stdin."""
    path = Path(name)
    if name == "-":
        return [None]
    if not path.is_dir():
        return [path]
    inside = sorted(one for one in path.glob("*") if one.suffix in _SUFFIXES)
    if not inside:
        raise SpecError(f"{name} holds no {', '.join('*' + suffix for suffix in _SUFFIXES)}")
    return inside


def _head(path: Path | None, count: int) -> str:
    if path is None:
        return sys.stdin.read(count)
    with path.open(encoding="utf-8") as file:
        return file.read(count)
