"""What of a hub is at work on this machine: its ports, the broker that it was told to go through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import psutil

from hub.core.doctor.facts import Above, Port
from hub.core.up import contact
from hub.shell.home import Broker, Home, HubFile, Place, parse_broker
from protocol.aio import tls
from protocol.aio.checkup import files, stores, ways
from protocol.doctor.facts import Answer
from protocol.doctor.findings import Unseen
from protocol.errors import Refused
from protocol.trust import certificates

_WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_OPTION = "--broker"


def known(named: HubFile | Unseen) -> HubFile:
    """Return hub.json. Raises Refused when it could not be read."""
    if isinstance(named, Unseen):
        raise Refused(named.why)
    return named


def dialled(host: str) -> str:
    """Return where to dial a listener of this machine."""
    return _WILDCARDS.get(host, host)


def answer(home: Home, named: HubFile | Unseen) -> Answer:
    """Ask this hub's own API, which must prove its scope under our root. Raises Refused, TrustError, OSError."""
    file = known(named)
    authority = "root.pem" if file.parent is None else "ca.pem"
    scope = certificates.scope_of(files.read(home.path(authority)))
    context = tls.api_context(files.read(home.path("root.pem")).decode(), scope)
    return ways.ask(dialled(file.api.host), file.api.port, context)


def above(home: Home, named: HubFile | Unseen) -> Above:
    """Return what the store says of the link to the hub above, whether a hub serves from it or not."""
    file = known(named)
    if file.parent is None:
        return Above()
    raw = stores.state(home.database, contact.SPACE, contact.KEY)
    kept = msgspec.json.decode(raw or b"{}", type=contact.Kept)
    said = [("turned-away", kept.standing)] if kept.standing else []
    return Above(parent=file.parent.id, last_contact_ms=kept.contact_ms, conditions=said)


def ports(named: HubFile | Unseen, through: Broker | None) -> list[Port]:
    """Return who listens where the hub does; not for MQTT where it goes `through` a broker. Raises Refused, OSError."""
    file = known(named)
    listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    wanted = [("API", file.api)] if through is not None else [("API", file.api), ("MQTT", file.mqtt)]
    return [_port(what, place, listening) for what, place in wanted]


def _port(what: str, place: Place, listening: Sequence[Any]) -> Port:
    here = [one for one in listening if one.laddr.port == place.port and _meet(one.laddr.ip, place.host)]
    pids: set[int] = {one.pid for one in here if one.pid}
    return Port(what=what, where=ways.address(place.host, place.port), listening=bool(here), pids=sorted(pids))


def _meet(ip: str, host: str) -> bool:
    """Tell whether two listeners would be in each other's way; of a host's name that is not known, yes."""
    return ip == host or ip in _WILDCARDS or host in _WILDCARDS or not host.replace(".", "").isdecimal()


def broker(file: HubFile, holder: int) -> Broker | None:
    """Return the external broker: of the hub that runs as process `holder`, else of hub.json."""
    try:
        words = psutil.Process(holder).cmdline() if holder > 0 else []
    except psutil.Error:
        words = []
    urls = [words[at + 1] for at, word in enumerate(words[:-1]) if word == _OPTION]
    urls += [word.removeprefix(f"{_OPTION}=") for word in words if word.startswith(f"{_OPTION}=")]
    return parse_broker(urls[-1], file.id) if urls else file.broker
