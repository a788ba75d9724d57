"""Where the parts of a bundle lie until all of them are here: `inbox/` in the data directory, one bundle at a time."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from protocol import limits
from protocol.errors import Refused

HEAD = "bundle.json"
_SPARE_BYTES = limits.DOCTOR_DISK_BYTES_MIN


class Spool:
    """The folder. Its methods raise Refused, OSError."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "inbox"
        self._wanted: dict[str, int] = {HEAD: limits.BUNDLE_HEAD_BYTES_MAX}

    def write(self, name: str, at: int, data: bytes) -> int:
        """Write bytes of a part that is wanted; return how many are here. What was lost is written again."""
        if name not in self._wanted or at < 0 or at + len(data) > self._wanted[name]:
            raise Refused("this part is of no bundle that is being imported: import it again")
        if name == HEAD:
            self._wanted = {HEAD: limits.BUNDLE_HEAD_BYTES_MAX}
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / name
        have = self.have(name)
        if at > have:
            raise Refused(f"bytes {have} to {at} of a part did not arrive: import it again")
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(handle, at)
            os.pwrite(handle, data, at)
        finally:
            os.close(handle)
        return at + len(data)

    def have(self, name: str) -> int:
        """Return how many bytes of a part are here."""
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def head(self) -> bytes:
        """Return `bundle.json`."""
        if not self.have(HEAD):
            raise Refused("no bundle is being imported")
        return (self.folder / HEAD).read_bytes()

    def want(self, parts: dict[str, int]) -> dict[str, int]:
        """From now on these parts are wanted, and no others kept; return how many bytes of each are here."""
        self._wanted = {HEAD: limits.BUNDLE_HEAD_BYTES_MAX, **parts}
        for path in self.folder.iterdir():
            if path.name not in self._wanted or path.stat().st_size > self._wanted[path.name]:
                path.unlink()
        have = {name: self.have(name) for name in parts}
        lacks = sum(parts.values()) - sum(have.values())
        free = shutil.disk_usage(self.folder).free
        if lacks + _SPARE_BYTES > free:
            raise Refused(f"the bundle takes {lacks} bytes more, and this device has {free} free: make room first")
        return have

    def check(self, name: str, size: int) -> Path:
        """Return where a part lies that is whole and what its name says."""
        path = self.folder / name
        if self.have(name) != size:
            raise Refused(f"the bundle is not whole: of its part {name[:12]}... {self.have(name)} of {size} bytes came")
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != name:
            path.unlink()
            raise Refused(f"its part {name[:12]}... was altered or damaged: copy the bundle again")
        return path

    def clear(self) -> None:
        """Let go of all."""
        self._wanted = {HEAD: limits.BUNDLE_HEAD_BYTES_MAX}
        shutil.rmtree(self.folder, ignore_errors=True)
