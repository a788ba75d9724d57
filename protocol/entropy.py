"""Randomness as an input: one seed in, a deterministic sequence out (SHA-256 over seed and counter).

A core gets 32 random bytes with its first input and draws ids and jitter from here, so that the same inputs lead to
the same effects, in production and in the simulator.
"""

import hashlib


class Entropy:
    """A sequence of bytes that only the seed decides."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def draw(self, size: int) -> bytes:
        """Return the next `size` bytes, at most 32."""
        assert 0 < size <= 32
        self._count += 1
        return hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest()[:size]

    def hex(self, size: int) -> str:
        """Return the next `size` bytes as hex."""
        return self.draw(size).hex()

    def fraction(self) -> float:
        """Return the next number in [0, 1)."""
        return int.from_bytes(self.draw(7), "big") / (1 << 56)
