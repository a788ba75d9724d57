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
from protocol.link.flow.inquiry import Inquiry, Times, Try

_TIMES = Times(
    after_s=limits.RENEW_APART_AFTER_S, wait_s_min=limits.RENEW_APART_S_MIN, wait_s_max=limits.RENEW_APART_S_MAX
)


class Apart:
    """The questions of one life."""

    def __init__(self, ctx: Context, certificate: Certificate) -> None:
        self._certificate = certificate
        self._inquiry = Inquiry(ctx.child, _TIMES, lambda: ctx.entropy)

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    def answered(self, got: inputs.AnsweredApart, now: Now, fx: Effects) -> None:
        """The helper is done. A revocation has come before, as a message of the parent."""
        self._inquiry.done()
        if got.certificate:
            self._inquiry.forget()
            self._certificate.renewed(got.certificate, fx)
            return
        if got.refused:
            self._certificate.refused(got.refused)
        self._inquiry.again(now)

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and ask when it is time."""
        ended = self._inquiry.ended()
        if ended is not None:
            is_long = self._inquiry.signs(ended is Try.TURNED_AWAY, now)
            if is_long or self._certificate.is_expired(now):
                self._inquiry.plan(now)
        if self._inquiry.begin(now):
            fx.act.append(inputs.AskApart())

    def next_wake(self) -> float | None:
        """Return when (mono) the next question is due."""
        return self._inquiry.next_wake()
