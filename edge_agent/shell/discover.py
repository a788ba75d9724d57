"""Finds hubs on the local network by mDNS. What answers is a mere hint: the token's pin decides whom to trust."""

from __future__ import annotations

import threading

from zeroconf import ServiceBrowser, ServiceListener, Zeroconf

SERVICE = "_skerry._tcp.local."
_WAIT_S = 3.0
_ASK_MS = 2_000


def find(wait_s: float = _WAIT_S) -> dict[str, str]:
    """Return the API addresses of hubs that answer within `wait_s`, by name; stops early when one has answered."""
    listener = _Listener()
    network = Zeroconf()
    try:
        browser = ServiceBrowser(network, SERVICE, listener)
        listener.heard.wait(wait_s)
        browser.cancel()
    finally:
        network.close()
    return listener.found


class _Listener(ServiceListener):
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.heard = threading.Event()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = zc.get_service_info(type_, name, _ASK_MS)
        if info is None or not info.parsed_addresses():
            return
        host = info.parsed_addresses()[0]
        self.found[name.removesuffix(f".{type_}")] = f"https://{f'[{host}]' if ':' in host else host}:{info.port}"
        self.heard.set()

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.found.pop(name.removesuffix(f".{type_}"), None)
