"""How often one address may ask. Pure; time is an argument (mono seconds)."""

from __future__ import annotations

import ipaddress

from protocol import limits
from protocol.link.flow import bucket


class Callers:
    """A rate for each address; the limits.CALLERS_MAX that asked last are known. An IPv6 host is its network of /64."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._all: dict[str, bucket.Bucket] = {}

    def take(self, host: str, now: float) -> bool:
        """Count one of `host`; False when it is one too many."""
        caller = _network(host)
        rate = self._all.pop(caller, None) or bucket.per_second(self._per_s)
        if len(self._all) >= limits.CALLERS_MAX:
            del self._all[next(iter(self._all))]
        self._all[caller] = rate
        return rate.take(now)


def _network(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address.exploded[:19])
