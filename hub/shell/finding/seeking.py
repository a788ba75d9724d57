"""A hub looks for its parent that is not where it was, and keeps where that has proved to be.

The look is a thread of its own that nobody joins: a hub that is to stop does not wait for it. hub.json is written on
the loop alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

import msgspec

from hub.core.up.seek import Sought
from hub.shell.home import Home, Parent, Place
from protocol import limits
from protocol.aio import tls
from protocol.aio.finding import places, proof
from protocol.aio.upkeep import synced
from protocol.errors import SkerryError
from protocol.trust import signing

log = logging.getLogger("skerry.hub")


async def seek(home: Home, parent: Parent) -> tuple[Parent, Sought]:
    """Look for `parent`; return it as it is known from now on, which is stored, and what to tell the core."""
    found = await _look(home, parent)
    if found.mqtt is None:
        log.info("%s was looked for: %s", parent.id, found.reason)
        return parent, Sought(reason=found.reason)
    place = proof.text(*found.mqtt)
    mqtt = msgspec.structs.replace(parent.mqtt, host=found.mqtt[0], port=found.mqtt[1])
    moved = msgspec.structs.replace(parent, mqtt=mqtt, api=Place(host=found.api[0], port=found.api[1]))
    reason = _store(home, moved)
    if reason:
        return parent, Sought(reason=f"{parent.id} is at {place} now, which could not be kept: {reason}")
    log.warning("%s, the hub above, has moved: it is at %s now, and proved it", parent.id, place)
    return moved, Sought(place=place)


def note_names(home: Home, parent: Parent, names: list[str]) -> Parent:
    """Keep the names and addresses that the certificate of `parent` gives it, if they are new; return it as it is."""
    known = names[: limits.FOUND_TRIES_MAX]
    if not known or known == parent.names:
        return parent
    noted = msgspec.structs.replace(parent, names=known)
    reason = _store(home, noted)
    if reason:
        log.warning("where %s may be found later could not be kept: %s", parent.id, reason)
    return parent if reason else noted


def _store(home: Home, parent: Parent) -> str:
    """Write hub.json with `parent`; return why that cannot be, or ""."""
    try:
        file = msgspec.structs.replace(home.load(), parent=parent)
        synced.write(home.file, msgspec.json.format(msgspec.json.encode(file)) + b"\n")
    except (SkerryError, OSError) as error:
        return str(error)
    return ""


async def _look(home: Home, parent: Parent) -> places.Proven:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[places.Proven] = loop.create_future()

    def tell(found: places.Proven) -> None:
        if not done.done():
            done.set_result(found)

    def run() -> None:
        found = _found(home, parent)
        with contextlib.suppress(RuntimeError):  # the hub has stopped meanwhile
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=run, name="seek", daemon=True).start()
    return await done


def _found(home: Home, parent: Parent) -> places.Proven:
    from protocol.aio.finding import mdns  # zeroconf, for a hub that has lost its parent

    root = home.path("root.pem")
    try:
        wanted = places.Wanted(
            hub=parent.id,
            root=signing.spki_hash(root.read_bytes()),
            mqtt=(parent.mqtt.host, parent.mqtt.port),
            api=(parent.api.host, parent.api.port),
            names=parent.names,
        )
        chain, key = home.path("hub.pem"), home.path("hub.key")
        context = tls.child_context(chain=chain, key=key, root=root, name=parent.mqtt.name)
        return places.look(wanted, context, mdns.listen)
    except (SkerryError, OSError) as error:
        return places.Proven(reason=str(error))
