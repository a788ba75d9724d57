"""What a hub says of itself on the local network, as the text of one mDNS record. Never a secret; never believed.

    hub   its id                    name  the name that its TLS certificate proves: its scope
    root  SHA-256 of the root key   path  its place in the tree, from the root down; its name says so too
    api   the port of its API       mqtt  the port for children, or HOST:PORT of an external broker

Who hears it takes it for a hint of where to ask: what counts is proven by TLS afterwards.
"""

from __future__ import annotations

import msgspec

from protocol import ids, limits
from protocol.errors import BadId, RemoteProtocolError

_HEX = frozenset("0123456789abcdef")


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """One hub, as it announces itself. `hosts`: the addresses from which it was heard, in the order heard."""

    hub: str
    name: str
    root: str
    api: int
    mqtt: str
    hosts: list[str] = []

    @property
    def path(self) -> str:
        """Its place in the tree, as its name says it: `cloud/eu-north` for `eu-north.cloud.skerry`."""
        return "/".join(reversed(self.name.removesuffix(ids.DNS_SUFFIX).split(".")))

    def children(self, host: str) -> tuple[str, int]:
        """Return where children connect when the hub is at `host`: there, or at its broker's own place."""
        there, _, port = self.mqtt.rpartition(":")
        return there.removeprefix("[").removesuffix("]") or host, int(port)


def encode(said: Announced) -> dict[str, str]:
    """Return the text of the record; `hosts` are no part of it."""
    return {
        "hub": said.hub,
        "name": said.name,
        "root": said.root,
        "path": said.path[: limits.ANNOUNCED_CHARS_MAX],
        "api": str(said.api),
        "mqtt": said.mqtt,
    }


def decode(text: dict[str, str | None], hosts: list[str]) -> Announced:
    """Return what the record says. Raises RemoteProtocolError when it is no hub's."""
    said = {
        name: (text.get(name) or "")[: limits.ANNOUNCED_CHARS_MAX] for name in ("hub", "name", "root", "api", "mqtt")
    }
    try:
        hub = ids.node_id(said["hub"])
    except BadId as error:
        raise RemoteProtocolError(f"an announcement without a hub: {error}") from error
    if len(said["root"]) != 64 or not _HEX.issuperset(said["root"]):
        raise RemoteProtocolError(f"the announcement of {hub} names no root")
    return Announced(
        hub=hub,
        name=said["name"],
        root=said["root"],
        api=_port(said["api"], hub),
        mqtt=f"{said['mqtt'].rpartition(':')[0]}:{_port(said['mqtt'].rpartition(':')[2], hub)}".removeprefix(":"),
        hosts=hosts[: limits.FOUND_HOSTS_MAX],
    )


def _port(text: str, hub: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 0 < int(text) < 65_536:
        raise RemoteProtocolError(f"the announcement of {hub} names no port: {text[:16]!r}")
    return int(text)
