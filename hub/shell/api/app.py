"""The HTTP API v1: routes by noun behind one gate. `make` returns the ASGI application.

`/openapi.json` describes it to whoever has an operator's token. Reads are pure views over the core; whatever changes
something goes through the desk to the core, and is answered after its commit.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from hub.shell.api import artifacts, enrollment, errors, events, logs, nodes, resources, tasks, tokens
from hub.shell.api.gate.gate import Gate
from hub.shell.api.hub import Hub
from hub.shell.api.sticks import routes as sticks
from hub.shell.api.tiers import routes as tiers
from hub.shell.install import routes as install


def make(hub: Hub) -> ASGIApp:
    """Return the API of `hub`."""
    app = FastAPI(
        title="Skerry hub",
        version=hub.version,
        summary="Declare what should run where, watch it become true.",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
    )
    errors.install(app)
    for noun in (enrollment, install, tokens, resources, tiers, nodes, tasks, events, logs, artifacts, sticks):
        app.include_router(noun.router(hub))
    return Gate(app, hub.operators, lambda: hub.core().restore.alarm)
