"""What the children told goes on to the parent: wrapped into the hub's own streams, with its origin (DESIGN 4).

One for each class, so that none pushes another out (INVARIANTS A16). Wrapped in the Effects that store it here, so
that nothing is here and not on its way. Rows of one message go together, as they came (protocol.link.relay.runs).
Without a parent nothing is wrapped. What policy holds back is told instead, before the next row that goes
(hub.core.up.held).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.up.forced import Forced
from hub.core.up.held import Back
from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.relay import runs, wrap
from protocol.messages import RELAYS
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.core.hub import HubCore

_GOES = {"all": frozenset({"audit", "state", "metrics", "logs"}), "state": frozenset({"audit", "state"})}
_ALWAYS = frozenset({"audit"})
_TOO_LARGE = "it is no entry, and too large to be relayed"


class Relay:
    """The way up of all that comes from below."""

    def __init__(self, snapshot: Snapshot, core: HubCore, signer: events.GapSigner | None) -> None:
        """`signer`: the key that the parent knows this hub by; None at a root."""
        self._core = core
        self._back = Back(snapshot, signer) if signer is not None else None
        up = core.up
        self._forced = Forced(snapshot, core, up.child, self._back) if up is not None and self._back else None
        self._held = frozenset[str]()

    def set_policy(self, forward: Mapping[str, str]) -> None:
        """Say what of each stream goes up; a stream that is not named goes.

        `all`: its rows go. `state`: they go if it is audit or state. `summary`: they go if it is audit. Audit always
        goes: a trail proves itself by standing above (INVARIANTS C16).
        """
        held = frozenset(stream for stream, mode in forward.items() if stream not in _GOES.get(mode, _ALWAYS)) - _ALWAYS
        if self._back is not None and held != self._held:
            self._held = held
            self._back.hurry()

    @property
    def held(self) -> frozenset[str]:
        """Return the streams that policy holds back."""
        return self._held

    def heard(self, event: events.ParentEvent, now: Now, fx: Effects) -> None:
        """Pass on what a child, or a node below a child hub, told; what is no history is not passed on."""
        back = self._back
        if back is None:
            return
        match event:
            case events.ChildEntries(stream=stream) if stream in self._held:
                self._send(stream, back.add(event, now, fx), now, fx)
            case events.ChildEntries(stream=stream) if stream not in RELAYS:
                self._send(stream, [*back.flush(event.node, stream, fx), *_wrapped(event, back)], now, fx)
            case events.HeldBack(stream=stream):
                self._send(stream, [*back.flush(event.node, stream, fx), wrap.item(runs.HELD, event.held)], now, fx)
            case events.EpochChanged(stream=stream) | events.StreamMet(stream=stream) if stream not in RELAYS:
                self._send(stream, [*back.flush(event.node, stream, fx), _turned(event)], now, fx)
            case _:
                pass

    def tick(self, now: Now, fx: Effects) -> None:
        """Tell what has been held back for long enough, and what was forced out, some of it."""
        if self._back is not None:
            for stream, item in self._back.due(now, fx):
                self._send(stream, [item], now, fx)
        if self._forced is not None:
            for stream, item in self._forced.tick(fx):
                self._send(stream, [item], now, fx)
            self._forced.look(fx)

    def next_wake(self) -> float | None:
        """Return the mono time at which `tick` is due."""
        wakes = (part.next_wake() for part in (self._back, self._forced) if part is not None)
        return min((wake for wake in wakes if wake is not None), default=None)

    def _send(self, stream: str, items: list[wrap.Item], now: Now, fx: Effects) -> None:
        up = self._core.up
        if up is not None and items:
            up.append(runs.carrier(stream), items, now, fx)


def _wrapped(event: events.ChildEntries, back: Back) -> list[wrap.Item]:
    return [
        wrap.run_item(event.node, event.epoch, event.stream, piece)
        if piece.raws
        else back.item(runs.About(at=event.node, epoch=event.epoch, stream=event.stream), piece, _TOO_LARGE)
        for piece in wrap.pieces(event)
    ]


def _turned(event: events.EpochChanged | events.StreamMet) -> wrap.Item:
    turn = runs.Turn(
        at=event.node,
        epoch=event.epoch,
        stream=event.stream,
        seq=event.place,
        hash=event.place_hash,
        former=event.former,
        again=event.again,
    )
    if isinstance(event, events.EpochChanged):
        turn = msgspec.structs.replace(turn, ends=event.seq, ends_hash=event.hash, lost=event.lost, reason=event.reason)
    return wrap.item(runs.EPOCH, turn)
