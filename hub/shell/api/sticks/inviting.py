"""A device that is installed from a stick: a name and a token for it, and what installs it with no network."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hub.core import inputs
from hub.shell.api.hub import Hub, dialled, link_place
from hub.shell.install import packages, script
from protocol import limits
from protocol.trust import signing


class DeviceBody(BaseModel):
    """What the device is to be called, its labels, and how long its token lives."""

    model_config = ConfigDict(extra="forbid")
    name: str
    ttl_s: Annotated[float, Field(gt=0, le=limits.TOKEN_TTL_S_MAX)] = limits.TOKEN_TTL_S_MAX
    labels: dict[str, str] = {}


async def invite(hub: Hub, body: DeviceBody, name: str) -> dict[str, object]:
    """Return what NAME.invite says. The token stands in this answer and nowhere else."""
    keys = hub.authority
    token = signing.token_make(secrets.token_hex(4), secrets.token_bytes(24), keys.root_pin, keys.scope)
    parsed = signing.token_parse(token)
    wished = inputs.ReserveNode(
        node=body.name,
        token=parsed.id,
        secret_hash=signing.secret_hash(parsed.secret),
        ttl_s=body.ttl_s,
        labels=body.labels,
    )
    await hub.desk.ask(name, wished)
    return {
        "node": body.name,
        "hub": hub.file.id,
        "scope": keys.scope,
        "token": token,
        "root": keys.root.decode(),
        "mqtt": link_place(hub),
        "api": {"host": dialled(hub.api().host), "port": hub.api().port},
    }


async def installer(hub: Hub) -> dict[str, object]:
    """Return the installer for a stick, and the packages that it names: their sizes by name."""
    held = await asyncio.to_thread(packages.held, hub.packages)
    text = script.offline(hub=hub.file.id, held=held)
    return {"script": text, "packages": {one.path.name: one.size for one in held}}
