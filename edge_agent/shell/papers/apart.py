"""Asking the hub's API how this device stands: only in the notary, when the link is not to be had (INVARIANTS C15).

    GET /v1/info     the hub's time, to sign: ours may be of another year
    POST /v1/renew   our node, that hub, that time, a request on our key; signed with our key

TLS is checked as for artifacts: the root and the hub's name, no dates. Not imported by the daemon (httpx, X.509).
"""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import notes, own
from protocol import limits, messages
from protocol.aio import tls
from protocol.errors import Refused
from protocol.trust import renewals


class _Info(msgspec.Struct, frozen=True):
    time_ms: int


class _Standing(msgspec.Struct, frozen=True):
    certificate: str = ""
    revoked: messages.Revoked | None = None
    chain: str = ""


class _Said(msgspec.Struct, frozen=True):
    error: str


def ask(data: Path, file: identity.AgentFile) -> notes.Answer:
    """Return what the hub says. Raises Refused when it cannot be reached or answers oddly, TrustError, OSError."""
    host = f"[{file.api.host}]" if ":" in file.api.host else file.api.host
    context = tls.api_context((data / "root.pem").read_text(), file.scope)
    url = f"https://{host}:{file.api.port}"
    try:
        with httpx.Client(base_url=url, verify=context, timeout=limits.CONNECT_WAIT_S, trust_env=False) as client:
            time_ms = msgspec.json.decode(_bounded(client.get("/v1/info")), type=_Info).time_ms
            answer = client.post("/v1/renew", json=msgspec.to_builtins(_question(data, file, time_ms)))
            if answer.status_code in (403, 404, 409, 422):
                said = msgspec.json.decode(_bounded(answer), type=_Said).error
                return notes.Answer(refused=said, unknown=answer.status_code == 404)
            if answer.status_code != 200:
                raise Refused(f"the hub at {url} cannot tell now how this device stands ({answer.status_code})")
            return _read(msgspec.json.decode(_bounded(answer), type=_Standing), data, file)
    except httpx.HTTPError as error:
        raise Refused(f"cannot reach the hub's API at {url}: {error or type(error).__name__}") from error
    except msgspec.DecodeError as error:
        raise Refused(f"{url} does not answer as a Skerry hub: {error}") from error


def _question(data: Path, file: identity.AgentFile, time_ms: int) -> renewals.Renewal:
    asked = renewals.Renewal(
        node=file.node,
        hub=file.hub,
        time_ms=time_ms,
        until_ms=own.certificate(data).until_ms,
        csr=own.make_csr(data, file.node),
    )
    return renewals.sign(asked, own.key_of(data))


def _bounded(response: httpx.Response) -> bytes:
    if len(response.content) > limits.PAPERS_ANSWER_BYTES_MAX:
        raise Refused(f"an answer of {len(response.content)} bytes is over {limits.PAPERS_ANSWER_BYTES_MAX}")
    return response.content


def _read(said: _Standing, data: Path, file: identity.AgentFile) -> notes.Answer:
    if said.revoked is None:
        return notes.Answer(renewed=said.certificate)
    return notes.Answer(revoked=said.revoked, proof=own.prove_signer(data, file, said.chain))
