"""Where hubs below this one say that they listen: believed only as far as it can be theirs.

What a hub says here goes into grants that its siblings' devices hold and prove as a whole, and into Moves: one word
that cannot be would spoil them for all (INVARIANTS C10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import documents, limits

if TYPE_CHECKING:
    from hub.core.hub import HubCore


def of(core: HubCore, hub: str) -> documents.Haven | None:
    """Return where the hub at the address `hub` listens, "" for this one; None: it has not said, or what cannot be."""
    if not hub:
        return core.haven
    steps, found = hub.split("/")[::-1], core.subtree.find(hub)
    said, domain = found.brief.haven if found is not None else None, ".".join(steps)
    if said is None or said.id != steps[0] or not said.scope.startswith(f"{domain}."):
        return None
    scope = f"{domain}.{core.haven.scope}" if core.haven is not None else said.scope[: limits.SCOPE_CHARS_MAX]
    hosts = (said.mqtt_host, said.api_host, said.mqtt_name or said.mqtt_host)
    is_true = said.scope == scope and all(map(_is_host, hosts)) and all(map(_is_port, (said.mqtt_port, said.api_port)))
    return said if is_true else None


def _is_host(text: str) -> bool:
    return 0 < len(text) <= limits.HOST_CHARS_MAX and text.isascii() and text.isprintable() and " " not in text


def _is_port(number: int) -> bool:
    return 0 < number < 65_536
