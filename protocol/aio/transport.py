"""What a driver needs of a transport: one method that never waits."""

from __future__ import annotations

from typing import Protocol

from protocol.messages import AnyMessage


class Transport(Protocol):
    """Carries messages to peers. Loss is normal: the link's own timers re-send (DESIGN 4)."""

    def send(self, peer: str, message: AnyMessage) -> None:
        """Hand `message` over for `peer` (a node id). Never blocks, never raises; drops it when not connected."""
        ...
