"""By which names and addresses a machine may be reached: what stands in a hub's certificate for curl and browsers."""

from __future__ import annotations

import re
import socket

import psutil

from protocol import limits

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def of_machine(*more: str) -> list[str]:
    """Return the names and addresses by which this machine may be reached, and `more` but for wildcards; sorted."""
    found = {"localhost", "127.0.0.1", "::1"}
    name = socket.gethostname()
    found.update([name] if _HOST.fullmatch(name) else [])
    found.update(host for host in more if host not in _WILDCARDS and (":" in host or _HOST.fullmatch(host)))
    for addresses in psutil.net_if_addrs().values():
        found.update(one.address for one in addresses if one.family is socket.AF_INET)
        found.update(one.address for one in addresses if one.family is socket.AF_INET6 and "%" not in one.address)
    return sorted(found)[: limits.CERTIFICATE_HOSTS_MAX]
