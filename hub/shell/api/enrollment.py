"""How devices get in and stay in: the CA's certificate, enrollment, renewal apart."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.core import inputs
from hub.shell.api import errors
from hub.shell.api.hub import Hub, dialled, link_place
from protocol import ids, limits
from protocol.errors import TrustError
from protocol.trust import certificates, renewals, signing


class EnrollBody(BaseModel):
    """A device asks in, or a hub, with a second request for the CA that it is to have. `csr` and `ca` are PEM; `name`
    empty: the hub names it."""

    model_config = ConfigDict(extra="forbid")
    token: str
    csr: str
    ca: str = ""
    name: str = ""
    labels: dict[str, str] = {}
    facts: dict[str, str] = {}


class RenewBody(BaseModel):
    """A device that its link does not let in asks for a certificate; see protocol.trust.renewals."""

    model_config = ConfigDict(extra="forbid")
    node: str
    hub: str
    time_ms: int
    until_ms: Annotated[int, Field(ge=0, le=limits.INTEGER_MAX)]
    csr: str
    signature: str


class _Issued(msgspec.Struct, frozen=True):
    """What the core's answer to Enroll holds."""

    node: str
    certificate: str


def router(hub: Hub) -> APIRouter:
    """Return the routes of enrollment."""
    routes = APIRouter(tags=["enrollment"])

    @routes.get("/v1/ca")
    async def ca() -> Response:
        """Return the root certificate (PEM). Its pin stands in every enrollment token."""
        return Response(hub.authority.root, media_type="application/x-pem-file")

    @routes.get("/v1/info")
    async def info() -> Response:
        """Return who this hub is, the hubs from the root down to it, and its time."""
        said = {"hub": hub.file.id, "scope": hub.authority.scope, "path": hub.authority.path}
        return errors.answer({**said, "version": hub.version, "time_ms": int(time.time() * 1000)})

    @routes.post("/v1/enroll")
    async def enroll(body: EnrollBody) -> Response:
        """Give a device that shows a valid token a certificate for its own key."""
        return errors.answer(await _enroll(hub, body))

    @routes.post("/v1/renew")
    async def renew(body: RenewBody) -> Response:
        """Tell an enrolled device how it stands: a certificate on its own key, or that it was revoked, signed."""
        return errors.raw(await _renew(hub, body))

    return routes


async def _enroll(hub: Hub, body: EnrollBody) -> dict[str, object]:
    token = signing.token_parse(body.token)
    if not signing.same(token.pin, hub.authority.root_pin) or token.scope != hub.authority.scope:
        raise TrustError(f"this token is of another hub than {hub.file.id}: check --hub, or ask for a new token")
    certificates.check_csr(body.csr)
    if body.ca:
        _check_hub(hub, body)
    asked = inputs.Enroll(
        token=token.id,
        secret_hash=signing.secret_hash(token.secret),
        name=body.name,
        csr=body.csr,
        key=certificates.spki_hash(body.csr),
        ca=body.ca,
        ca_key=certificates.spki_hash(body.ca) if body.ca else "",
        labels=body.labels,
        facts=body.facts,
    )
    issued = msgspec.json.decode(await hub.desk.ask("enroll", asked), type=_Issued)
    return {
        "node": issued.node,
        "hub": hub.file.id,
        "scope": hub.authority.scope,
        "certificate": issued.certificate,
        "root": hub.authority.root.decode(),
        "mqtt": link_place(hub),
        "api": {"host": dialled(hub.api().host), "port": hub.api().port},
    }


def _check_hub(hub: Hub, body: EnrollBody) -> None:
    """What must be so of a hub that asks in. Raises TrustError, TooLarge."""
    certificates.check_csr(body.ca)
    if certificates.spki_hash(body.ca) == certificates.spki_hash(body.csr):
        raise TrustError("a hub's CA has a key of its own: make another one than that of its TLS certificate")


async def _renew(hub: Hub, body: RenewBody) -> bytes:
    asked = renewals.Renewal(**body.model_dump())
    node = ids.node_id(asked.node)
    key = renewals.check(asked, hub.file.id, int(hub.now().wall * 1000))
    return await hub.desk.ask("renew", inputs.Renew(node=node, key=key, csr=asked.csr, until_ms=asked.until_ms))
