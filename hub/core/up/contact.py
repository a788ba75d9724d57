"""What this hub knows of its contact with its parent, for its operators. Outlasts restarts."""

from __future__ import annotations

from typing import Any

import msgspec

from protocol.effects import Effects, Now, Put
from protocol.link import events
from protocol.link.child import Child
from protocol.link.table import ChildState
from protocol.messages import Held
from protocol.snapshot import Snapshot

SPACE = "uplink"
KEY = "contact"
_TRYING = (ChildState.CONNECTING, ChildState.GREETING)


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept; milliseconds of this hub's clock, 0 for never. `standing`: what the parent said against us."""

    since_ms: int = 0
    contact_ms: int = 0
    received_ms: int = 0
    standing: str = ""


class UplinkView(msgspec.Struct, frozen=True, kw_only=True):
    """The link to the parent. `state`: live, connecting, offline or refused; `reason`: why it is not live.

    `standing`: what the parent said against us; `refused`: why its last manifest was; `waiting`: rows of each stream
    that the parent has not acked.
    """

    parent: str
    state: str
    since_ms: int
    last_contact_ms: int
    received_ms: int
    reason: str
    standing: str
    refused: str
    held: Held
    waiting: dict[str, int]


class Contact:
    """Notes what the link says of itself."""

    def __init__(self, snapshot: Snapshot, child: Child, parent: str) -> None:
        self._child, self._parent = child, parent
        self._kept = msgspec.json.decode(snapshot.spaces.get(SPACE, {}).get(KEY, b"{}"), type=Kept)
        self._reason = self.refused = ""
        """`refused`: why the last manifest was."""

    def start(self, now: Now) -> None:
        """A life begins, offline."""
        self._kept.since_ms = self._kept.since_ms or int(now.wall * 1000)

    def live(self, now: Now, fx: Effects) -> None:
        """Greeted by the parent."""
        self._kept.since_ms, self._kept.standing, self._reason = int(now.wall * 1000), "", ""
        self._keep(fx)

    def offline(self, reason: str, now: Now, fx: Effects) -> None:
        """No longer live."""
        self._kept.since_ms, self._reason = int(now.wall * 1000), reason
        self._keep(fx)

    def failed(self, reason: str) -> None:
        """A transport ended, or could not be connected."""
        self._reason = reason

    def received(self, now: Now, fx: Effects) -> None:
        """A manifest came."""
        self.refused = ""
        self._kept.received_ms = int(now.wall * 1000)
        self._keep(fx)

    def turned_away(self, standing: str, now: Now, fx: Effects) -> None:
        """The parent wants nothing more of this hub, or not now; said again, it is so since it was said first."""
        if standing != self._kept.standing:
            self._kept.since_ms, self._kept.standing = int(now.wall * 1000), standing
        self._keep(fx)

    def _keep(self, fx: Effects) -> None:
        if self._child.last_contact_wall is not None:
            self._kept.contact_ms = int(self._child.last_contact_wall * 1000)
        fx.store.append(Put(SPACE, KEY, msgspec.json.encode(self._kept)))

    def view(self) -> UplinkView:
        """Return the link as it stands."""
        child, kept = self._child, self._kept
        state = child.state.value
        if child.state not in (ChildState.LIVE, ChildState.REFUSED):
            state = "connecting" if child.state in _TRYING and not self._reason else "offline"
        return UplinkView(
            parent=self._parent,
            state=state,
            since_ms=kept.since_ms,
            last_contact_ms=max(kept.contact_ms, int((child.last_contact_wall or 0.0) * 1000)),
            received_ms=kept.received_ms,
            reason=kept.standing or self.refused or self._reason,
            standing=kept.standing,
            refused=self.refused,
            held=child.held,
            waiting={name: last - max(acked, floor) for name, (_, last, acked, floor, _) in child.heads().items()},
        )


def of_stream(event: events.GapDeclared | events.EpochBegun | events.ParentBehind) -> tuple[str, dict[str, Any]]:
    """Return the kind and the body of the audit entry about one of our own streams."""
    match event:
        case events.GapDeclared(stream=stream, count=count, reason=reason):
            return "gap.declared", {"stream": stream, "count": count, "reason": reason}
        case events.EpochBegun(stream=stream, lost=lost, reason=reason):
            return "epoch.begun", {"stream": stream, "count": lost, "reason": reason}
        case events.ParentBehind(stream=stream, seq=seq, acked=acked):
            reason = "the parent has less than it once acked: it was restored, and is refilled"
            return "parent.behind", {"stream": stream, "count": acked - seq, "reason": reason}
