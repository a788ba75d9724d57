"""The tokens that let devices in: an operator makes, lists and withdraws them."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.core import inputs, views
from hub.shell.api import errors
from hub.shell.api.hub import Hub, who
from hub.shell.desk import Failed
from hub.shell.install import routes as install
from protocol import limits
from protocol.trust import signing


class TokenBody(BaseModel):
    """A new enrollment token."""

    model_config = ConfigDict(extra="forbid")
    ttl_s: Annotated[float, Field(gt=0, le=limits.TOKEN_TTL_S_MAX)] = limits.TOKEN_TTL_S_DEFAULT
    uses: Annotated[int, Field(ge=1, le=limits.TOKEN_USES_MAX)] = 1
    labels: dict[str, str] = {}
    kind: Literal["agent", "hub"] = "agent"


def router(hub: Hub) -> APIRouter:
    """Return the routes of tokens."""
    routes = APIRouter(tags=["enrollment"])

    @routes.post("/v1/tokens")
    async def create_token(request: Request, body: TokenBody) -> Response:
        """Make an enrollment token. Its text is in this answer and nowhere else."""
        return errors.answer(await _create_token(hub, body, who(request)))

    @routes.get("/v1/tokens")
    async def list_tokens() -> Response:
        """Return the tokens that are alive, without their secrets."""
        return errors.answer(views.tokens(hub.core()))

    @routes.delete("/v1/tokens/{id}")
    async def delete_token(request: Request, token: Annotated[str, Path(alias="id")]) -> Response:
        """Withdraw a token; devices that enrolled with it stay."""
        return errors.raw(await hub.desk.ask(who(request), inputs.DeleteToken(id=token)))

    return routes


async def _create_token(hub: Hub, body: TokenBody, name: str) -> dict[str, object]:
    keys = hub.authority
    token = signing.token_make(secrets.token_hex(4), secrets.token_bytes(24), keys.root_pin, keys.scope)
    parsed = signing.token_parse(token)
    made = inputs.CreateToken(
        id=parsed.id,
        secret_hash=signing.secret_hash(parsed.secret),
        ttl_s=body.ttl_s,
        uses=body.uses,
        labels=body.labels,
        kind=body.kind,
    )
    answer = msgspec.json.decode(await hub.desk.ask(name, made))
    if not isinstance(answer, dict):
        raise Failed("the hub made no token: try again", 500)
    return {**answer, "token": token, **await install.installer(hub)}
