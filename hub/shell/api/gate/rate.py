"""How often somebody may ask: over all, and from one address."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from protocol import limits


class Rate:
    """At most `per_s` a second, with a second's worth of burst."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._left = per_s
        self._at = clock()

    def take(self) -> bool:
        """Count one; False when it is one too many."""
        now = self._clock()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Callers:
    """A Rate for each address; the limits.CALLERS_MAX that asked last are known. An IPv6 host is its network of /64."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._all: dict[str, Rate] = {}

    def take(self, host: str) -> bool:
        """Count one of `host`; False when it is one too many."""
        caller = _network(host)
        rate = self._all.pop(caller, None) or Rate(self._per_s, self._clock)
        if len(self._all) >= limits.CALLERS_MAX:
            del self._all[next(iter(self._all))]
        self._all[caller] = rate
        return rate.take()


def _network(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address.exploded[:19])
