"""Asking the parent's API how this hub stands, when the link is not to be had (INVARIANTS C15, decision 0024).

    GET /v1/info     the parent's time, to sign: ours may be wrong
    POST /v1/renew   our id, that hub, that time, a request on the key of our CA; signed with that key

TLS checks the root and the parent's name, no dates.
"""

from __future__ import annotations

import ssl

import httpx
import msgspec

from hub.core.up.apart import AnsweredApart
from hub.shell.authority import Authority
from hub.shell.home import Parent
from protocol import limits
from protocol.aio import tls
from protocol.errors import Refused, SkerryError
from protocol.messages import Revoked

_ANSWER_BYTES_MAX = 2 * limits.CHAIN_BYTES_MAX
_NO = (403, 404, 409, 422)


class _Info(msgspec.Struct, frozen=True):
    time_ms: int


class _Standing(msgspec.Struct, frozen=True):
    certificate: str = ""
    revoked: Revoked | None = None
    chain: str = ""


class _Said(msgspec.Struct, frozen=True):
    error: str


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent said. `revoked`: the word that this hub no longer belongs to it, with the `chain` that proves the
    key which signed; hand both to the link before `answer` goes to the core."""

    answer: AnsweredApart
    revoked: Revoked | None = None
    chain: str = ""


async def ask(keys: Authority, parent: Parent) -> Heard:
    """Ask; whoever cannot be reached, or answers oddly, is as if nothing was said. Raises nothing."""
    host = f"[{parent.api.host}]" if ":" in parent.api.host else parent.api.host
    url = f"https://{host}:{parent.api.port}"
    try:
        context = tls.api_context(keys.root.decode(), parent.scope)
        async with httpx.AsyncClient(
            base_url=url, verify=context, timeout=limits.CONNECT_WAIT_S, trust_env=False
        ) as client:
            time_ms = msgspec.json.decode(_bounded(await client.get("/v1/info")), type=_Info).time_ms
            asked = keys.ca_question(parent.id, time_ms)
            answer = await client.post("/v1/renew", json=msgspec.to_builtins(asked))
            if answer.status_code in _NO:
                said = msgspec.json.decode(_bounded(answer), type=_Said).error
                return Heard(answer=AnsweredApart(refused=said))
            if answer.status_code != 200:
                return Heard(answer=AnsweredApart())
            standing = msgspec.json.decode(_bounded(answer), type=_Standing)
    except (httpx.HTTPError, msgspec.DecodeError, ssl.SSLError, SkerryError):
        return Heard(answer=AnsweredApart())
    return Heard(answer=AnsweredApart(certificate=standing.certificate), revoked=standing.revoked, chain=standing.chain)


def _bounded(response: httpx.Response) -> bytes:
    if len(response.content) > _ANSWER_BYTES_MAX:
        raise Refused(f"an answer of {len(response.content)} bytes is over {_ANSWER_BYTES_MAX}")
    return response.content
