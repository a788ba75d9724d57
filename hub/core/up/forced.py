"""What was forced out of a relay before the parent had it: said again, signed, of each origin (INVARIANTS A16).

A GAP of a relay says how many runs are gone, and nobody above knows whose. Those of an origin that goes on speaking
show as a hole; those of one that fell silent would show nowhere. So when the parent has the GAP, this hub says of each
origin of that class up to where it holds its rows, and that they can be asked for here: what of them is not above is
listed there then, as held. A few at a time, each when the parent has those before, so that they force nothing out
themselves. That it is to be said is stored until all of it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from protocol import effects, limits
from protocol.effects import Effects
from protocol.link import cursor
from protocol.link.relay import runs, wrap
from protocol.link.relay.missing import Missing
from protocol.messages import CHAINED, CLASSES
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.up.held import Back
    from protocol.link.child import Child

SPACE = "forced"
_REASON = "the room for what is relayed was full: it can be asked for at {}"

Place = tuple[int, str]
"""(seq, hash) of a row; the hash is hex."""


class Forced:
    """What is to be said of the origins of each class, and what of it has been."""

    def __init__(self, snapshot: Snapshot, core: HubCore, child: Child, back: Back) -> None:
        self._core, self._child, self._back = core, child, back
        self._due = set(snapshot.spaces.get(SPACE, {}))
        self._lost: dict[str, int] = child.lost
        self._saying = ""
        self._left: list[tuple[str, str]] = []
        """(address, epoch) of the origins of the class `_saying` that are still to be said."""
        self._after = 0
        """The row of the relay that the parent is to have before more is said."""

    def tick(self, fx: Effects) -> list[tuple[str, wrap.Item]]:
        """Return what is to be said now, each with its class: some of it."""
        self.look(fx)
        if not self._may_go_on() and not self._begin():
            return []
        relay, told = runs.carrier(self._saying), list[tuple[str, wrap.Item]]()
        most = min(limits.HELD_PER_INPUT_MAX, self._child.shares()[relay] // limits.HELD_SHARE_BYTES)
        while self._left and len(told) <= most:
            at, epoch = self._left.pop()
            told += [(self._saying, item) for item in self._say(at, epoch)]
        self._after = self._child.heads()[relay][1] + len(told)
        if not self._left:
            fx.store.append(effects.Delete(SPACE, self._saying))
            self._due.discard(self._saying)
            self._saying = ""
        return told

    def next_wake(self) -> float | None:
        """Return the mono time at which `tick` is due."""
        return -math.inf if self._may_go_on() else None

    def _may_go_on(self) -> bool:
        return bool(self._saying) and self._child.heads()[runs.carrier(self._saying)][2] >= self._after

    def look(self, fx: Effects) -> None:
        """Note which relays lost rows since the last look: in the Effects that lose them."""
        lost = self._child.lost
        if lost == self._lost:
            return
        for name in CLASSES:
            relay = runs.carrier(name)
            if lost.get(relay, 0) != self._lost.get(relay, 0):
                self._due.add(name)
                fx.store.append(effects.Put(SPACE, name, b"1"))
                self._saying = "" if self._saying == name else self._saying
        self._lost = lost

    def _begin(self) -> bool:
        """Begin with a class whose GAP the parent has, unless one is begun; tell whether there is one."""
        if self._saying or not self._due or not self._child.live:
            return False
        heads = self._child.heads()
        for name in sorted(self._due):
            _, _, acked, floor, _ = heads[runs.carrier(name)]
            if acked >= floor:
                self._saying, self._left = name, list(self._origins(name))
                return True
        return False

    def _origins(self, stream: str) -> Iterator[tuple[str, str]]:
        for node in self._core.parent.children():
            held = self._core.parent.view(node).cursors.get(stream)
            if held is not None:
                yield node, held.epoch
        for key, record in self._core.relayed.origins.records.all():
            _, epoch, of = key.split("/")
            if of == stream:
                yield record.at, epoch

    def _say(self, at: str, epoch: str) -> Iterator[wrap.Item]:
        about = runs.About(at=at, epoch=epoch, stream=self._saying)
        first = cursor.genesis(about.node, epoch, about.stream).hex() if about.stream in CHAINED else ""
        found = self._core.relayed.origins.records.find(about) if "/" in at else None
        held = self._core.parent.brought(at, epoch, about.stream)
        pieces: Iterator[wrap.Piece] = iter(())
        if found is not None:
            pieces = _pieces((0, first), (found[1].seq, found[1].hash), found[1].missing)
        elif held is not None:
            pieces = _pieces((held.base, held.base_hash or first), (held.seq, held.hash), [])
        for piece in pieces:
            yield self._back.item(about, piece, _REASON.format(self._core.node))


def _pieces(begin: Place, end: Place, missing: list[Missing]) -> Iterator[wrap.Piece]:
    """Yield the rows after `begin` up to `end` that are here; what is missing at the very end counts as if it were, so
    that whoever hears it comes to `end`."""
    for one in missing:
        if one.last >= end[0]:
            break
        if one.first - 1 > begin[0]:
            yield _piece(begin, (one.first - 1, one.before))
        begin = max(begin, (one.last, one.hash))
    if end[0] > begin[0]:
        yield _piece(begin, end)


def _piece(begin: Place, end: Place) -> wrap.Piece:
    return wrap.Piece(begin[0], bytes.fromhex(begin[1]), end[0], bytes.fromhex(end[1]), [], [])
