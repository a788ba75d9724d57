"""The leases that a child asks for (INVARIANTS A20): what a grant is measured from is when the child sent its request.

A request rides on a Status, and Leases answers the Status by its count. So a grant that was long on its way is short,
and one for a request that nobody remembers is none. Pure; of one child's end.
"""

from __future__ import annotations

import math

from protocol import limits


class Requests:
    """What is asked for, and when that was last sent."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.every_s = math.inf
        self._sent: dict[int, float] = {}

    def want(self, names: list[str], every_s: float) -> bool:
        """Ask for the leases of `names` from now on, at least every `every_s`. Tells whether one of them is new."""
        is_new = not set(names) <= set(self.names)
        self.names, self.every_s = names, every_s if names else math.inf
        return is_new

    def begin(self) -> None:
        """A session begins: counts begin anew, and what was asked in the former one gets no answer."""
        self._sent.clear()

    def sent(self, count: int, mono: float) -> None:
        """The Status `count` goes now."""
        if self.names:
            self._sent[count] = mono
            while len(self._sent) > limits.LEASE_REQUESTS_KEPT:
                del self._sent[next(iter(self._sent))]

    def asked_at(self, count: int) -> float | None:
        """Return when (mono) the Status `count` went; None when that is not known any more."""
        return self._sent.get(count)
