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
from protocol.link.table import ChildState

_TRYING = (ChildState.WAITING, ChildState.CONNECTING, ChildState.GREETING)


class AnsweredApart(inputs.UpInput, frozen=True, kw_only=True):
    """How AskApart ended: a `certificate` chain (PEM), or why it was `refused`; neither: not known, or all is well.

    A revocation comes before it, as a message of the parent (inputs.UpGot).
    """

    certificate: str = ""
    refused: str = ""


class AskApart(Action, frozen=True, kw_only=True):
    """Ask the parent's API, apart from the link, how this hub stands; AnsweredApart follows."""


class Apart:
    """The questions of one life. Nothing is kept: a new life finds out anew."""

    def __init__(self, child: Child, certificate: Certificate) -> None:
        self._child, self._certificate = child, certificate
        self._entropy = Entropy(b"")
        self._was = ChildState.IDLE
        self._turned_away = self._asking = False
        self._forget()

    def start(self, entropy: Entropy) -> None:
        """Take the randomness of this life."""
        self._entropy = entropy

    def _forget(self) -> None:
        self._since: float | None = None
        self._due = math.inf
        self._wait_s = limits.RENEW_APART_S_MIN

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._turned_away = turned_away

    def answered(self, got: AnsweredApart, now: Now, fx: Effects) -> None:
        """The shell has asked."""
        self._asking = False
        if got.certificate:
            self._forget()
            self._certificate.renewed(got.certificate, fx)
            return
        if got.refused:
            self._certificate.refused(got.refused)
        if self._child.state is not ChildState.LIVE:
            span = self._wait_s * 3 - limits.RENEW_APART_S_MIN
            wait_s = limits.RENEW_APART_S_MIN + self._entropy.fraction() * span
            self._wait_s = min(limits.RENEW_APART_S_MAX, wait_s)
            self._due = now.mono + self._wait_s

    def tick(self, now: Now, fx: Effects) -> None:
        """See how the link fares, and ask when it is time."""
        state, was = self._child.state, self._was
        self._was = state
        if state is ChildState.LIVE:
            self._forget()
        elif state is ChildState.WAITING and was in (ChildState.CONNECTING, ChildState.GREETING):
            self._failed(was is ChildState.GREETING or self._turned_away, now)
        self._turned_away = False
        if now.mono >= self._due and self._may_ask:
            self._asking, self._due = True, math.inf
            fx.act.append(AskApart())

    def _failed(self, turned_away: bool, now: Now) -> None:
        if not turned_away:
            self._since = None
        elif self._since is None:
            self._since = now.mono
        for_long = self._since is not None and now.mono - self._since >= limits.RENEW_APART_AFTER_S
        if self._due == math.inf and not self._asking and (for_long or self._certificate.is_expired(now)):
            self._due = now.mono + self._entropy.fraction() * limits.RENEW_APART_S_MIN

    @property
    def _may_ask(self) -> bool:
        return not self._asking and self._child.state in _TRYING

    def next_wake(self) -> float:
        """Return when (mono) the next question is due."""
        return self._due if self._may_ask else math.inf
