"""mDNS: the one file that knows zeroconf. Announces a hub, and listens for the hubs that announce themselves.

Imported by a hub when it announces, and by short-lived helpers and commands of a device; never by an agent's daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

from zeroconf import IPVersion, ServiceBrowser, ServiceListener, Zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from protocol import limits
from protocol.aio.finding import words
from protocol.aio.finding.words import Announced
from protocol.errors import RemoteProtocolError

SERVICE = "_skerry._tcp.local."
_LABEL_CHARS = 54  # of a DNS label's 63, with the mark behind


class _Register(Protocol):
    async def __call__(self, info: AsyncServiceInfo, *, allow_name_change: bool) -> Awaitable[None]: ...


_UNHEARD = (OSError, RuntimeError, ValueError)  # as zeroconf tells that there is no way to announce or to listen


class Announcer:
    """One announcement on the network, from `open` to `close`."""

    def __init__(self, said: Announced, addresses: Sequence[str]) -> None:
        """`addresses`: IPv4 addresses of this machine, on whose networks it is heard."""
        mark = hashlib.sha256(f"{said.root} {said.api}".encode()).hexdigest()[:8]
        label = f"{said.hub[:_LABEL_CHARS]}-{mark}"  # a hub of the same name elsewhere is another one
        self._addresses = list(addresses)
        self._info = AsyncServiceInfo(
            SERVICE,
            f"{label}.{SERVICE}",
            port=said.api,
            properties=words.encode(said),
            server=f"{label}.local.",
            parsed_addresses=self._addresses,
        )
        self._network: AsyncZeroconf | None = None

    async def open(self) -> None:
        """Announce. Raises OSError when this machine has no way to."""
        try:
            self._network = AsyncZeroconf(interfaces=self._addresses, ip_version=IPVersion.V4Only)
            register = cast("_Register", self._network.async_register_service)
            await (await register(self._info, allow_name_change=True))
        except _UNHEARD as error:
            await self.close()
            raise OSError(f"{error or type(error).__name__}") from error

    async def close(self) -> None:
        """Say goodbye; harmless twice."""
        network, self._network = self._network, None
        if network is not None:
            with contextlib.suppress(*_UNHEARD, TimeoutError):
                async with asyncio.timeout(limits.ANNOUNCE_GOODBYE_S):
                    await network.async_close()


def listen(wait_s: float, enough: Callable[[Announced], bool] = lambda said: False) -> list[Announced]:
    """Return the hubs that are heard within `wait_s`, sooner when one is `enough`; by id. Raises OSError."""
    listener = _Listener(enough)
    try:
        network = Zeroconf()
    except _UNHEARD as error:
        raise OSError(f"this machine cannot listen for hubs ({error}): is it on a network?") from error
    try:
        browser = ServiceBrowser(network, SERVICE, listener)
        listener.heard.wait(wait_s)
        browser.cancel()
    finally:
        network.close()
    return sorted(listener.found.values(), key=lambda said: (said.hub, said.root, said.api))


class _Listener(ServiceListener):
    """Runs in the browser's thread; what it found is read when that has ended."""

    def __init__(self, enough: Callable[[Announced], bool]) -> None:
        self.found: dict[str, Announced] = {}
        self.heard = threading.Event()
        self._enough = enough

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Take an announcement; one that is none of a hub is left out."""
        info = zc.get_service_info(type_, name, limits.DISCOVER_ASK_MS)
        if info is None or not info.parsed_addresses() or len(self.found) >= limits.FOUND_HUBS_MAX:
            return
        try:
            said = words.decode(info.decoded_properties, info.parsed_addresses())
        except RemoteProtocolError:
            return
        self.found[name] = said
        if self._enough(said):
            self.heard.set()

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Take what changed."""
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """It said goodbye."""
        self.found.pop(name, None)
