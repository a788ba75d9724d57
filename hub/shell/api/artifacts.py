"""Artifacts over the API: operators upload, devices fetch with a ticket that came over their link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse

from hub.core import inputs
from hub.shell.api import errors
from hub.shell.api.hub import Hub, who
from hub.shell.desk import Failed
from protocol import ids, limits
from protocol.errors import TooLarge


class _File(FileResponse):
    chunk_size = limits.ARTIFACT_CHUNK_BYTES


def router(hub: Hub) -> APIRouter:
    """Return the routes of artifacts."""
    routes = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])

    @routes.head("/{digest}")
    async def head(request: Request, digest: str) -> Response:
        """Tell whether the hub has it, and its size."""
        size = await _noted(hub, digest, who(request))
        if size is None:
            raise Failed(f"the hub has no artifact {digest}", 404)
        return Response(headers={"Content-Length": str(size), "ETag": f'"{digest}"'})

    @routes.put("/{digest}")
    async def put(request: Request, digest: str) -> Response:
        """Upload an artifact; its bytes must hash to its name. What is there already is not written again."""
        return errors.answer({"digest": digest, "size": await _received(hub, digest, request)})

    @routes.get("/{digest}")
    async def get(request: Request, digest: str) -> Response:
        """Return an artifact, or a part of it (Range), to an operator or to a device with a ticket for it."""
        ids.digest(digest)
        if hasattr(request.state, "ticket"):
            hub.core().ticket_holder(str(request.state.ticket), digest, hub.now().wall)
        size = hub.artifacts.size(digest)
        if size is None:
            raise Failed(f"the hub has no artifact {digest}: upload it again with `skerry apply`", 404)
        return _file(request, hub.artifacts.path(digest), digest, size)

    return routes


async def _noted(hub: Hub, digest: str, name: str) -> int | None:
    """Return the size of an artifact that is here, and stays for a while: whoever hears so need not upload it again.

    It may go, with its note, while it is noted anew; then it is not here.
    """
    size = hub.artifacts.size(digest)
    if size is not None:
        await hub.desk.ask(name, inputs.NoteArtifact(digest=digest, size=size))
    return hub.artifacts.size(digest)


async def _received(hub: Hub, digest: str, request: Request) -> int:
    declared, name = _declared(request), who(request)
    size = await _noted(hub, digest, name)
    if size is None:
        if hub.artifacts.lacks(declared):
            await hub.desk.ask(name, inputs.MakeRoom(size=declared, coming=hub.artifacts.coming))
        size = await hub.artifacts.receive(digest, _chunks(request))
        await hub.desk.ask(name, inputs.NoteArtifact(digest=digest, size=size))
    return size


def _declared(request: Request) -> int:
    """Return how many bytes are to come, 0 when that is not said."""
    said = request.headers.get("content-length", "")
    declared = int(said) if said.isdecimal() else 0
    if declared > limits.ARTIFACT_BYTES_MAX:
        raise TooLarge(f"an artifact of {declared} bytes is over {limits.ARTIFACT_BYTES_MAX}: make it smaller")
    return declared


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    source = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(limits.UPLOAD_WAIT_S):
                chunk = await anext(source, None)
        except TimeoutError as error:
            raise Failed(f"nothing came for {limits.UPLOAD_WAIT_S:.0f} s: upload it again", 408) from error
        except ClientDisconnect as error:
            raise Failed("the upload broke off: nothing is kept", 400) from error
        if chunk is None:
            return
        yield chunk


def _file(request: Request, path: Path, digest: str, size: int) -> Response:
    start = request.headers.get("range", "").removeprefix("bytes=").partition("-")[0]
    if start.isdecimal() and int(start) >= size:
        text = f"the artifact has {size} bytes: there is nothing from {start} on"
        failure = errors.failure(416, text)
        failure.headers["Content-Range"] = f"bytes */{size}"
        return failure
    return _File(path, media_type="application/octet-stream", headers={"ETag": f'"{digest}"'})
