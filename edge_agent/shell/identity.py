"""Who this device is, on disk: agent.json, the key that never leaves it, its certificate, the root it trusts.

    agent.json   written last: a directory without it is not enrolled
    key.pem      0600      cert.pem (with its intermediates)      root.pem
    papers.json  what the X.509 of them said when it was read (shell/papers)

The directory is 0711: who knows a name may pass through to the sockets and artifacts, whose own modes decide; the rest
is 0600 and nobody can list it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from protocol import limits
from protocol.errors import Refused, StoreError

if TYPE_CHECKING:
    import ssl

ARTIFACTS = "artifacts"
INVITE = "invite.json"
"""What a device was installed with from a stick (protocol.aio.carrying.invite), until it has a certificate."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where to dial."""

    host: str
    port: int


class Mqtt(msgspec.Struct, frozen=True, kw_only=True):
    """The link's transport: `name` is who must answer there, `sealed` that a broker stands in between."""

    host: str
    port: int
    name: str
    sealed: bool = False


class AgentFile(msgspec.Struct, frozen=True, kw_only=True):
    """agent.json."""

    node: str
    hub: str
    parent: str
    scope: str
    """The DNS name of the hub's domain: what it proves by TLS, and what our own certificate stands in."""
    mqtt: Mqtt
    api: Address
    root_pin: str
    labels: dict[str, str] = {}
    names: list[str] = []
    """Host names and addresses that the hub's certificate gave it when it was last met: where it may be found again."""
    quota_bytes: int = limits.DEVICE_QUOTA_BYTES
    """What journal.db and telemetry.db may take on disk, with all that belongs to them."""


_files = msgspec.json.Decoder(AgentFile)


def default_data() -> Path:
    """Return the data directory when none is named: $SKERRY_DATA, the system's for root, else the user's own."""
    named = os.environ.get("SKERRY_DATA", "")
    if named:
        return Path(named)
    system = Path("/var/lib/skerry/agent")
    home = Path(os.environ.get("XDG_DATA_HOME", "") or Path.home() / ".local" / "share") / "skerry" / "agent"
    if os.geteuid() == 0 or (not (home / "agent.json").exists() and (system / "control.sock").exists()):
        return system
    return home


def make_directory(data: Path) -> bool:
    """Make the data directory; tell whether it is new. Raises Refused."""
    try:
        new = not data.exists()
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o711)
    except OSError as error:
        raise Refused(f"cannot make {data}: {error.strerror}; choose another with --data, or run as root") from error
    return new


def act_as_owner(data: Path) -> None:
    """Become who owns `data`, if we are root and it is another's: what root made there its agent could not read.

    Root's home is closed to them; so `data` is the default from here on.
    """
    if os.geteuid() != 0 or not data.is_dir() or data.stat().st_uid == 0:
        return
    owner = data.stat()
    os.environ["SKERRY_DATA"] = str(data)
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def load(data: Path) -> AgentFile:
    """Return agent.json. Raises Refused when this device is not enrolled, StoreError when the file is damaged."""
    path = data / "agent.json"
    try:
        return _files.decode(path.read_bytes())
    except FileNotFoundError:
        raise Refused(
            f"not enrolled: there is no {path}. First: skerry-agent enroll --hub URL --token TOKEN --data {data}"
        ) from None
    except PermissionError as error:
        raise Refused(f"cannot read {path}: run as the user that enrolled this device") from error
    except msgspec.DecodeError as error:
        raise StoreError(f"{path} is damaged ({error}): restore it, or enroll again with a new token") from error


def is_invited(data: Path) -> bool:
    """Tell whether this device has yet to enroll: it has no certificate, and nothing of it is on a link."""
    return (data / INVITE).exists()


def check_met(data: Path) -> None:
    """Raise Refused for a device that has yet to enroll."""
    if is_invited(data):
        raise Refused("this device was prepared from a stick, and has yet to enroll: it works, and has no certificate")


def save(data: Path, file: AgentFile) -> None:
    """Write agent.json: from now on the device is enrolled."""
    from protocol.aio.upkeep import synced

    synced.write(data / "agent.json", msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")


def link_context(data: Path, file: AgentFile) -> ssl.SSLContext:
    """Return the TLS context of the link: mutual, only our root, only the hub's (or broker's) name."""
    from protocol.aio import tls  # large, and every command of the person here asks this module where the agent is

    return tls.child_context(chain=data / "cert.pem", key=data / "key.pem", root=data / "root.pem", name=file.mqtt.name)


def artifacts(data: Path) -> list[str]:
    """Return the digests of the artifacts that are unpacked here: a folder with its full name is verified and whole."""
    from edge_agent.shell.runners import place

    folder = data / ARTIFACTS
    place.passage(folder)
    return sorted(f"sha256:{path.name}" for path in folder.iterdir() if len(path.name) == 64 and path.is_dir())
