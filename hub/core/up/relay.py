"""What the children told goes on to the parent: wrapped into the hub's own stream `relay`, with its origin (DESIGN 4).

Wrapped in the Effects that store it here, so that nothing is here and not on its way. Rows of one message go together,
as they came (protocol.link.relay.runs). Without a parent nothing is wrapped.

`forward`, for each stream: `all` its rows go; `state` they go if it is audit or state; `summary` if it is audit. Audit
always goes: a trail proves itself by being above (INVARIANTS C16). What does not go is told as HELD, signed by this
hub, at most once in limits.HELD_EVERY_S for each stream of each origin, and before the next row that goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.relay import runs
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Relay:
    """The way up of all that comes from below."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core

    def heard(self, event: events.ParentEvent, now: Now, fx: Effects) -> None:
        """Pass on what a child, or a node below a child hub, told; what is no history is not passed on."""
        if self._core.up is None:
            return
        match event:
            case events.ChildEntries():
                self._send(self._wrapped(event), now, fx)
            case events.EpochChanged() if event.stream != runs.RELAY:
                self._send([_turned(event)], now, fx)
            case events.StreamMet() if event.stream != runs.RELAY:
                self._send([_met(event)], now, fx)
            case _:
                pass

    def _wrapped(self, event: events.ChildEntries) -> list[runs.Item]:
        return [runs.run_item(event.node, event.epoch, event.stream, piece) for piece in runs.pieces(event)]

    def _send(self, items: list[runs.Item], now: Now, fx: Effects) -> None:
        up = self._core.up
        if up is not None:
            up.append(runs.RELAY, items, now, fx)


def _turned(event: events.EpochChanged) -> runs.Item:
    turn = runs.Turn(
        at=event.node,
        epoch=event.epoch,
        stream=event.stream,
        seq=event.place,
        hash=event.place_hash,
        former=event.former,
        ends=event.seq,
        ends_hash=event.hash,
        again=event.again,
        lost=event.lost,
        reason=event.reason,
    )
    return runs.item(runs.EPOCH, turn)


def _met(event: events.StreamMet) -> runs.Item:
    turn = runs.Turn(
        at=event.node,
        epoch=event.epoch,
        stream=event.stream,
        seq=event.place,
        hash=event.place_hash,
        former=event.former,
    )
    return runs.item(runs.EPOCH, turn)
