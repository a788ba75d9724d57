"""What this device knows of its contact with the parent, for the person in front of it. Outlasts restarts."""

from __future__ import annotations

import msgspec

from edge_agent.core import context
from edge_agent.core.context import Context
from protocol.effects import Effects, Now
from protocol.link.table import ChildState
from protocol.messages import Held
from protocol.snapshot import Snapshot


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept (space `agent`, key `contact`)."""

    live: bool = False
    since_ms: int = 0
    contact_ms: int = 0
    received_ms: int = 0
    standing: str = ""
    """What the parent said against this node: revoked, and why."""


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """The link as seen from here. `state`: live, connecting, offline or refused; `reason` says why it is not live."""

    parent: str
    state: str
    since_ms: int
    last_contact_ms: int
    reason: str
    held: Held
    received_ms: int
    """When the manifest in force came."""
    retry_s: float | None = None
    """In how many seconds the next try to connect begins; None while one is made, or none will be."""
    metered_s: float
    """The link is metered, and this is its contact interval; 0.0: it is not."""


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What of one stream waits to sync. `bytes` is an estimate by the mean row."""

    epoch: str
    last: int
    acked: int
    rows: int
    bytes: int


class Contact:
    """Notes what the link says of itself."""

    def __init__(self, snapshot: Snapshot, ctx: Context, parent: str) -> None:
        self._ctx = ctx
        self._parent = parent
        self._kept = msgspec.json.decode(snapshot.spaces.get("agent", {}).get("contact", b"{}"), type=Kept)
        self._reason = self._looked = ""

    @property
    def standing(self) -> str:
        """What the parent said against this node, or an empty text."""
        return self._kept.standing

    def start(self, now: Now) -> None:
        """A life begins, offline."""
        if self._kept.live or not self._kept.since_ms:
            self._kept.live, self._kept.since_ms = False, context.ms(now)

    def live(self, now: Now, fx: Effects) -> None:
        """Greeted by the parent."""
        self._kept.live, self._kept.since_ms, self._kept.standing = True, context.ms(now), ""
        self._reason = self._looked = ""
        self._keep(fx)

    def offline(self, reason: str, now: Now, fx: Effects) -> None:
        """No longer live."""
        self._kept.live, self._kept.since_ms = False, context.ms(now)
        self._reason = reason
        self._keep(fx)

    def failed(self, reason: str) -> None:
        """A try to connect failed."""
        self._reason = reason

    def looked(self, reason: str) -> None:
        """The parent was looked for elsewhere: why it was not found, or an empty text."""
        self._looked = reason

    def received(self, now: Now, fx: Effects) -> None:
        """A manifest came."""
        self._kept.received_ms = context.ms(now)
        self._keep(fx)

    def turned_away(self, standing: str, fx: Effects) -> None:
        """The parent wants nothing more of this node, or not now."""
        self._kept.standing = standing
        self._keep(fx)

    def _keep(self, fx: Effects) -> None:
        if self._ctx.child.last_contact_wall is not None:
            self._kept.contact_ms = int(self._ctx.child.last_contact_wall * 1000)
        self._ctx.put("agent", "contact", self._kept, fx)

    def view(self, now: Now) -> LinkView:
        """Return the link as seen from here."""
        child = self._ctx.child
        retry_at = child.retry_at
        contact_ms = int((child.last_contact_wall or 0.0) * 1000)
        return LinkView(
            parent=self._parent,
            state=_state(child.state, self._reason),
            since_ms=self._kept.since_ms,
            last_contact_ms=max(contact_ms, self._kept.contact_ms),
            reason=self._kept.standing or "; ".join(one for one in (self._reason, self._looked) if one),
            held=child.held,
            received_ms=self._kept.received_ms,
            retry_s=None if retry_at is None else round(max(0.0, retry_at - now.mono), 1),
            metered_s=child.metered_s,
        )

    def backlog(self) -> dict[str, Backlog]:
        """Return what waits to sync, by stream."""
        found: dict[str, Backlog] = {}
        for stream, (epoch, last, acked, floor, size) in self._ctx.child.heads().items():
            rows = last - max(acked, floor)  # what was declared lost does not wait
            share = rows / (last - floor) if last > floor else 0.0
            found[stream] = Backlog(epoch=epoch, last=last, acked=acked, rows=rows, bytes=int(size * share))
        return found


def _state(state: ChildState, reason: str) -> str:
    match state:
        case ChildState.LIVE | ChildState.REFUSED:
            return state.value
        case ChildState.CONNECTING | ChildState.GREETING if not reason:
            return "connecting"
        case _:
            return "offline"
