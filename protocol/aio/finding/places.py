"""Where a hub may be that is not at its known address, and which of these places it proves to be at.

Candidates: who announces its id and our root on the local network, and the names in the certificate that it showed
last, at the ports that are known. Each must prove by mutual TLS, under our root and by the hub's name, that it is the
hub; who cannot is left out, whatever it says.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence

import msgspec

from protocol import limits
from protocol.aio.finding import proof
from protocol.aio.finding.words import Announced

Listen = Callable[[float], Sequence[Announced]]
Place = tuple[str, int]
"""Host and port."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The hub that is looked for, and where it was: for children (`mqtt`) and its API. `root`: SHA-256 of the root's
    key, hex; `names`: of its certificate, as it was last seen."""

    hub: str
    root: str
    mqtt: Place
    api: Place
    names: list[str]


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is now; or, without `mqtt`, the `reason` why it was not found."""

    mqtt: Place | None = None
    api: Place = ("", 0)
    reason: str = ""


def look(wanted: Wanted, context: ssl.SSLContext, listen: Listen) -> Proven:
    """Look for a hub; `context` demands that it proves itself. Waits at most for FOUND_TRIES_MAX tries."""
    heard: Sequence[Announced] = []
    with contextlib.suppress(OSError):  # no network that announcements go over; its names may still lead there
        heard = listen(limits.DISCOVER_WAIT_S)
    doubts: list[str] = []
    for tried, (mqtt, api) in enumerate(_places(wanted, heard)):
        if tried >= limits.FOUND_TRIES_MAX:
            break
        doubt = proof.stands(*mqtt, context)
        if not doubt:
            return Proven(mqtt=mqtt, api=api)
        doubts.append(f"{proof.text(*mqtt)}: {doubt}")
    if not doubts:
        return Proven(reason=f"nobody on this network announces itself as {wanted.hub}")
    return Proven(reason=f"{wanted.hub} is not at {'; '.join(doubts[: limits.FOUND_DOUBTS_SAID_MAX])}")


def _places(wanted: Wanted, heard: Sequence[Announced]) -> Iterator[tuple[Place, Place]]:
    """Yield where the hub may be, each place once, the likely ones first."""
    seen = {wanted.mqtt}
    for one in heard:
        if (one.hub, one.root) != (wanted.hub, wanted.root):
            continue
        for host in one.hosts:
            at = one.children(host)
            if at not in seen:
                seen.add(at)
                yield at, (host, one.api)
    for host in wanted.names:
        at = host, wanted.mqtt[1]
        if at not in seen:
            seen.add(at)
            yield at, (host, wanted.api[1])
