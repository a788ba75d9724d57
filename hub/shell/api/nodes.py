"""Nodes: how they are, and what operators do with them. NAME: an address, a path, or a name that one node has alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from hub.core import inputs, views
from hub.shell.api import errors
from hub.shell.api.hub import Hub, who
from protocol import limits


class LabelsBody(BaseModel):
    """Labels to set and to remove."""

    model_config = ConfigDict(extra="forbid")
    set: dict[str, str] = {}
    remove: list[str] = []


class CordonBody(BaseModel):
    """Keep new work away, or let it in again."""

    model_config = ConfigDict(extra="forbid")
    cordoned: bool = True


class ReasonBody(BaseModel):
    """Why; it stands in the audit trail and is shown at the device."""

    model_config = ConfigDict(extra="forbid")
    reason: str = ""


class ReleaseBody(BaseModel):
    """Which service's override is asked back, and why."""

    model_config = ConfigDict(extra="forbid")
    service: str
    reason: str = ""


class MoveBody(BaseModel):
    """Which device, by its path, address or name; and to which hub."""

    model_config = ConfigDict(extra="forbid")
    node: str
    to: str


def router(hub: Hub) -> APIRouter:
    """Return the routes of nodes."""
    routes = APIRouter(prefix="/v1/nodes", tags=["nodes"])
    _of_all(routes, hub)
    _describing(routes, hub)
    _cutting(routes, hub)
    return routes


async def _ask(hub: Hub, request: Request, op: inputs.AnyOp) -> Response:
    return errors.raw(await hub.desk.ask(who(request), op))


def _of_all(routes: APIRouter, hub: Hub) -> None:
    @routes.post("/-/accept-restore")
    async def accept_restore(request: Request, body: ReasonBody) -> Response:
        """Go on, though this hub's store may be behind its own past; every device is taken back under a new term."""
        return await _ask(hub, request, inputs.AcceptRestore(reason=body.reason))

    @routes.post("/-/move")
    async def move(request: Request, body: MoveBody) -> Response:
        """Say that a device belongs to another hub; it turns there when it hears of it, and its work runs on."""
        return await _ask(hub, request, inputs.MoveNode(node=body.node, to=body.to))

    @routes.get("/-/knocks")
    async def knocks() -> Response:
        """Return who came with a certificate of this hub that it does not know: enrolled after its backup, mostly."""
        return errors.answer(hub.knocks())

    @routes.get("")
    async def nodes(
        selector: str = "",
        start: str = "",
        limit: Annotated[int, Query(ge=1, le=limits.NODES_PAGE_MAX)] = limits.NODES_PAGE_MAX,
    ) -> Response:
        """Return a page of the nodes that match (all without a selector), by address from `start` on: how they are and
        what was last known of them. The header `skerry-more` is the `start` of the next page; there is none after the
        last one. A page may hold fewer than `limit`, or none, and yet have more after it."""
        page = views.nodes(hub.core(), selector, start, limit)
        return errors.page(*page)


def _describing(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/{name:path}")
    async def node(name: str) -> Response:
        """Return one node."""
        return errors.answer(views.node(hub.core(), name, hub.now()))

    @routes.post("/{name:path}/labels")
    async def labels(request: Request, name: str, body: LabelsBody) -> Response:
        """Set and remove labels."""
        return await _ask(hub, request, inputs.LabelNode(node=name, set=body.set, remove=body.remove))

    @routes.post("/{name:path}/cordon")
    async def cordon(request: Request, name: str, body: CordonBody) -> Response:
        """Keep new work away from a node, or let it in again."""
        return await _ask(hub, request, inputs.CordonNode(node=name, cordoned=body.cordoned))

    @routes.post("/{name:path}/drain")
    async def drain(request: Request, name: str) -> Response:
        """Cordon a node and take its placed work away."""
        return await _ask(hub, request, inputs.DrainNode(node=name))


def _cutting(routes: APIRouter, hub: Hub) -> None:
    @routes.post("/{name:path}/revoke")
    async def revoke(request: Request, name: str, body: ReasonBody) -> Response:
        """Cut a node off, at once and for ever."""
        return await _ask(hub, request, inputs.RevokeNode(node=name, reason=body.reason))

    @routes.post("/{name:path}/accept")
    async def accept(request: Request, name: str, body: ReasonBody) -> Response:
        """Take a quarantined node back."""
        return await _ask(hub, request, inputs.AcceptNode(node=name, reason=body.reason))

    @routes.post("/{name:path}/release")
    async def release(request: Request, name: str, body: ReleaseBody) -> Response:
        """Ask the person at the device to give an override back."""
        return await _ask(hub, request, inputs.RequestRelease(node=name, service=body.service, reason=body.reason))
