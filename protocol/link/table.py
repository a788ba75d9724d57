"""The states of a link's two ends, as data.

The child's end (it looks up). Only the child opens a link; the parent answers.

    IDLE        not started, or stopped
    WAITING     the backoff runs (decorrelated jitter); nothing is open
    CONNECTING  a session is minted and stored, the transport is asked to connect with it
    GREETING    connected, Hello is sent, Welcome has not come
    LIVE        greeted: Status has gone first, entries follow under credit
    REFUSED     turned away: quarantined (asks again seldom) or revoked (never again in this life of the journal)

                     start             opened             welcomed
               IDLE ------> CONNECTING ------> GREETING ---------> LIVE
                              ^  | closed         | closed, timeout  |
                      timeout |  v                v                  |
                            WAITING <--------------------------------+
    again: GREETING or LIVE -> CONNECTING at once on a new session (Look, or a new epoch to negotiate)
    turned away: WAITING, CONNECTING, GREETING or LIVE -> REFUSED (the front door tells a revoked child before it can
                 greet; one that is not let in at all may be told apart from the link)

A cue that a state's row does not list changes nothing: it is late (INVARIANTS A13).

What a restart means: no state is stored; every life begins in IDLE and connects on a new session. It needs nothing
else, for what must outlast a life is stored before it is acted on: the session counter before Connect, rows before they
are sent, the parent's cursor as last heard, the manifest before it is wanted. WAITING forgets its backoff; CONNECTING
and GREETING leave a session that the parent fences off when the next one comes; LIVE re-sends from the cursor that the
next Welcome gives. A revocation is stored: a revoked child goes from IDLE to REFUSED, a quarantined one asks anew.

The parent's end (it looks down), one for each child.

    AWAY         no session
    LIVE         greeted; the session (counter, nonce) is stored
    RENEWING     greeted with an expired certificate: only Renew is served
    QUARANTINED  a clone was seen: nobody is served until an operator releases the node
    REVOKED      no longer part of the fleet: ignored and unanswered, for ever

What a restart means: AWAY for LIVE and RENEWING (the children say Hello again, told by Look through an external
broker); QUARANTINED and REVOKED are stored and stay.
"""

from __future__ import annotations

import enum

from protocol.effects import Action


class ChildState(enum.Enum):
    """Where the child's end of a link stands."""

    IDLE = "idle"
    WAITING = "waiting"
    CONNECTING = "connecting"
    GREETING = "greeting"
    LIVE = "live"
    REFUSED = "refused"


class ChildCue(enum.Enum):
    """What moves a child's end."""

    START = "start"
    STOP = "stop"
    OPENED = "opened"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    WELCOMED = "welcomed"
    AGAIN = "again"
    TURNED_AWAY = "turned away"


class ParentState(enum.Enum):
    """Where the parent's end of a link to one child stands."""

    AWAY = "away"
    LIVE = "live"
    RENEWING = "renewing"
    QUARANTINED = "quarantined"
    REVOKED = "revoked"


class ParentCue(enum.Enum):
    """What moves a parent's end."""

    GREETED = "greeted"
    GREETED_EXPIRED = "greeted with an expired certificate"
    CLOSED = "closed"
    CLONED = "cloned"
    RELEASED = "released"
    REVOKED = "revoked"


_C, _CQ, _P, _PQ = ChildState, ChildCue, ParentState, ParentCue

CHILD: dict[ChildState, dict[ChildCue, ChildState]] = {
    _C.IDLE: {_CQ.START: _C.CONNECTING, _CQ.TURNED_AWAY: _C.REFUSED},
    _C.WAITING: {_CQ.TIMEOUT: _C.CONNECTING, _CQ.TURNED_AWAY: _C.REFUSED, _CQ.STOP: _C.IDLE},
    _C.CONNECTING: {
        _CQ.OPENED: _C.GREETING,
        _CQ.CLOSED: _C.WAITING,
        _CQ.TIMEOUT: _C.WAITING,
        _CQ.TURNED_AWAY: _C.REFUSED,
        _CQ.STOP: _C.IDLE,
    },
    _C.GREETING: {
        _CQ.WELCOMED: _C.LIVE,
        _CQ.CLOSED: _C.WAITING,
        _CQ.TIMEOUT: _C.WAITING,
        _CQ.AGAIN: _C.CONNECTING,
        _CQ.TURNED_AWAY: _C.REFUSED,
        _CQ.STOP: _C.IDLE,
    },
    _C.LIVE: {
        _CQ.CLOSED: _C.WAITING,
        _CQ.TIMEOUT: _C.WAITING,
        _CQ.AGAIN: _C.CONNECTING,
        _CQ.TURNED_AWAY: _C.REFUSED,
        _CQ.STOP: _C.IDLE,
    },
    _C.REFUSED: {_CQ.TIMEOUT: _C.CONNECTING, _CQ.STOP: _C.IDLE},
}

PARENT: dict[ParentState, dict[ParentCue, ParentState]] = {
    _P.AWAY: {
        _PQ.GREETED: _P.LIVE,
        _PQ.GREETED_EXPIRED: _P.RENEWING,
        _PQ.CLONED: _P.QUARANTINED,
        _PQ.REVOKED: _P.REVOKED,
    },
    _P.LIVE: {
        _PQ.GREETED: _P.LIVE,
        _PQ.GREETED_EXPIRED: _P.RENEWING,
        _PQ.CLOSED: _P.AWAY,
        _PQ.CLONED: _P.QUARANTINED,
        _PQ.REVOKED: _P.REVOKED,
    },
    _P.RENEWING: {
        _PQ.GREETED: _P.LIVE,
        _PQ.GREETED_EXPIRED: _P.RENEWING,
        _PQ.CLOSED: _P.AWAY,
        _PQ.CLONED: _P.QUARANTINED,
        _PQ.REVOKED: _P.REVOKED,
    },
    _P.QUARANTINED: {_PQ.RELEASED: _P.AWAY, _PQ.REVOKED: _P.REVOKED},
    _P.REVOKED: {},
}

ORDER = ("audit", "state", "relay_audit", "relay_state", "metrics", "logs", "relay_metrics", "relay_logs")
"""Classes by rank: what goes first when the link returns, and what is given up last (INVARIANTS A16)."""


class Connect(Action, frozen=True, kw_only=True):
    """Connect the transport; `session` and `nonce` also stand in the will. Opened or Closed follows."""

    session: int
    nonce: str


class Disconnect(Action, frozen=True, kw_only=True):
    """Close the transport of `session`; Closed follows, late."""

    session: int
    reason: str
