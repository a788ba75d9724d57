"""Streams: the feed of entries, and the word to look again. Newline-delimited JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Response

from hub.core import views
from hub.shell.api import lines as ndjson
from hub.shell.api.hub import Hub
from hub.shell.store import entries, rows
from protocol import limits


def router(hub: Hub) -> APIRouter:
    """Return the routes of streams."""
    routes = APIRouter(tags=["events"])

    @routes.get("/v1/events")
    async def events(
        node: str = "",
        stream: str = "",
        kind: str = "",
        key: str = "",
        since_ms: int = 0,
        after: str = "",
        limit: Annotated[int, Query(ge=1, le=limits.PAGE_ROWS_MAX)] = limits.EVENT_PAGE_ROWS,
        follow: bool = False,
    ) -> Response:
        """Return events, one JSON object a line, each after those it followed at this hub.

        Without `after` the newest `limit` that match; with it (an event's `id`, or 0) the first `limit` after it.
        `follow` goes on with what arrives.
        """
        node = views.named(hub.core(), node)
        chosen = rows.Filter(node=node, stream=stream, kind=kind, key=key, since_ms=since_ms)
        place = entries.parse_place(after) if after else None
        return ndjson.stream(_follow(hub, chosen, place, limit)) if follow else await _page(hub, chosen, place, limit)

    @routes.get("/v1/watch")
    async def watch(topic: str = "") -> Response:
        """Say "look again" at each topic under the prefix `topic`, one JSON object a line."""
        return ndjson.stream(_watch(hub, topic))

    return routes


async def _page(hub: Hub, chosen: rows.Filter, place: entries.Place | None, limit: int) -> Response:
    lines, _ = await _first(hub, chosen, place, limit)
    return Response(b"".join(lines), media_type=ndjson.MEDIA_TYPE)


async def _first(
    hub: Hub, chosen: rows.Filter, place: entries.Place | None, limit: int
) -> tuple[list[bytes], entries.Place]:
    if place is None:
        return await hub.entries.newest(chosen, limit)
    return await hub.entries.after(place, chosen, limit)


async def _follow(hub: Hub, chosen: rows.Filter, place: entries.Place | None, limit: int) -> AsyncIterator[bytes]:
    with hub.desk.watch("") as word:
        lines, at = await _first(hub, chosen, place, limit)
        yield b"".join(lines) or b"\n"
        while (topics := await word.heard(limits.STREAM_ALIVE_S)) is not None:
            if not topics:
                yield b"\n"
            while True:
                lines, at = await hub.entries.after(at, chosen, limits.EVENT_PAGE_ROWS)
                yield b"".join(lines)
                if len(lines) < limits.EVENT_PAGE_ROWS:
                    break
            await asyncio.sleep(limits.STREAM_BEAT_S)  # what comes meanwhile shares the next read


async def _watch(hub: Hub, topic: str) -> AsyncIterator[bytes]:
    with hub.desk.watch(topic) as word:
        yield b"\n"  # the listener knows that it listens
        while (topics := await word.heard(limits.STREAM_ALIVE_S)) is not None:
            yield b"".join(ndjson.line({"topic": one}) for one in topics) or b"\n"
