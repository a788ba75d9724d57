"""What a device asks before it is anybody: the installer, and the packages that it names."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from starlette.responses import FileResponse

from hub.shell.api.hub import Hub
from hub.shell.desk import Failed
from hub.shell.install import packages, script
from protocol import limits
from protocol.trust import certificates


class _File(FileResponse):
    chunk_size = limits.ARTIFACT_CHUNK_BYTES


def router(hub: Hub) -> APIRouter:
    """Return the routes of the installer."""
    routes = APIRouter(tags=["install"])

    @routes.get("/install")
    async def install(request: Request) -> Response:
        """Return the installer for a device: a shell script that names this hub, its keys and its packages."""
        held = await asyncio.to_thread(packages.held, hub.packages)
        text = script.text(
            hub=hub.file.id,
            scope=hub.authority.scope,
            host=request.headers.get("host", ""),
            key=hub_key(hub),
            root=hub.authority.root_pin,
            held=held,
        )
        return Response(text, media_type="text/x-shellscript; charset=utf-8")

    @routes.get("/install/{name}")
    async def package(name: str) -> Response:
        """Return a package, or a part of it (Range)."""
        path = await asyncio.to_thread(packages.named, hub.packages, name)
        if path is None:
            raise Failed("the hub holds no such package: copy it into the folder `packages` of its directory", 404)
        return _File(path, media_type="application/vnd.debian.binary-package")

    return routes


def hub_key(hub: Hub) -> str:
    """Return the SHA-256 (hex) of the public key that this hub shows by TLS."""
    return certificates.spki_hash(hub.authority.tls_chain_path.read_bytes())


async def installer(hub: Hub) -> dict[str, str]:
    """Return what an operator's command prints for a device: the pin of this hub. Nothing when it holds no package."""
    held = await asyncio.to_thread(packages.held, hub.packages)
    return {"pin": script.pin(hub_key(hub))} if held else {}
