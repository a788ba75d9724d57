"""One child, as its parent holds it: a state of protocol.link.table, a session, streams, and what is asked of it.

What is asked of a child, what came from it and how often it may speak have owners of their own; here they meet. The
rules stand in protocol.link.parent.
"""

from __future__ import annotations

import msgspec

from protocol import effects, limits, messages
from protocol.effects import Effects
from protocol.link import events, table
from protocol.link.flow.rate import Rates
from protocol.link.parent_desired import Bodies, Delegation
from protocol.link.parent_entries import Doubt, Incoming, Reach
from protocol.link.table import ParentCue, ParentState

CHILD = "child"
STATUS = "status"
CLONE = "a second device uses this node's identity: remove one, then `skerry node accept` takes the other back"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stored of a child's sessions, in space `child` under its node id. `quarantined`, `revoked`: reasons.

    `adopted`: it comes from another parent, and has not said Hello here since. `left`: it goes to another one.
    `contact_s`: the contact interval that it declared, for it is metered; 0.0: it is not.
    """

    session: int = 0
    nonce: str = ""
    quarantined: str = ""
    revoked: str = ""
    adopted: bool = False
    left: bool = False
    carried: tuple[int, int] = (0, 0)
    """Session and count of the Status of the newest bundle that was taken."""
    carrier: str = ""
    """The nonce of that session."""
    contact_s: float = 0.0


class Child:
    """One child: its state, its session, its streams, what is asked of it."""

    __slots__ = (
        "asked",
        "connection",
        "contact_mono",
        "expired_on",
        "heads",
        "incoming",
        "last_contact_wall",
        "looked_at",
        "node",
        "postponed",
        "quiet",
        "rates",
        "record",
        "session",
        "since_wall",
        "state",
        "status",
        "status_count",
        "version",
    )

    def __init__(self, node: str, bodies: Bodies, signer: events.Signer, doubt: Doubt, reach: Reach) -> None:
        self.node = node
        self.record = Record()
        self.state = ParentState.AWAY
        self.session = self.connection = self.status_count = 0
        self.expired_on: int | None = None
        self.since_wall: float | None = None
        self.last_contact_wall: float | None = None
        self.contact_mono = 0.0
        self.looked_at: float | None = None
        self.rates = Rates()
        self.heads: dict[str, int] = {}
        self.postponed: messages.Status | None = None
        self.quiet = False
        """It is metered, and has no session; but its next contact is not overdue, and so it is not away."""
        self.status: messages.Status | None = None
        self.version = ""
        self.incoming = Incoming(node, doubt, reach)
        self.asked = Delegation(node, bodies, signer)

    @property
    def greeted(self) -> bool:
        """Whether it has a session, if only to renew its certificate."""
        return self.state is ParentState.LIVE or self.state is ParentState.RENEWING

    @property
    def contact_s(self) -> float:
        """How seldom it may speak before it counts as a missed contact."""
        return self.record.contact_s or limits.CONTACT_EVERY_S

    @property
    def away_after_s(self) -> float:
        """For how long it may be silent until it has missed so many contacts that it is away."""
        return self.contact_s * limits.CONTACT_MISSES_MAX

    def move(self, cue: ParentCue) -> bool:
        """Take the step of protocol.link.table for `cue`; return False, and stay, where there is none."""
        after = table.PARENT[self.state].get(cue)
        if after is None:
            return False
        self.state, self.quiet = after, False
        return True

    def quarantine(self, fx: Effects) -> bool:
        """Two devices use its identity: neither is heard before an operator decides (A13). False: it was not anyway."""
        if not self.move(ParentCue.CLONED):
            return False
        self.record = msgspec.structs.replace(self.record, quarantined=CLONE)
        self.save(fx)
        return True

    def save(self, fx: Effects) -> None:
        """Store what must outlive this life."""
        fx.store.append(effects.Put(CHILD, self.node, msgspec.json.encode(self.record)))
