"""How many may ask at once: nobody keeps root out, and no single user keeps the others out."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Generator

from edge_agent.shell.people.callers import Peer
from protocol import limits
from protocol.errors import Refused


class Places:
    """The connections of a socket, by who holds them."""

    def __init__(self) -> None:
        self._held: collections.Counter[int] = collections.Counter()
        self._others = 0

    @contextlib.contextmanager
    def one(self, peer: Peer) -> Generator[None]:
        """Hold a place for `peer`. Raises Refused when there is none."""
        count = self._held[peer.uid] if peer.is_root else self._others
        if count >= limits.CONTROL_CONNECTIONS_MAX:
            raise Refused("too many people ask at once: try again in a moment")
        if not peer.is_root and self._held[peer.uid] >= limits.CONTROL_CONNECTIONS_EACH_MAX:
            raise Refused(f"you ask {self._held[peer.uid]} times at once already: end one, or wait for its answer")
        self._held[peer.uid] += 1
        self._others += not peer.is_root
        try:
            yield
        finally:
            self._others -= not peer.is_root
            self._held[peer.uid] -= 1
            if not self._held[peer.uid]:
                del self._held[peer.uid]
