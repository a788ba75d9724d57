"""What the device's key signs of a bundle, and what a device asks by one that has met no hub: the notary's errands."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import errands
from edge_agent.shell.vitals import platform
from protocol.aio.carrying import invite
from protocol.bundle import head


async def sign(data: Path, up: head.Up) -> bytes:
    """Return `bundle.json` of a bundle, signed. Raises TrustError, OSError."""
    body = head.encode(up)
    asked = msgspec.json.encode([up.hub, up.node, head.hash_of(body)]).decode()
    answer = await errands.ask(data, "sign", asked)
    assert answer.signed is not None
    return head.join(body, answer.signed)


async def join(data: Path) -> head.Join | None:
    """Return what a device asks that was invited by a stick, None once it is enrolled. Raises TrustError, OSError."""
    if not identity.is_invited(data):
        return None
    token = invite.read(data / identity.INVITE).token
    return head.Join(token=token, csr=(await errands.ask(data, "csr")).csr, facts=platform())
