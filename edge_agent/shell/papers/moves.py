"""Whether a Move holds: who says it stands above this device's hub and above the one it names. Not for the daemon."""

from __future__ import annotations

from pathlib import Path

from edge_agent.shell import identity
from edge_agent.shell.papers import own
from protocol import documents
from protocol.errors import RemoteProtocolError, TrustError
from protocol.trust import grants


def doubt(data: Path, file: identity.AgentFile, text: str) -> str:
    """Return why the Move in `text` is not followed; empty when it holds. Raises TrustError, TooLarge, OSError."""
    try:
        move = documents.decode(text.encode())
    except RemoteProtocolError as error:
        raise TrustError(f"the word to move is none: {error}") from error
    if not isinstance(move, documents.Move) or move.node != file.node:
        return "the word to move is not for this device"
    if move.key != own.certificate(data).key:
        return "the word to move is for another key than this device's"
    grants.check(move, file.root_pin, file.scope)
    return ""
