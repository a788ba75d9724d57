"""How often something may be done: so many at once, then one in so many seconds. Pure; time is an argument (mono s)."""

from __future__ import annotations

_NEAR_S = 1e-6  # what sums of floats may be off: the last one of a burst is not refused for that


class Bucket:
    """One number is kept: when it will be full again."""

    __slots__ = ("_every_s", "_full_at", "_spread_s")

    def __init__(self, burst: float, every_s: float) -> None:
        self._every_s, self._spread_s = every_s, (burst - 1) * every_s
        self._full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Count one, if it may be done now."""
        if not self.is_free(now):
            return False
        self._full_at = max(self._full_at, now) + self._every_s
        return True

    def is_free(self, now: float) -> bool:
        """Tell whether one may be done now."""
        return now >= self.free_at - _NEAR_S

    @property
    def free_at(self) -> float:
        """From when on one may be done."""
        return self._full_at - self._spread_s


def per_second(count: float) -> Bucket:
    """Return a bucket of `count` a second, with a second's worth at once."""
    return Bucket(count, 1 / count)
