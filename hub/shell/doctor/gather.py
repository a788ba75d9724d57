"""All facts about a hub's directory, looked for at the same time, with the hub serving or not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from hub.core.doctor.facts import Above, Folder, Named, Port
from hub.shell.doctor import serving
from hub.shell.home import Broker, Home, HubFile
from protocol import snapshot
from protocol.aio import tls
from protocol.aio.checkup import files, look, machine, stores, ways
from protocol.aio.checkup.look import Look
from protocol.doctor.facts import Answer, Disk, File, Key, Paper, Room, Store, Way
from protocol.doctor.findings import Unseen

T = TypeVar("T")

_KEYS: dict[str, Callable[[bytes], str]] = {
    "hub.key": files.public_of_tls,
    "signer.key": files.public_of_signer,
    "ticket.key": lambda _: "",
}
_ELSEWHERE = "or name the folder that `skerry hub init` has made: --data DIR"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looks:
    folder: Look[File]
    keys: dict[str, Look[Key]]
    root: Look[Paper]
    ca: Look[Paper] | None
    tls: Look[Paper]
    signer: Look[Paper]
    store: Look[Store]
    doubt: Look[str]
    above: Look[Above]
    aside: Look[list[str]]
    artifacts: Look[File]
    disk: Look[Disk]
    room: Look[Room]
    ports: Look[list[Port]]
    answer: Look[Answer]


def folder(data: Path) -> Folder:
    """Return the facts about the hub in `data`, within limits.DOCTOR_WAIT_S or a little more."""
    began = look.clocks()
    home = Home(data)
    named = Look("hub.json", lambda: _named(home), _again(data) if _is_there(home) else _ELSEWHERE).seen()
    broker = None if isinstance(named, Unseen) else serving.broker(named, stores.holder(home.database))
    looks = _begin(home, named, broker)
    way = Look("the broker", lambda: _way(home, named, broker)) if broker is not None else None
    return Folder(
        data=str(data),
        version=importlib.metadata.version("skerry"),
        user=os.geteuid(),
        folder=looks.folder.seen(),
        named=named if isinstance(named, Unseen) else Named(id=named.id, broker=broker.name if broker else ""),
        doubt=looks.doubt.seen(),
        above=looks.above.seen(),
        keys={name: key.seen() for name, key in looks.keys.items()},
        root=looks.root.seen(),
        ca=None if looks.ca is None else looks.ca.seen(),
        tls=looks.tls.seen(),
        signer=looks.signer.seen(),
        store=looks.store.seen(),
        aside=looks.aside.seen(),
        artifacts=looks.artifacts.seen(),
        disk=looks.disk.seen(),
        room=looks.room.seen(),
        ports=looks.ports.seen(),
        answer=looks.answer.seen(),
        broker=None if way is None else way.seen(),
        clock=look.clock(began),
    )


def _is_there(home: Home) -> bool:
    try:
        return home.file.exists()
    except OSError:
        return True  # it may not be looked at: that is told of hub.json itself


def _named(home: Home) -> HubFile:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        files.read(home.file)
    return home.load()


def _again(data: Path) -> str:
    return f"sudo skerry doctor --data {data}, or run it as the user who made the hub"


def _begin(home: Home, named: HubFile | Unseen, broker: Broker | None) -> _Looks:
    root = home.path("root.pem")
    is_below = not isinstance(named, Unseen) and named.parent is not None
    keys = {"ca.key" if is_below else "root.key": files.public_of_tls, **_KEYS}

    def of(what: str, find: Callable[[], T]) -> Look[T]:
        return Look(what, find, _again(home.folder))

    return _Looks(
        folder=of("the folder", lambda: files.file(home.folder)),
        keys={name: of(name, _key(home.path(name), public)) for name, public in keys.items()},
        root=of("root.pem", lambda: files.root(root)),
        ca=of("ca.pem", lambda: files.paper(home.path("ca.pem"), root)) if is_below else None,
        tls=of("hub.pem", lambda: files.paper(home.path("hub.pem"), root)),
        signer=of("signer.pem", lambda: files.paper(home.path("signer.pem"), root)),
        store=of("hub.db", lambda: stores.store(home.database)),
        doubt=of("hub.db", lambda: _doubt(home)),
        above=of("hub.db", lambda: serving.above(home, named)),
        aside=of("the folder", lambda: files.set_aside(home.database)),
        artifacts=of("artifacts", lambda: files.file(home.artifacts)),
        disk=of("the disk", lambda: machine.disk(home.folder)),
        room=of("the limits", lambda: machine.room(stores.holder(home.database))),
        ports=of("the ports", lambda: serving.ports(named, broker)),
        answer=of("the API", lambda: serving.answer(home, named)),
    )


def _doubt(home: Home) -> str:
    raw = stores.state(home.database, snapshot.STORE, snapshot.DOUBT)
    return msgspec.json.decode(raw, type=snapshot.Doubt).reason if raw else ""


def _key(path: Path, public: Callable[[bytes], str]) -> Callable[[], Key]:
    return lambda: files.key(path, public)


def _way(home: Home, named: HubFile | Unseen, broker: Broker) -> Way:
    file = serving.known(named)
    for name in ("hub.pem", "hub.key", "root.pem"):
        files.read(home.path(name))
    context = tls.child_context(
        chain=home.path("hub.pem"), key=home.path("hub.key"), root=home.path("root.pem"), name=broker.name
    )
    # a broker takes the certificate's name for the client id: while the hub is there, a CONNECT would take its place
    client_id = "" if stores.holder(home.database) else file.id
    return ways.way(broker.host, broker.port, context, client_id)
