"""What a hub and who asks it in say to each other over its API, and how a person writes where a hub is."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from protocol.errors import Refused, SkerryError

PORT = 8443


class Unreachable(SkerryError):
    """The hub did not answer."""


class Mqtt(msgspec.Struct, frozen=True):
    """Where children connect; an empty host is the one that the API was reached by."""

    host: str
    port: int
    name: str
    sealed: bool = False


class Api(msgspec.Struct, frozen=True):
    """Where the API is; an empty host is the one that it was reached by."""

    host: str
    port: int


class Enrolled(msgspec.Struct, frozen=True):
    """What an enrollment gives. `certificate`: a chain without the root (PEM); of a hub, that of its CA."""

    node: str
    hub: str
    scope: str
    certificate: str
    root: str
    mqtt: Mqtt
    api: Api


class Info(msgspec.Struct, frozen=True):
    """Who a hub says it is; `path`: the ids from the root down to it."""

    hub: str
    scope: str
    path: list[str]


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """A hub whose CA the token's pin has proven; that it is the hub called `info` TLS will show."""

    base: str
    root: str
    info: Info


def base(hub: str, option: str = "--hub") -> str:
    """Return `https://HOST:PORT` of what a person wrote. Raises Refused, naming `option`."""
    text = hub if "://" in hub else f"https://{hub}"
    parts = urlsplit(text)
    try:
        port = parts.port or PORT
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port:
        raise Refused(f"{hub!r} is not the address of a hub: write {option} https://HOST:{PORT}")
    return f"https://{bracketed(parts.hostname)}:{port}"


def bracketed(host: str) -> str:
    """Return `host` as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
