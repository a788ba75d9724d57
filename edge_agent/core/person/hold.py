"""Updates are kept away for a while: what the parent asks is received, stored and acknowledged, and not applied.

A hold keeps the services (with their fences), the workflows and the agent of this device as they are: changed, new and
deleted ones wait. What disturbs no work, or must not wait, goes on: tasks, requests of the parent, moves, grants,
leases (which no person's decision outranks) and revocation. A hold is a local person's fact with a life, as an override
is: it survives generations and reboots, and nothing ends it silently.

What is kept is one row (space `agent`, key `hold`), so that a damaged store has all of it or nothing: half of it would
look like deletions (A11).
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context
from edge_agent.core.context import Context
from protocol import status
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.snapshot import Snapshot

_SPACE, _KEY = "agent", "hold"
_STAYS = ("assignment/", "fence/", "workflow/", "upgrade/")


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who keeps updates away, and the documents that stay (id -> bytes), which were in force at `generation`."""

    user: str
    uid: int
    reason: str = ""
    since_ms: int = 0
    until_ms: int = 0
    generation: int = 0
    documents: dict[str, msgspec.Raw] = {}


class HoldEnded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of the entry `hold.ended`, for one that nobody ended."""

    user: str
    uid: int
    why: str


class Hold:
    """What the parent wants, and what of it is followed."""

    def __init__(self, snapshot: Snapshot, ctx: Context) -> None:
        self._ctx = ctx
        raw = snapshot.spaces.get(_SPACE, {}).get(_KEY)
        self.kept = msgspec.json.decode(raw, type=Kept) if raw is not None else None
        self._wanted: dict[str, bytes] | None = None
        self._ended = False

    @property
    def has_received(self) -> bool:
        """Whether there is a manifest to follow: none is known to a device whose store lost it."""
        return self._wanted is not None

    def received(self, items: dict[str, bytes]) -> None:
        """Take a complete manifest of the parent: document id -> bytes."""
        self._wanted = items

    def followed(self) -> dict[str, bytes]:
        """Return the manifest to follow now. One must have been received."""
        assert self._wanted is not None
        if self.kept is None:
            return self._wanted
        passes = {key: raw for key, raw in self._wanted.items() if not key.startswith(_STAYS)}
        return passes | {key: bytes(raw) for key, raw in self.kept.documents.items()}

    def waiting(self) -> list[str]:
        """Return the ids of the documents that wait: changed, new or deleted ones."""
        if self.kept is None or self._wanted is None:
            return []
        stays = {key: bytes(raw) for key, raw in self.kept.documents.items()}
        wanted = {key: raw for key, raw in self._wanted.items() if key.startswith(_STAYS)}
        return sorted(key for key in {*stays, *wanted} if stays.get(key) != wanted.get(key))

    # ---------------------------------------------------------------------------------------- decisions

    def begin(self, given: Kept, now: Now, fx: Effects, *, has_end: bool) -> Kept:
        """Keep updates away from now on; return what is kept. One that stands keeps what is not given anew (`has_end`:
        the end is).

        Raises Refused when nothing was received yet, or the life is over already.
        """
        if self._wanted is None:
            raise Refused("nothing has come from the hub yet: there is nothing to hold on to")
        if given.until_ms and given.until_ms <= context.ms(now):
            raise Refused("that moment has passed already: write a later one, or none for until released")
        held = self.kept
        if held is None:
            stays = {key: msgspec.Raw(raw) for key, raw in self._wanted.items() if key.startswith(_STAYS)}
            self.kept = msgspec.structs.replace(given, documents=stays)
        else:
            reason, until_ms = given.reason or held.reason, given.until_ms if has_end else held.until_ms
            self.kept = msgspec.structs.replace(held, user=given.user, uid=given.uid, reason=reason, until_ms=until_ms)
        self._ctx.put(_SPACE, _KEY, self.kept, fx)
        return self.kept

    def end(self, fx: Effects) -> list[str]:
        """Let updates come; return the ids of those that waited. Raises Refused when there is no hold."""
        if self.kept is None:
            raise Refused("nobody holds updates here: there is nothing to end")
        waited = self.waiting()
        self.kept, self._ended = None, True
        self._ctx.drop(_SPACE, _KEY, fx)
        return waited

    def tick(self, now: Now, fx: Effects) -> bool:
        """End one whose life is over. Tell whether one has ended since the last call: what waited is to be followed."""
        held = self.kept
        if held is not None and held.until_ms and held.until_ms <= context.ms(now):
            self.end(fx)
            body = HoldEnded(user=held.user, uid=held.uid, why="its life is over")
            self._ctx.note("audit", "hold.ended", "", body, now, fx)
        ended, self._ended = self._ended, False
        return ended and self.has_received

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) it may end."""
        return context.wall_wake(self.kept.until_ms, now) if self.kept is not None and self.kept.until_ms else None

    def report(self) -> status.HoldReport | None:
        """Return the hold as the report shows it."""
        held = self.kept
        if held is None:
            return None
        return status.HoldReport(
            user=held.user,
            uid=held.uid,
            reason=held.reason,
            since_ms=held.since_ms,
            until_ms=held.until_ms,
            generation=held.generation,
            waiting=len(self.waiting()),
        )
