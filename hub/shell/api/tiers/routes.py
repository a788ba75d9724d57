"""This hub among others: the one above, those below, the policies that bind them, the upgrades of their agents."""

from __future__ import annotations

from fastapi import APIRouter, Response

from hub.core import views
from hub.shell.api import errors
from hub.shell.api.hub import Hub


def router(hub: Hub) -> APIRouter:
    """Return the routes of hubs, policies and upgrades."""
    routes = APIRouter(tags=["hubs"])

    @routes.get("/v1/hub")
    async def this() -> Response:
        """Return this hub: its link to the hub above it, what is to be looked at, and what all below it comes to."""
        keys = hub.authority
        known = {"path": "/".join(keys.path), "version": hub.version, "ca_until_ms": keys.dates.until_ms}
        return errors.answer(views.hub(hub.core(), hub.now()) | known)

    @routes.get("/v1/regions")
    async def regions() -> Response:
        """Return the hubs below this one, each with what all that is below it comes to."""
        return errors.answer(views.regions(hub.core()))

    @routes.get("/v1/policies")
    async def policies() -> Response:
        """Return all policies, this hub's own and inherited ones."""
        return errors.answer(views.policies(hub.core()))

    @routes.get("/v1/policies/{name}")
    async def policy(name: str) -> Response:
        """Return one policy, whom it binds, and what all policies come to here."""
        return errors.answer(views.policy(hub.core(), name))

    _upgrades(routes, hub)
    return routes


def _upgrades(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/upgrades")
    async def upgrades() -> Response:
        """Return all upgrades, and how far their waves are at this hub."""
        return errors.answer(views.upgrades(hub.core(), hub.now()))

    @routes.get("/v1/upgrades/{name}")
    async def upgrade(name: str) -> Response:
        """Return one upgrade, and how each of this hub's nodes stands to it."""
        return errors.answer(views.upgrade(hub.core(), name, hub.now()))
