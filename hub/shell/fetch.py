"""Fetch an artifact from the parent, by a ticket that came over the link: once for all nodes below this hub.

A connection that breaks is opened again where it broke off, as long as bytes still come; what is verified and how it
gets its name is the business of hub.shell.artifacts.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import httpx

from hub.core import inputs
from hub.shell.artifacts import Artifacts
from hub.shell.desk import Failed
from hub.shell.home import Home, Parent
from protocol import limits
from protocol.aio import tls
from protocol.errors import Refused, SkerryError

_REFUSED = frozenset({401, 403, 410})
_NO_ROOM = 507


class _TicketRefused(SkerryError):
    """The parent wants another ticket."""


async def fetch(
    home: Home, parent: Parent, artifacts: Artifacts, asked: inputs.FetchArtifact
) -> inputs.ArtifactFetched:
    """Bring an artifact into the folder; return what came of it. Raises nothing."""
    digest = asked.digest
    try:
        context = tls.api_context(home.path("root.pem").read_text(), parent.scope)
        async with httpx.AsyncClient(verify=context, timeout=limits.UPLOAD_WAIT_S, trust_env=False) as client:
            size = await artifacts.receive(digest, _chunks(client, _url(parent, digest), asked.ticket))
    except _TicketRefused as error:
        return inputs.ArtifactFetched(digest=digest, error=str(error), ticket_refused=True)
    except Failed as error:
        lacks = limits.ARTIFACT_BYTES_MAX if error.status == _NO_ROOM else 0
        return inputs.ArtifactFetched(digest=digest, error=str(error), lacks=lacks)
    except httpx.HTTPError as error:
        text = f"cannot fetch from {_url(parent, '')}: {error or type(error).__name__}"
        return inputs.ArtifactFetched(digest=digest, error=text)
    except (SkerryError, OSError, ssl.SSLError) as error:
        return inputs.ArtifactFetched(digest=digest, error=str(error))
    return inputs.ArtifactFetched(digest=digest, size=size)


def _url(parent: Parent, digest: str) -> str:
    host = f"[{parent.api.host}]" if ":" in parent.api.host else parent.api.host
    return f"https://{host}:{parent.api.port}/v1/artifacts/{digest}"


async def _chunks(client: httpx.AsyncClient, url: str, ticket: str) -> AsyncIterator[bytes]:
    """Yield the artifact's bytes; go on after a break, unless nothing came since the last one."""
    have = 0
    while True:
        before = have
        try:
            async for chunk in _part(client, url, ticket, have):
                have += len(chunk)
                yield chunk
        except httpx.TransportError:
            if have == before:
                raise
        else:
            return


async def _part(client: httpx.AsyncClient, url: str, ticket: str, have: int) -> AsyncIterator[bytes]:
    headers = {"Authorization": f"Ticket {ticket}"} | ({"Range": f"bytes={have}-"} if have else {})
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _REFUSED:
            raise _TicketRefused(f"the parent refused the ticket ({response.status_code})")
        if response.status_code != (206 if have else 200):
            raise Refused(f"the parent answered {response.status_code} for the artifact")
        async for chunk in response.aiter_raw():
            yield chunk
