"""Where versions lie, and the two folders through which the daemon and root's part speak; each writes only its own.

LIB    versions/VERSION/  the links `current` and `good`        root's; everybody's to read
STATE  state.json  package.deb  root.pin  node.pin                        root's; everybody's to read
DATA   upgrade/request.json  upgrade/said.json                  the daemon's: root trusts nothing of it

`NAME` is the package's and the unit's.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from protocol import limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused
from protocol.upgrade import words

_kept = msgspec.json.Decoder(words.Kept)
_said = msgspec.json.Decoder(words.Said)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Whose versions, and the folders."""

    name: str
    lib: Path
    state: Path
    data: Path

    @property
    def versions(self) -> Path:
        """Where the versions are, each by its name."""
        return self.lib / "versions"

    @property
    def kept(self) -> Path:
        """What root's part keeps."""
        return self.state / "state.json"

    @property
    def package(self) -> Path:
        """Root's own copy of the package, there as long as there is something to do."""
        return self.state / "package.deb"

    @property
    def pin(self) -> Path:
        """The SHA-256 (hex) of the root's public key."""
        return self.state / "root.pin"

    @property
    def node(self) -> Path:
        """The name of this node."""
        return self.state / "node.pin"

    @property
    def request(self) -> Path:
        """The Upgrade that the daemon asks for."""
        return self.data / "upgrade" / "request.json"

    @property
    def said(self) -> Path:
        """What a version on trial says of itself."""
        return self.data / "upgrade" / "said.json"


def release() -> str:
    """Return the number of this Debian, or what it is instead."""
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        return "none"
    number = about.get("VERSION_ID", "testing")
    return number if about.get("ID") == "debian" else f"none but {about.get('ID', 'another')} {number}"


def own_version(places: Places) -> str:
    """Return the version whose code this is; empty when it does not lie among the versions."""
    home = Path(sys.prefix)
    return home.name if home.parent == places.versions else ""


def kept(places: Places) -> words.Kept:
    """Return what root's part keeps; nothing, if there is nothing that can be read."""
    try:
        return _kept.decode(read(places.kept))
    except (OSError, Refused, msgspec.DecodeError):
        return words.Kept()


def said(places: Places) -> words.Said | None:
    """Return what the version on trial said last, a line of bounded length; None, too, when nobody can read it."""
    try:
        found = _said.decode(read(places.said))
    except (OSError, Refused, msgspec.DecodeError, RecursionError):
        return None
    line = "".join(char if char.isprintable() else " " for char in found.fault[: limits.UPGRADE_FAULT_CHARS_MAX])
    return msgspec.structs.replace(found, fault=line)


def write(path: Path, value: object, mode: int = 0o644) -> None:
    """Write `value` (a struct) as JSON, durably. Raises OSError."""
    synced.write(path, msgspec.json.encode(value), mode)


def read(path: Path) -> bytes:
    """Return a small plain file, which may be a stranger's. Raises OSError, Refused."""
    handle = opened(path)
    with os.fdopen(handle, "rb") as file:
        raw = file.read(limits.DOCUMENT_BYTES_MAX + 1)
    if len(raw) > limits.DOCUMENT_BYTES_MAX:
        raise Refused(f"{path} is over {limits.DOCUMENT_BYTES_MAX} bytes")
    return raw


def drop(path: Path) -> None:
    """Remove what is at `path`. Its folder is a stranger's: no link of it is followed. Raises OSError."""
    name, folder = path.name, path.parent
    try:
        handle = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        folder.unlink(missing_ok=True)
        return
    try:
        os.unlink(name, dir_fd=handle)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        os.rmdir(name, dir_fd=handle)
    finally:
        os.close(handle)


def opened(path: Path) -> int:
    """Return a handle on a plain file that may be a stranger's: no link, no pipe. Raises OSError, Refused."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused(f"{path} is no plain file")
    return handle
