"""What makes a device one of a fleet before it has met its hub: `NAME.invite`, on the stick that it is installed from.

Who has the stick has the token, for one device of one name, as long as it lives.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from protocol import ids, limits
from protocol.aio.joining.words import Api, Mqtt
from protocol.errors import Refused

SUFFIX = ".invite"


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """Where the device will belong. `root`: the root's certificate (PEM), whose key the token pins."""

    node: str
    hub: str
    scope: str
    token: str
    root: str
    mqtt: Mqtt
    api: Api


def read(path: Path) -> Invite:
    """Return the invite in a file. Raises Refused."""
    try:
        with open(path, "rb") as file:
            raw = file.read(limits.ENROLL_BYTES_MAX + 1)
        invite = msgspec.json.decode(raw[: limits.ENROLL_BYTES_MAX], type=Invite)
        ids.node_id(invite.node)
        ids.node_id(invite.hub)
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}): is the stick in?") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(f"{path} is no whole invite ({error}): skerry bundle device makes it anew") from error
    return invite


def find(stick: Path, name: str) -> Path:
    """Return the invite on a stick: of `name`, or the only one. Raises Refused."""
    if stick.is_file():
        return stick
    found = sorted(one for one in stick.glob(f"*{SUFFIX}") if name in ("", one.name.removesuffix(SUFFIX)))
    if len(found) == 1:
        return found[0]
    if not found:
        raise Refused(f"there is no invite{f' of {name}' if name else ''} in {stick}: skerry bundle device makes one")
    names = ", ".join(one.name.removesuffix(SUFFIX) for one in found)
    raise Refused(f"{stick} has invites for {names}: say which one this device is, with --name")
