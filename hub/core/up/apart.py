"""When to ask the parent's API how this hub stands, because its link is not to be had (INVARIANTS C15, C5).

As of a device (decision 0024): through a broker an expired CA is refused before the parent can renew it, and a revoked
hub is never answered. So this hub asks apart, where the key of its CA alone vouches for it: when that has expired and a
try to connect failed, or when for RENEW_APART_AFTER_S each try was turned away or unanswered; then again by
decorrelated jitter, one question at a time.
"""

from __future__ import annotations

import math

from hub.core import inputs
from hub.core.up.certificate import Certificate
from protocol import limits
from protocol.effects import Action, Effects, Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.flow.inquiry import Inquiry, Times, Try

_TIMES = Times(
    after_s=limits.RENEW_APART_AFTER_S, wait_s_min=limits.RENEW_APART_S_MIN, wait_s_max=limits.RENEW_APART_S_MAX
)


class AnsweredApart(inputs.UpInput, frozen=True, kw_only=True):
    """How AskApart ended: a `certificate` chain (PEM), or why it was `refused`; neither: not known, or all is well.

    A revocation comes before it, as a message of the parent (inputs.UpGot).
    """

    certificate: str = ""
    refused: str = ""


class AskApart(Action, frozen=True, kw_only=True):
    """Ask the parent's API, apart from the link, how this hub stands; AnsweredApart follows."""


class Apart:
    """The questions of one life."""

    def __init__(self, child: Child, certificate: Certificate) -> None:
        self._certificate = certificate
        self._entropy = Entropy(b"")
        self._inquiry = Inquiry(child, _TIMES, lambda: self._entropy)

    def start(self, entropy: Entropy) -> None:
        """Take the randomness of this life."""
        self._entropy = entropy

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    def answered(self, got: AnsweredApart, now: Now, fx: Effects) -> None:
        """The shell has asked."""
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
            fx.act.append(AskApart())

    def next_wake(self) -> float:
        """Return when (mono) the next question is due."""
        due = self._inquiry.next_wake()
        return math.inf if due is None else due
