"""What of its children's history a hub holds back, because policy says so: counted here, told above, signed (DESIGN 4).

Rows that are held back follow one another, so one range for each stream of each origin says it all. A range is told
limits.HELD_EVERY_S after it began, or before the next row of its stream that goes. It is stored until then: after a
crash nothing that was held back looks lost above.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from protocol import effects, limits
from protocol.effects import Effects, Now
from protocol.link.relay import runs, wrap
from protocol.messages import GapBody
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from protocol.link import events

SPACE = "held"
_REASON = "held back by policy: it can be asked for at {}"


class Range(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Rows `first`..`last` of one origin that did not go up; hashes (hex) before them and at the last one."""

    at: str
    epoch: str
    stream: str
    first: int
    last: int
    before: str
    hash: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Range).decode


class Back:
    """All that is held back and not told yet."""

    def __init__(self, snapshot: Snapshot, signer: events.GapSigner) -> None:
        self._node, self._signer = snapshot.node, signer
        self._ranges = {key: _decode(value) for key, value in snapshot.spaces.get(SPACE, {}).items()}
        self._since: dict[str, float] = dict.fromkeys(self._ranges, -math.inf)
        """When each range began, oldest first; one that an earlier life left is due at once."""

    def add(self, event: events.ChildEntries, now: Now, fx: Effects) -> list[wrap.Item]:
        """Hold the rows of `event` back. Return what must be told for it: a range that they do not go on from."""
        key = _key(event.node, event.stream)
        before, told = self._ranges.get(key), list[wrap.Item]()
        if before is not None and (before.epoch, before.last, before.hash) == (
            event.epoch,
            event.prev,
            event.before.hex(),
        ):
            before.last, before.hash = event.last, event.hash.hex()
        else:
            told = self.flush(event.node, event.stream, fx)
            self._since[key] = now.mono
            self._ranges[key] = Range(
                at=event.node,
                epoch=event.epoch,
                stream=event.stream,
                first=event.prev + 1,
                last=event.last,
                before=event.before.hex(),
                hash=event.hash.hex(),
            )
        fx.store.append(effects.Put(SPACE, key, _encode(self._ranges[key])))
        return told

    def flush(self, at: str, stream: str, fx: Effects) -> list[wrap.Item]:
        """Return what tells of rows held back of one stream of one origin, if there are any."""
        return self._flush(_key(at, stream), fx) if self._ranges else []

    def due(self, now: Now, fx: Effects) -> list[tuple[str, wrap.Item]]:
        """Return what tells of the ranges that are due, some of them, each with its stream."""
        told: list[tuple[str, wrap.Item]] = []
        while self._since and len(told) < limits.HELD_PER_INPUT_MAX:
            key, since = next(iter(self._since.items()))
            if now.mono < since + limits.HELD_EVERY_S:
                break
            told += [(key.rpartition("/")[2], item) for item in self._flush(key, fx)]
        return told

    def next_wake(self) -> float | None:
        """Return the mono time at which something is due."""
        since = next(iter(self._since.values()), None)
        return None if since is None else since + limits.HELD_EVERY_S

    def hurry(self) -> None:
        """The policy is another one: all that is held back is due."""
        self._since = dict.fromkeys(self._since, -math.inf)

    def _flush(self, key: str, fx: Effects) -> list[wrap.Item]:
        found = self._ranges.pop(key, None)
        if found is None:
            return []
        del self._since[key]
        fx.store.append(effects.Delete(SPACE, key))
        about = runs.About(at=found.at, epoch=found.epoch, stream=found.stream)
        rows = wrap.Piece(found.first - 1, bytes.fromhex(found.before), found.last, bytes.fromhex(found.hash), [], [])
        return [self.item(about, rows, _REASON.format(self._node))]

    def item(self, about: runs.About, rows: wrap.Piece, reason: str) -> wrap.Item:
        """Return the row of `relay` that says, signed, that `rows` stay here."""
        gap = GapBody(
            first=rows.prev + 1, last=rows.last, count=rows.last - rows.prev, reason=reason, hash=rows.hash.hex()
        )
        held = runs.Held(
            at=about.at, epoch=about.epoch, stream=about.stream, before=rows.before.hex(), by=self._node, gap=gap
        )
        signed = self._signer.sign_gap(self._node, about.epoch, held.signed_as, gap)
        return wrap.item(runs.HELD, msgspec.structs.replace(held, gap=signed))


def _key(at: str, stream: str) -> str:
    return f"{at}/{stream}"
