"""What operators declare: apply, read back, delete; and how services and workflows are."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from hub.core import inputs, views
from hub.shell.api import errors
from hub.shell.api.hub import Hub, who
from protocol import limits
from protocol.spec import load

Limit = Annotated[int, Query(ge=1, le=limits.NODES_PAGE_MAX)]


class SourceBody(BaseModel):
    """One file as the operator wrote it."""

    model_config = ConfigDict(extra="forbid")
    name: str
    text: str


class OverrideBody(BaseModel):
    """That what is applied is to stand in the place of delegated documents for `for_s` seconds, and why."""

    model_config = ConfigDict(extra="forbid")
    for_s: float
    reason: str

    def op(self) -> inputs.Override:
        """Return it as the core takes it."""
        return inputs.Override(for_s=self.for_s, reason=self.reason)


class ApplyBody(BaseModel):
    """Files, and the digests of the artifacts they name by path."""

    model_config = ConfigDict(extra="forbid")
    sources: list[SourceBody]
    artifacts: dict[str, str] = {}
    dry_run: bool = False
    override: OverrideBody | None = None


def router(hub: Hub) -> APIRouter:
    """Return the routes of resources."""
    routes = APIRouter(tags=["resources"])
    _changing(routes, hub)
    _declared(routes, hub)
    _services(routes, hub)
    _workflows(routes, hub)
    return routes


def _changing(routes: APIRouter, hub: Hub) -> None:
    @routes.post("/v1/apply")
    async def apply(request: Request, body: ApplyBody) -> Response:
        """Apply documents: all of them, or none and every mistake with its file, line and column (422)."""
        sources = [load.Source(name=source.name, text=source.text) for source in body.sources]
        loaded = await asyncio.to_thread(load.load, sources, body.artifacts)
        if loaded.mistakes:
            count = len(loaded.mistakes)
            text = f"{count} mistake{'s' if count > 1 else ''}, nothing applied"
            return errors.failure(422, text, mistakes=loaded.mistakes)
        documents = [document.to_json() for document in loaded.documents]
        override = body.override.op() if body.override is not None else None
        op = inputs.Apply(documents=documents, dry_run=body.dry_run, override=override)
        return errors.raw(await hub.desk.ask(who(request), op))

    @routes.delete("/v1/resources/{kind}/{name}")
    async def delete(request: Request, kind: str, name: str) -> Response:
        """Delete a service or a workflow; the nodes that hold it stop it."""
        return errors.raw(await hub.desk.ask(who(request), inputs.DeleteResource(kind=kind, name=name)))

    @routes.delete("/v1/resources/{kind}/{name}/override")
    async def release(request: Request, kind: str, name: str, at: str = "", reason: str = "") -> Response:
        """End an override: what is delegated under this name is in force again. `at`: ask a hub below to end its."""
        op = inputs.ReleaseOverride(kind=kind, name=name, at=at, reason=reason)
        return errors.raw(await hub.desk.ask(who(request), op))


async def _looked(hub: Hub, key: str) -> dict[str, Any]:
    """Return the nodes of a resource, the worst first; others are served between one page and the next."""
    worst = views.Worst(key)
    while worst.look(hub.core()):
        await asyncio.sleep(0)
    return worst.told()


def _declared(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/resources/{kind}")
    async def resources(kind: str) -> Response:
        """Return all resources of a kind as they were declared, and where they are placed."""
        return errors.answer(views.resources(hub.core(), kind))

    @routes.get("/v1/resources/{kind}/{name}")
    async def resource(kind: str, name: str) -> Response:
        """Return one resource as it was declared, and where it is placed."""
        return errors.answer(views.resource(hub.core(), kind, name))


def _services(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/services")
    async def services() -> Response:
        """Return all services with how many nodes of the whole subtree do what."""
        return errors.answer(views.services(hub.core()))

    @routes.get("/v1/services/{name}")
    async def service(name: str) -> Response:
        """Return one service, and how it is on its nodes, those in trouble first; if `has_more`, all are at `on`."""
        found = await _looked(hub, f"service/{name}")
        return errors.answer(views.service(hub.core(), name, hub.now()) | found)

    @routes.get("/v1/services/{name}/on")
    async def on(name: str, start: str = "", limit: Limit = limits.NODES_PAGE_MAX) -> Response:
        """Return a page of how it is on each of its nodes, by address from `start` on; paged as `/v1/nodes` is."""
        return errors.page(*views.on(hub.core(), f"service/{name}", start, limit))


def _workflows(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/workflows")
    async def workflows() -> Response:
        """Return all workflows, and how they are on each node."""
        return errors.answer(views.workflows(hub.core()))

    @routes.get("/v1/workflows/{name}")
    async def workflow(name: str) -> Response:
        """Return one workflow, and how it is on its nodes: as of a service."""
        found = await _looked(hub, f"workflow/{name}")
        return errors.answer(views.workflow(hub.core(), name) | found)

    @routes.get("/v1/workflows/{name}/on")
    async def workflow_on(name: str, start: str = "", limit: Limit = limits.NODES_PAGE_MAX) -> Response:
        """Return a page of how it is on each of its nodes, as for services."""
        return errors.page(*views.on(hub.core(), f"workflow/{name}", start, limit))
