"""The installer as this hub serves it: install.sh, with who the hub is and what it holds filled in."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from hub.shell.install.packages import Package
from protocol.errors import Refused

_TEMPLATE = Path(__file__).with_name("install.sh")
_STICK = Path(__file__).with_name("stick.sh")
_SHARED = re.compile(r"# from here on the same on a stick\n(.*)# up to here the same on a stick\n", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def pin(key: str) -> str:
    """Return the SHA-256 (hex) of a public key as curl takes it after `sha256//`."""
    return base64.b64encode(bytes.fromhex(key)).decode()


def text(*, hub: str, scope: str, host: str, key: str, root: str, held: Sequence[Package]) -> str:
    """Return the script. `host` is how the device reached this hub, `key` and `root` the SHA-256 (hex) of the public
    keys of its certificate and of the root's. Raises Refused on a host that no URL has: nothing of a caller's gets
    between the lines of a script.
    """
    if _HOST.fullmatch(host) is None:
        raise Refused("the header Host is no HOST:PORT: ask for /install by this hub's address")
    words = {
        "HUB": hub,
        "SCOPE": scope,
        "URL": f"https://{host}",
        "PIN": pin(key),
        "ROOT": base64.urlsafe_b64encode(bytes.fromhex(root)).decode().rstrip("="),
        "PACKAGES": _listed(held),
    }
    return re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], _TEMPLATE.read_text())


def offline(*, hub: str, held: Sequence[Package]) -> str:
    """Return the script that installs from a stick, with no network: what it does alike is install.sh's own."""
    shared = _SHARED.search(_TEMPLATE.read_text())
    assert shared is not None
    words = {"HUB": hub, "PACKAGES": _listed(held), "SHARED": shared[1]}
    return re.sub(r"@([A-Z]+)@", lambda found: words.get(found[1], found[0]), _STICK.read_text())


def _listed(held: Sequence[Package]) -> str:
    return "\n".join(f"{one.release} {one.arch} {one.sha256} {one.size} {one.path.name}" for one in held)
