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
from protocol.errors import Refused, SkerryError
from protocol.trust import signing

log = logging.getLogger("skerry.hub")


async def seek(home: Home, parent: Parent) -> tuple[Parent | None, Sought]:
    """Look for `parent`; return it as it stands in hub.json from now on, and what to tell the core.

    None: it was not found, or that could not be kept, and nothing has changed. What was learned of it during the look
    is kept.
    """
    found = await _look(home, parent)
    if found.mqtt is None:
        log.info("%s was looked for: %s", parent.id, found.reason)
        return None, Sought(reason=found.reason)
    (host, port), (api, at) = found.mqtt, found.api
    place = proof.text(host, port)
    try:
        known = _stored(home, parent.id)
        mqtt = msgspec.structs.replace(known.mqtt, host=host, port=port)
        moved = _store(home, msgspec.structs.replace(known, mqtt=mqtt, api=Place(host=api, port=at)))
    except (SkerryError, OSError) as error:
        return None, Sought(reason=f"{parent.id} is at {place} now, which could not be kept: {error}")
    log.warning("%s, the hub above, has moved: it is at %s now, and proved it", parent.id, place)
    return moved, Sought(place=place)


def note_names(home: Home, parent: Parent, names: list[str]) -> Parent:
    """Keep the names and addresses that the certificate of `parent` gives it, if they are new; return it as it is."""
    known = names[: limits.FOUND_TRIES_MAX]
    if not known or known == parent.names:
        return parent
    try:
        _store(home, msgspec.structs.replace(_stored(home, parent.id), names=known))
    except (SkerryError, OSError) as error:
        log.warning("where %s may be found later could not be kept: %s", parent.id, error)
        return parent
    return msgspec.structs.replace(parent, names=known)


def _stored(home: Home, id: str) -> Parent:  # noqa: A002 - what it is
    """Return the parent `id` as hub.json has it. Raises Refused when that names another one by now."""
    known = home.load().parent
    if known is None or known.id != id:
        raise Refused(f"{home.file} does not name {id} as the hub above any more: start this hub again")
    return known


def _store(home: Home, parent: Parent) -> Parent:
    """Write hub.json with `parent`, and return that. Raises SkerryError, OSError."""
    file = msgspec.structs.replace(home.load(), parent=parent)
    synced.write(home.file, msgspec.json.format(msgspec.json.encode(file)) + b"\n")
    return parent


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
