"""Which hub this device belongs to: the one that it enrolled at, until a hub above both says another one (a Move), or
that is gone for good (upward/gone).

    a Move in the manifest, newer than all        CheckMove: the notary proves it, under the pinned root
      that were seen of who says it
    it holds                                      stored, the link ends, Turn: the shell stores the new hub's address,
                                                  and begins a life that looks there
    a life begins that looks to the former hub    Turn again: there was a crash in between

Services, runs and what is journaled go on as in any restart of the agent; the manifest that is held stays in force
until the new hub's comes, whose term is higher. The former hub is not looked up to any more, so nothing that it says
counts. The certificate is renewed at the first contact, for it stands in the former's domain.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.upward.certificate import Certificate
from protocol import documents
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot

SPACE, _KEY = "agent", "home"


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept: the highest number seen of each hub that says Moves, and the last turn."""

    seen: dict[str, int] = {}
    former: str = ""
    to: documents.Haven | None = None
    is_certified: bool = False
    """The new hub has certified this device."""


class Turned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `home.turned` and `move.refused`: from which hub to which, on whose word, or why not."""

    former: str
    to: str
    by: str
    number: int
    who: str = ""
    reason: str = ""


class Home:
    """Where this device belongs."""

    def __init__(self, snapshot: Snapshot, ctx: Context, certificate: Certificate, node: str, parent: str) -> None:
        self._ctx, self._certificate, self._node, self._parent = ctx, certificate, node, parent
        self._kept = msgspec.json.decode(snapshot.spaces.get(SPACE, {}).get(_KEY, b"{}"), type=Kept)
        self._asked: tuple[str, documents.Move] | None = None
        """What is being proven, or was found not to hold in this life, and its digest."""

    @property
    def is_new(self) -> bool:
        """Whether this hub was turned to, and has not certified this device yet: it knows little of it, and may."""
        kept = self._kept
        return kept.to is not None and kept.to.id == self._parent and not kept.is_certified

    def start(self, now: Now, fx: Effects) -> None:
        """A life begins."""
        kept = self._kept
        if kept.to is None or kept.is_certified:
            return
        if kept.to.id == self._parent:
            self._certificate.hurry()
        elif kept.former == self._parent:
            self._turn(kept.to, now, fx)

    def want(self, desired: Desired, fx: Effects) -> None:
        """Follow the manifest."""
        found = desired.of(documents.Move).get(self._node)
        if found is None:
            return
        doc, move = found
        if move.revoked or move.number <= self._kept.seen.get(move.by, 0) or move.to.id == self._parent:
            return
        if self._asked is not None and self._asked[0] == doc.digest:
            return
        self._asked = doc.digest, move
        fx.act.append(inputs.CheckMove(digest=doc.digest, move=doc.raw))

    def checked(self, got: inputs.MoveChecked, now: Now, fx: Effects) -> None:
        """The Move that was asked about holds, or it does not."""
        if self._asked is None or self._asked[0] != got.digest:
            return
        move = self._asked[1]
        body = Turned(
            former=self._parent, to=move.to.id, by=move.by, number=move.number, who=move.who, reason=got.error
        )
        if got.error:
            self._ctx.note("audit", "move.refused", "", body, now, fx)
            return
        self._kept.seen[move.by] = move.number
        self.leave(move.to, body, now, fx)

    def leave(self, to: documents.Haven, body: Turned, now: Now, fx: Effects) -> None:
        """Look up to `to` from now on; `body` says why."""
        self._kept = Kept(seen=self._kept.seen, former=self._parent, to=to)
        self._ctx.put(SPACE, _KEY, self._kept, fx)
        self._ctx.note("audit", "home.turned", "", body, now, fx)
        self._ctx.child.hand_over(to.id, now, fx)
        self._turn(to, now, fx)

    def _turn(self, to: documents.Haven, now: Now, fx: Effects) -> None:
        self._ctx.child.stop(now, fx)
        fx.act.append(inputs.Turn(to=to))

    def certified(self, fx: Effects) -> None:
        """A certificate came from the hub that is looked up to."""
        if self.is_new:
            self._kept.is_certified = True
            self._ctx.put(SPACE, _KEY, self._kept, fx)
