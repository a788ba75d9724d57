"""`skerry hub init`: a new hub's data directory, and its operator's context. A root is made offline; nothing half done.

All is made in a folder inside the directory and moved out at the end, hub.json last: a directory without hub.json holds
no hub.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hub.core import streams
from hub.shell import authority, operators
from hub.shell.home import Home, HubFile, Place, parse_broker, parse_place
from hub.shell.papers import hosts, issuing
from protocol import ids
from protocol.aio.journal import Journal
from protocol.aio.upkeep import synced
from protocol.effects import Put
from protocol.errors import Refused

if TYPE_CHECKING:
    from hub.shell.papers import join

MQTT_DEFAULT = "0.0.0.0:8883"
API_DEFAULT = "0.0.0.0:8443"
OPERATOR = "admin"
_MAKING = ".making"
JOINING = ".joining"  # keys with which a parent was asked, and perhaps did not answer (hub.shell.join)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's context: which hub, and by what right. In a file of mode 0600. `name` is what its TLS proves."""

    url: str
    token: str
    root_pem: str
    hub: str
    name: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What init made. `former` is where an older context of this user went, if there was one."""

    hub: HubFile
    folder: Path
    context: Path
    root_pin: str
    path: list[str]
    former: Path | None = None


def default_folder() -> Path:
    """Return where a hub lives unless `--data` says otherwise."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "skerry" / "hub"


def context_path() -> Path:
    """Return where this user's context lies: $SKERRY_CONTEXT, or skerry/context.json under the config home."""
    named = os.environ.get("SKERRY_CONTEXT")
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(named) if named else Path(base) / "skerry" / "context.json"


async def init(
    folder: Path,
    *,
    name: str,
    mqtt: str = MQTT_DEFAULT,
    api: str = API_DEFAULT,
    broker: str = "",
    parent: str = "",
    token: str = "",
    context: Path | None = None,
) -> Made:
    """Make a hub in `folder`, empty or not there yet: a root, or below the hub at `parent` (URL), which `token` opens.

    Raises BadId, Refused, TrustError, StoreError; then nothing stays. Raises Unreachable; then the keys stay.
    """
    hub = _asked(name, mqtt, api, broker)
    if token and not parent:
        raise Refused("--token is for a hub below another: name that one with --parent URL")
    making = _prepare(folder)
    try:
        joined = await asyncio.to_thread(_joined, folder, hub.id, parent, token) if parent else None
        if joined is not None:
            hub = msgspec.structs.replace(hub, parent=joined.parent)
        secret = await _make(Home(making), hub, joined)
        _move_out(making, folder)
        shutil.rmtree(folder / JOINING, ignore_errors=True)
    except OSError as error:
        raise Refused(f"cannot write {folder}: {error.strerror or error}; choose another place with --data") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    keys, target = authority.Authority(Home(folder), hub.id), context or context_path()
    known = Context(url=_url(hub.api), token=secret, root_pem=keys.root.decode(), hub=hub.id, name=keys.scope)
    former = _write_context(target, known)
    return Made(hub=hub, folder=folder, context=target, root_pin=keys.root_pin, path=keys.path, former=former)


def _joined(folder: Path, name: str, parent: str, token: str) -> join.Joined:
    from hub.shell.papers import join  # an HTTP client, for this only

    return join.ask(folder / JOINING, name, parent, token)


def move(folder: Path, *, mqtt: str = "", api: str = "") -> None:
    """Have the hub in `folder` listen elsewhere from its next start on, and this user's context lead there.

    Raises Refused, StoreNewer.
    """
    home = Home(folder)
    former = home.load()
    moved = msgspec.structs.replace(
        former,
        mqtt=parse_place(mqtt, "--mqtt") if mqtt else former.mqtt,
        api=parse_place(api, "--api") if api else former.api,
    )
    if moved.broker is None and moved.mqtt.meets(moved.api):
        raise Refused(f"MQTT and the API would be one place ({api or mqtt}): choose another port for one of them")
    try:
        synced.write(home.file, msgspec.json.format(msgspec.json.encode(moved)) + b"\n")
        path = context_path()
        known = msgspec.json.decode(path.read_bytes(), type=Context) if path.exists() else None
        if known is not None and known.hub == former.id and known.url == _url(former.api):
            known = msgspec.structs.replace(known, url=_url(moved.api))
            synced.write(path, msgspec.json.format(msgspec.json.encode(known)) + b"\n")
    except OSError as error:
        raise Refused(f"cannot write where the hub listens ({error.strerror}): run as the user who made it") from error
    except msgspec.DecodeError as error:
        raise Refused(f"{context_path()} is damaged ({error}): restore it, or remove it and name another") from error


def _asked(name: str, mqtt: str, api: str, broker: str) -> HubFile:
    hub = HubFile(
        id=ids.node_id(name),
        name=name,
        mqtt=parse_place(mqtt, "--mqtt"),
        api=parse_place(api, "--api"),
        broker=parse_broker(broker, name) if broker else None,
    )
    if hub.broker is None and hub.mqtt.meets(hub.api):
        raise Refused(f"--mqtt and --api are one place ({api}): choose two ports, for example 8883 and 8443")
    return hub


def _prepare(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(folder / _MAKING, ignore_errors=True)  # what an interrupted init left
        held = sorted(path.name for path in folder.iterdir() if path.name != JOINING)
        if "hub.json" in held:
            raise Refused(
                f"{folder} holds the hub {Home(folder).load().name!r} already: serve it, or choose another --data"
            )
        if held:
            raise Refused(f"{folder} is not empty ({', '.join(held[:3])}): choose an empty folder with --data")
        folder.chmod(0o700)
        (folder / _MAKING).mkdir(mode=0o700)
    except OSError as error:
        raise Refused(f"cannot make {folder}: {error.strerror or error}; choose another place with --data") from error
    return folder / _MAKING


async def _make(home: Home, hub: HubFile, joined: join.Joined | None) -> str:
    now_s, names = time.time(), hosts.of_machine(hub.api.host)
    home.artifacts.mkdir(mode=0o700)
    if joined is None:
        issuing.create(home, hub.id, names, now_s)
    else:
        joined.place(home)
        issuing.settle(home, hub.id, names, now_s)
    token, operator = operators.mint(OPERATOR, secrets.token_bytes(32), int(now_s * 1000))
    journal = await Journal.open(home.database, node=hub.id, streams=streams.NAMES, mint=mint_epoch)
    try:
        await journal.commit([Put(operators.SPACE, operator.name, msgspec.json.encode(operator))])
    finally:
        await journal.close()
    synced.write(home.file, msgspec.json.format(msgspec.json.encode(hub)) + b"\n")
    return token


def mint_epoch() -> str:
    """Return a new epoch (INVARIANTS A6)."""
    return secrets.token_hex(8)


def _move_out(making: Path, folder: Path) -> None:
    for path in sorted(making.iterdir(), key=lambda path: (path.name == "hub.json", path.name)):
        path.rename(folder / path.name)
    synced.sync_folder(folder)


def _write_context(path: Path, context: Context) -> Path | None:
    """Write the context; one of another hub is kept beside it. Returns where that went."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        former = None
        if path.exists():
            former = path.with_name(f"{path.stem}.{int(path.stat().st_mtime)}{path.suffix}")
            path.rename(former)
        synced.write(path, msgspec.json.format(msgspec.json.encode(context)) + b"\n")
    except OSError as error:
        text = f"the hub is made, but {path} cannot be written ({error.strerror}): set SKERRY_CONTEXT and init anew"
        raise Refused(text) from error
    return former


def _url(api: Place) -> str:
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(api.host, api.host)  # noqa: S104 - compared
    return f"https://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{api.port}"
