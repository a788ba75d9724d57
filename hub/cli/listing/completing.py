"""What the shell completes a word to: what is at the hub, as far as one page shows it. Completing is never an error."""

from __future__ import annotations

from typing import Any

from hub.cli.client import Client
from protocol.errors import SkerryError


def names(path: str, incomplete: str) -> list[str]:
    """Return the names at `path` that begin so; nothing when the hub is away."""
    try:
        with Client() as client:
            found = (str(one.get("address") or one["name"]) for one in client.get(path))
            return sorted(name for name in found if name.startswith(incomplete))
    except (SkerryError, TypeError):
        return []


def nodes(incomplete: str) -> list[str]:
    """Return the nodes of which the address, the name or the path begins so, spelled in that way."""
    try:
        with Client() as client:
            mine = f"{client.context.hub}/"
            near = client.get("/v1/nodes", start=incomplete.removeprefix(mine))
            pages = [near] if "/" in incomplete or not incomplete else [near, client.get("/v1/nodes")]
            found = {word for page in pages for one in page for word in _spellings(one, mine)}
    except (SkerryError, TypeError):
        return []
    matching = sorted(word for word in found if word.startswith(incomplete))
    return matching if incomplete else sorted({str(one.get("address") or one["name"]) for one in near})


def _spellings(one: dict[str, Any], mine: str) -> list[str]:
    address = str(one.get("address") or one["name"])
    return [address, str(one["name"]), mine + address]
