"""What the routes work with: one struct, made by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from hub.core.hub import HubCore
from hub.shell.artifacts import Artifacts
from hub.shell.authority import Authority
from hub.shell.desk import Desk
from hub.shell.door.knocks import Knock
from hub.shell.home import HubFile, Place
from hub.shell.operators import Operators
from hub.shell.store.entries import Entries
from protocol.effects import Now

_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound


@dataclass(frozen=True, kw_only=True, slots=True)
class Hub:
    """One hub as its API sees it. `core` gives the core of now, for pure views; `mqtt` and `api` where it listens,
    `packages` the folder of what devices install, `knocks` who is turned away because this hub does not know it."""

    file: HubFile
    mqtt: Callable[[], Place]
    api: Callable[[], Place]
    version: str
    desk: Desk
    core: Callable[[], HubCore]
    now: Callable[[], Now]
    authority: Authority
    operators: Operators
    entries: Entries
    artifacts: Artifacts
    packages: Path
    knocks: Callable[[], list[Knock]]


def who(request: Request) -> str:
    """Return who asks, as the gate found."""
    name: str = request.state.who
    return name


def link_place(hub: Hub) -> dict[str, object]:
    """Return where a device's link goes; through an external broker every message is sealed."""
    broker = hub.file.broker
    if broker is not None:
        return {"host": broker.host, "port": broker.port, "name": broker.name, "sealed": True}
    place = hub.mqtt()
    return {"host": dialled(place.host), "port": place.port, "name": hub.authority.scope, "sealed": False}


def dialled(host: str) -> str:
    """Return the host a device should dial; empty: the one it reached the API by."""
    return "" if host in _WILDCARDS else host
