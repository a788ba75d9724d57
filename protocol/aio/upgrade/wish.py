"""What the daemon asks root to install: proven, and found to fit this machine, before anything is done.

The daemon is not trusted. Its request counts as far as the root hub signed it, its package as far as it has the digest
that stands there, and both are looked at in root's own copies.
"""

from __future__ import annotations

import re

from protocol import documents, ids, limits
from protocol.aio.upgrade import package, places
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.root import Unproven
from protocol.errors import Refused, SkerryError
from protocol.trust import releases
from protocol.upgrade import words

_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read(at: Places, kept: words.Kept) -> words.Wish | None:
    """See root.Reader. What is new is copied to `at.package`."""
    try:
        raw = places.read(at.request)
    except FileNotFoundError:
        return None
    except (OSError, Refused) as error:
        raise Unproven(f"the request cannot be read: {error}") from error
    try:
        said = documents.decode(raw)
        if not isinstance(said, documents.Upgrade):
            raise Unproven("the request is none")
        releases.check(said, _pin(at))
    except SkerryError as error:
        raise Unproven(str(error)) from error
    fault = ""
    if said.number > kept.number:
        try:
            _check(at, said)
        except (SkerryError, OSError) as error:
            fault = str(error)
    confirm_s = min(max(said.confirm_s, limits.UPGRADE_CONFIRM_S_MIN), limits.UPGRADE_CONFIRM_S_MAX)
    version = said.full(places.release())
    return words.Wish(number=said.number, version=version, confirm_s=confirm_s, fault=fault)


def _pin(at: Places) -> str:
    try:
        text = at.pin.read_text().strip()
    except OSError as error:
        raise Unproven(f"{at.pin} cannot be read ({error.strerror}): no root hub was pinned here") from error
    if _PIN.fullmatch(text) is None:
        raise Unproven(f"{at.pin} holds no pin")
    return text


def _node(at: Places) -> str:
    try:
        return places.read(at.node).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _check(at: Places, said: documents.Upgrade) -> None:
    """Raise Refused unless the package is here, whole, and for this machine. Raises OSError."""
    if said.only and (its := _node(at)) not in said.only:
        raise Refused(f"it is for {', '.join(said.only[:4])} alone; this device is {its or 'none that was pinned'}")
    release, arch = package.here()
    fitting = said.fitting(release, arch)
    if fitting is None:
        raise Refused(f"it is for {said.machines}; this device has Debian {release} on {arch}")
    name = ids.digest(fitting.artifact).removeprefix("sha256:")
    package.copy(at.data / "artifacts" / name / "package.deb", at.package, name)
    package.check(at, at.package, said.full(release))
