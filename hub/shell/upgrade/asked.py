"""What root asks for at the hub's machine: `skerry hub upgrade PACKAGE`.

Root's own word is the proof: who can write the request can run `dpkg -i`, too. The request is written first, then
root's copy of the package beside it, which is what systemd looks for: half of both is nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from protocol.aio.upgrade import package, places
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.root import Unproven
from protocol.errors import Refused
from protocol.upgrade import words


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """The package of `version`, whose SHA-256 (hex) is `sha256`, to be tried for `confirm_s`."""

    number: int
    version: str
    sha256: str
    confirm_s: float


_request = msgspec.json.Decoder(Request)


def ask(at: Places, deb: Path, confirm_s: float) -> Request:
    """Ask for the version in `deb`. Raises Refused when it does not fit here or another one is under way, OSError."""
    with _alone(at):
        return _ask(at, deb, confirm_s)


@contextmanager
def _alone(at: Places) -> Generator[None]:
    """Let nobody else ask at the same time. Raises Refused, OSError."""
    handle = os.open(at.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused("another version is being asked for here just now: try again in a moment") from error
    finally:
        os.close(handle)


def _ask(at: Places, deb: Path, confirm_s: float) -> Request:
    kept = places.kept(at)
    if kept.stage is not words.Stage.IDLE or at.package.exists():
        name = kept.version or "another version"
        raise Refused(f"{name} is being put in place: see journalctl -u {at.name}-upgrade, and try again then")
    if not deb.is_file():
        raise Refused(f"there is no package {deb}: name the file, as in ./{at.name}_VERSION_MACHINE.deb")
    version = package.fields(deb)[1]
    package.check(at, deb, version)
    with deb.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    made = Request(number=kept.number + 1, version=version, sha256=sha256, confirm_s=confirm_s)
    places.write(at.request, made, 0o600)
    package.copy(deb, at.package, sha256)
    return made


def read(at: Places, kept: words.Kept) -> words.Wish | None:
    """See protocol.aio.upgrade.root.Reader."""
    try:
        said = _request.decode(places.read(at.request))
    except FileNotFoundError:
        return None
    except (OSError, Refused, msgspec.DecodeError) as error:
        raise Unproven(f"{at.request} cannot be read: {error}") from error
    fault = ""
    if said.number > kept.number:
        try:
            with at.package.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != said.sha256:
                    raise Refused("the package is not the one that was asked for")
            package.check(at, at.package, said.version)
        except (OSError, Refused) as error:
            fault = str(error)
    return words.Wish(number=said.number, version=said.version, confirm_s=said.confirm_s, fault=fault)
