"""Bundles over the API: whoever carries a stick fetches the parts of one, and brings one, part by part."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from hub.core import inputs
from hub.shell.api import errors
from hub.shell.api.hub import Hub, who
from hub.shell.api.sticks import inviting
from hub.shell.api.sticks.inviting import DeviceBody
from hub.shell.desk import Failed
from protocol import ids, limits
from protocol.bundle import head

_OCTETS = "application/octet-stream"


class _File(FileResponse):
    chunk_size = limits.ARTIFACT_CHUNK_BYTES


def router(hub: Hub) -> APIRouter:
    """Return the routes of bundles."""
    routes = APIRouter(prefix="/v1/bundles", tags=["bundles"])
    _inviting(routes, hub)
    _carrying(routes, hub)
    return routes


def _inviting(routes: APIRouter, hub: Hub) -> None:
    @routes.post("/-/device")
    async def device(request: Request, body: DeviceBody) -> Response:
        """Keep a name for a device that is to be installed from a stick; the answer is its invite."""
        return errors.answer(await inviting.invite(hub, body, who(request)))

    @routes.get("/-/packages")
    async def packages(request: Request) -> Response:
        """Return the installer for a stick, as `script`, and the names of the packages that it installs."""
        return errors.answer(await inviting.installer(hub))


def _carrying(routes: APIRouter, hub: Hub) -> None:
    @routes.post("/-/take")
    async def take(request: Request) -> Response:
        """Begin with a device's bundle: the body is its `bundle.json`. The answer names the parts to send, in order."""
        return errors.raw(await hub.desk.ask(who(request), inputs.TakeBundle(head=await request.body())))

    @routes.post("/{node:path}/export")
    async def export(request: Request, node: str) -> Response:
        """Make a bundle for a device; the answer is its `bundle.json` as `head`, and the sizes of its parts."""
        return errors.raw(await hub.desk.ask(who(request), inputs.ExportBundle(node=node)))

    @routes.post("/{node}/rows")
    async def rows(request: Request, node: str) -> Response:
        """Take one part of the bundle that was begun."""
        return errors.raw(await hub.desk.ask(who(request), inputs.TakePart(node=node, raw=await request.body())))

    @routes.get("/{node}/parts/{name}")
    async def part(node: str, name: str) -> Response:
        """Return a part of a bundle for a device: a document, or an artifact (with Range)."""
        return _part(hub, node, name)


def _part(hub: Hub, node: str, name: str) -> Response:
    digest, core = ids.digest(head.digest_of(name)), hub.core()
    core.registry.living(node)
    document = core.parent.couriers.part(node, name)
    if document is not None:
        return Response(document, media_type=_OCTETS)
    if not core.delegate.needs(node, digest) or hub.artifacts.size(digest) is None:
        raise Failed(f"{name[:12]} is no part of a bundle for {node} any more: export it again", 404)
    return _File(hub.artifacts.path(digest), media_type=_OCTETS)
