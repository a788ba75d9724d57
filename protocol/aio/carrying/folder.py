"""A bundle as a folder: written beside its place and renamed when it is whole, read with every size checked first.

    NODE.down/   for a device     NODE.up/   of a device
      bundle.json                   the head and its proof, written last
      HEX                           a part, named by the SHA-256 of its bytes
    .NODE.down.new/               one that is being written: its whole parts are not written again

Works on what sticks are formatted with: no links, no modes, no names that differ in case alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from protocol import limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused, StoreError

HEAD = "bundle.json"
_AGAIN = "the stick was pulled out, or copied half: copy or export it again"


def present(stick: Path) -> None:
    """Raise StoreError when there is no such folder: a stick that is not mounted is not made up on the disk below."""
    if not stick.is_dir():
        raise StoreError(
            f"there is no folder {stick}: is the stick in, and mounted there? (for a folder: mkdir {stick})"
        )


class Writer:
    """Writes the bundle `name` in `stick`. Raises StoreError in a sentence when the stick cannot be written."""

    def __init__(self, stick: Path, name: str) -> None:
        self.place, self._new = stick / name, stick / f".{name}.new"
        present(stick)
        with _writing(stick):
            self._new.mkdir(exist_ok=True)
            (self._new / HEAD).unlink(missing_ok=True)

    def has(self, name: str, size: int) -> int:
        """Return how many bytes of the part `name` are here already; of one that is whole or wrong, `size` or 0."""
        path = self._new / name
        have = path.stat().st_size if path.exists() else 0
        if have < size:
            return have
        return size if have == size and _digest(path) == name else 0

    def write(self, name: str, chunks: Iterable[bytes], at: int = 0) -> None:
        """Write a part from byte `at` on. Raises Refused when it is not what its name says."""
        path = self._new / name
        with _writing(self.place.parent), open(path, "r+b" if at else "wb") as file:
            file.seek(at)
            for chunk in chunks:
                file.write(chunk)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        if _digest(path) != name:
            path.unlink()
            raise Refused(f"a part of the bundle arrived as something else ({name[:12]}): export it again")

    def finish(self, head: bytes, parts: Iterable[str]) -> Path:
        """Write the head, let go of what it does not name, and put the bundle in its place; return that."""
        wanted, old = {HEAD, *parts}, self.place.with_name(f".{self.place.name}.old")
        with _writing(self.place.parent):
            synced.write(self._new / HEAD, head, 0o644)
            for path in self._new.iterdir():
                if path.name not in wanted:
                    path.unlink()
            shutil.rmtree(old, ignore_errors=True)
            if self.place.exists():
                self.place.rename(old)
            self._new.rename(self.place)
            with contextlib.suppress(OSError):  # not all that a stick is formatted with can
                synced.sync_folder(self.place.parent)
            shutil.rmtree(old, ignore_errors=True)
        return self.place


class Bundle:
    """One that was brought. Raises Refused when it is not whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            with open(folder / HEAD, "rb") as file:
                self.raw = file.read(limits.BUNDLE_HEAD_BYTES_MAX + 1)
        except OSError as error:
            raise Refused(f"{folder} holds no readable {HEAD} ({error.strerror}): {_AGAIN}") from error

    def check(self, parts: dict[str, int]) -> None:
        """Raise Refused unless every part is here with its size."""
        wrong = [name for name, size in parts.items() if self._size(name) != size]
        if wrong:
            raise Refused(
                f"{self.folder} is not whole: {len(wrong)} of its {len(parts)} parts are missing or cut short "
                f"({wrong[0][:12]}...); {_AGAIN}"
            )

    def _size(self, name: str) -> int:
        path = self.folder / name
        try:
            return path.stat().st_size if path.is_file() and not path.is_symlink() else -1
        except OSError:
            return -1

    def chunks(self, name: str, at: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of a part from `at` on, `size` at a time. Raises Refused when the stick is gone."""
        try:
            with open(self.folder / name, "rb") as file:
                file.seek(at)
                while chunk := file.read(size):
                    yield chunk
        except OSError as error:
            raise Refused(f"{self.folder / name} cannot be read ({error.strerror}): {_AGAIN}") from error


def find(path: Path, suffix: str) -> list[Bundle]:
    """Return the bundles at `path`: it, or those in it whose names end with `suffix`. Raises Refused: there is none."""
    if (path / HEAD).is_file():
        return [Bundle(path)]
    with contextlib.suppress(OSError):
        found = sorted(one for one in path.iterdir() if one.name.endswith(suffix) and not one.name.startswith("."))
        if found:
            return [Bundle(one) for one in found]
    raise Refused(f"there is no bundle in {path}: name the stick, or the folder NAME{suffix} on it")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _writing(stick: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        text = f"{stick} cannot be written ({error.strerror or error}): is the stick in, and has it room?"
        raise StoreError(text) from error
