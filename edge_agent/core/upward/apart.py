"""When to ask the hub's API how this device stands, because its link is not to be had (INVARIANTS C15, C5).

Through a broker an expired certificate is refused before the hub can renew it, and a revoked device is never answered.
Which it is, the device cannot tell; so it asks apart, over the API, where its key alone vouches for it:

    its certificate has expired by the best time known, and a try to connect has failed
    or: for RENEW_APART_AFTER_S it was turned away, or nobody answered its Hello, each time that it tried

then again by decorrelated jitter, one question at a time, until the link is live, a certificate came or it is refused
for good. A peer that cannot be reached at all is no sign of either: the API would not be reached either.
"""

from __future__ import annotations

from edge_agent.core import inputs
from edge_agent.core.context import Context
from edge_agent.core.upward.certificate import Certificate
from protocol import limits
from protocol.effects import Effects, Now
from protocol.link.table import ChildState

_TRYING = (ChildState.WAITING, ChildState.CONNECTING, ChildState.GREETING)


class Apart:
    """The questions of one life. Nothing is kept: a new life finds out anew."""

    def __init__(self, ctx: Context, certificate: Certificate) -> None:
        self._ctx = ctx
        self._certificate = certificate
        self._was = ChildState.IDLE
        self._turned_away = False
        self._asking = False
        self._forget()

    def _forget(self) -> None:
        self._since: float | None = None
        self._due: float | None = None
        self._wait_s = limits.RENEW_APART_S_MIN

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._turned_away = turned_away

    def answered(self, got: inputs.AnsweredApart, now: Now, fx: Effects) -> None:
        """The helper is done. A revocation has come before, as a message of the parent."""
        self._asking = False
        if got.certificate:
            self._forget()
            self._certificate.renewed(got.certificate, fx)
            return
        if got.refused:
            self._certificate.refused(got.refused)
        if self._ctx.child.state is ChildState.LIVE:
            return
        span = self._wait_s * 3 - limits.RENEW_APART_S_MIN
        wait_s = limits.RENEW_APART_S_MIN + self._ctx.entropy.fraction() * span
        self._wait_s = min(limits.RENEW_APART_S_MAX, wait_s)
        self._due = now.mono + self._wait_s

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and ask when it is time."""
        state, was = self._ctx.child.state, self._was
        self._was = state
        if state is ChildState.LIVE:
            self._forget()
        elif state is ChildState.WAITING and was in (ChildState.CONNECTING, ChildState.GREETING):
            self._failed(was is ChildState.GREETING or self._turned_away, now)
        self._turned_away = False
        if self._due is not None and now.mono >= self._due and self._may_ask:
            self._asking, self._due = True, None
            fx.act.append(inputs.AskApart())

    def _failed(self, turned_away: bool, now: Now) -> None:
        if not turned_away:
            self._since = None
        elif self._since is None:
            self._since = now.mono
        for_long = self._since is not None and now.mono - self._since >= limits.RENEW_APART_AFTER_S
        if self._due is None and not self._asking and (for_long or self._certificate.is_expired(now)):
            self._due = now.mono + self._ctx.entropy.fraction() * limits.RENEW_APART_S_MIN

    @property
    def _may_ask(self) -> bool:
        return not self._asking and self._ctx.child.state in _TRYING

    def next_wake(self) -> float | None:
        """Return when (mono) the next question is due."""
        return self._due if self._may_ask else None
