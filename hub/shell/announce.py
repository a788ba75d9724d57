"""A hub says on the local network where it is, so that devices find it: its id, its root's fingerprint, its ports.

Nothing of it is secret and nothing rests on it. Unless it is asked to, a hub that listens on loopback alone announces
nothing: nobody else could come. That it cannot announce is a warning and never an end: it tries again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from typing import TYPE_CHECKING

import psutil

from hub.shell.home import HubFile, Place
from protocol import limits
from protocol.aio.finding.words import Announced
from protocol.documents import Haven

if TYPE_CHECKING:
    from protocol.aio.finding import mdns  # zeroconf, for a hub that announces

log = logging.getLogger("skerry.hub")

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def addresses(host: str) -> list[str]:
    """Return the IPv4 addresses at which a hub that listens on `host` is found; sorted, loopback only if it is all."""
    if host not in _WILDCARDS:
        try:
            known = ipaddress.ip_address(host)
        except ValueError:
            return []
        return [str(known)] if known.version == 4 else []
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = {
        one.address
        for name, all_of in psutil.net_if_addrs().items()
        for one in all_of
        if one.family is socket.AF_INET and name in up
    }
    return sorted(one for one in found if not ipaddress.ip_address(one).is_loopback)


def haven(file: HubFile, scope: str) -> Haven | None:
    """Return where nodes that are to turn to the hub of `file` find it; None when it listens where the system says."""
    broker, api = file.broker, file.api
    mqtt = Place(host=broker.host, port=broker.port) if broker is not None else file.mqtt
    hosts = [_host(place.host) for place in (mqtt, api)]
    if not all(hosts) or not mqtt.port or not api.port:
        return None
    return Haven(
        id=file.id,
        scope=scope,
        mqtt_host=hosts[0],
        mqtt_port=mqtt.port,
        api_host=hosts[1],
        api_port=api.port,
        mqtt_name=broker.name if broker is not None else "",
        sealed=broker is not None,
    )


def _host(host: str) -> str:
    return host if host not in _WILDCARDS else next(iter(addresses(host)), "")


def is_wanted(asked: bool | None, host: str) -> bool:
    """Tell whether a hub whose API listens on `host` announces itself; `asked`: what its operator said, if anything."""
    return bool(addresses(host)) and not _is_loopback(host) if asked is None else asked


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (host not in _WILDCARDS and host.startswith(("127.", "::1")))


async def keep(said: Announced, host: str) -> None:
    """Announce a hub whose API listens on `host`, on whatever networks this machine has, until cancelled."""
    from protocol.aio.finding import mdns

    announcer: mdns.Announcer | None = None
    there: list[str] = []
    failed = ""
    try:
        while True:
            now = await asyncio.to_thread(addresses, host)
            if now != there or announcer is None:
                if announcer is not None:
                    await announcer.close()
                    announcer = None
                announcer, there = (mdns.Announcer(said, now) if now else None), now
                failed = await _open(announcer, failed)
                if failed:
                    announcer = None
            await asyncio.sleep(limits.ANNOUNCE_LOOK_S)
    finally:
        if announcer is not None:
            await announcer.close()


async def _open(announcer: mdns.Announcer | None, failed: str) -> str:
    """Open it; return why that cannot be, having said so once."""
    reason = "it has no IPv4 network"
    if announcer is not None:
        try:
            await announcer.open()
        except OSError as error:
            reason = str(error)
        else:
            return ""
    if reason != failed:
        log.warning("this hub cannot announce itself (%s): devices need its address, --hub; it tries again", reason)
    return reason
