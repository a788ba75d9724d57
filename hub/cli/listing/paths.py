"""The one spelling of a node that people see: its path where there are hubs below, its name where there is one tier.

Whatever a person types is taken: a path, an address, or a name that is one node's alone (hub.core.down.known.spots).
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from protocol.errors import Refused

if TYPE_CHECKING:
    from hub.cli.client import Client


class Paths:
    """Spells the nodes that a hub names by their addresses below it."""

    def __init__(self, hub: Client) -> None:
        self._hub = hub

    def of(self, address: str) -> str:
        """Return how the node at `address` is shown; this hub itself by its name."""
        mine = self._hub.context.hub
        is_plain = address in ("", mine) or ("/" not in address and not self._is_tree)
        return address if is_plain else f"{mine}/{address}"

    def of_event(self, event: dict[str, Any]) -> str:
        """Return how the node is shown of which an event is."""
        return self.of(str(event["path"]).partition("/")[2] or str(event["node"]))

    @functools.cached_property
    def _is_tree(self) -> bool:
        with contextlib.suppress(Refused):
            return bool(self._hub.get("/v1/regions"))
        return False
