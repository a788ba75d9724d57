"""What a child declared lost: ranges, counts, reasons and when, for people. A cursor counts the sum; this is the list.

The newest limits.LOSSES_KEPT of each stream, in space `loss` under `NODE/STREAM`; what goes on from the one before it
is one with it, so that a device which loses all the time fills no list.
"""

from __future__ import annotations

import msgspec

from protocol import effects, limits
from protocol.effects import Effects
from protocol.messages import GapBody

LOSS = "loss"


class Loss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows `first`..`last` of an epoch will not come. `time_ms` is the device's clock; 0: it did not say when."""

    epoch: str
    first: int
    last: int
    count: int
    reason: str
    time_ms: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Loss]).decode


class Losses:
    """The losses of one child, by stream, the oldest first."""

    def __init__(self, node: str) -> None:
        self._node = node
        self.known: dict[str, list[Loss]] = {}

    def load(self, stream: str, value: bytes) -> None:
        """Take a stored list back."""
        self.known[stream] = _decode(value)

    def add(self, stream: str, epoch: str, gone: GapBody, time_ms: int, fx: Effects) -> None:
        """Note that rows are gone, the last of them as of now."""
        losses = self.known.setdefault(stream, [])
        new = Loss(epoch=epoch, first=gone.first, last=gone.last, count=gone.count, reason=gone.reason, time_ms=time_ms)
        if losses and (losses[-1].epoch, losses[-1].last + 1, losses[-1].reason) == (epoch, new.first, new.reason):
            before = losses.pop()
            new = msgspec.structs.replace(new, first=before.first, count=before.count + new.count)
        losses.append(new)
        del losses[: -limits.LOSSES_KEPT]
        fx.store.append(effects.Put(LOSS, f"{self._node}/{stream}", _encode(losses)))
