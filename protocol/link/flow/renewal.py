"""When a child renews the certificate that its parent issues: early, with jitter, and again until it is done (C15).

Over the link as long as there is one. Through a broker an expired certificate is refused before the parent can renew
it, and a revoked child is never answered; which it is, the child cannot tell. So it asks apart, over the parent's API,
where its key alone vouches for it:

    its certificate has expired by the best time known, and a try to connect has failed
    or: for RENEW_APART_AFTER_S it was turned away, or nobody answered its Hello, each time that it tried

then again by decorrelated jitter, one question at a time, until the link is live, a certificate came or it is refused
for good. A peer that cannot be reached at all is no sign of either: the API would not be reached either.

Nothing is kept: the dates come from the disk when a life begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocol import limits
from protocol.effects import Action, Effects, Now
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.flow.inquiry import Inquiry, Times, Try

_TIMES = Times(
    after_s=limits.RENEW_APART_AFTER_S, wait_s_min=limits.RENEW_APART_S_MIN, wait_s_max=limits.RENEW_APART_S_MAX
)


@dataclass(frozen=True, kw_only=True)
class Acts:
    """What a shell is asked: to make a request (PEM), to check and store a chain (PEM), to ask the API apart."""

    make: Action
    store: Callable[[str], Action]
    ask: Action


class Renewal:
    """The renewal of one certificate, in one life."""

    def __init__(self, child: Child, acts: Acts) -> None:
        self._child, self._acts = child, acts
        self._entropy = Entropy(b"")
        self._share = limits.RENEW_AT_SHARE
        self._until_ms = self._renew_ms = 0
        self._retry_at, self._due = 0.0, None
        self._connected = False
        self._inquiry = Inquiry(child, _TIMES, lambda: self._entropy)
        self.problem = ""
        """Why the last try gave no certificate."""

    def start(self, entropy: Entropy, from_ms: int, until_ms: int) -> None:
        """Take the dates of the certificate in use; 0: not known, and it is renewed when the parent says so."""
        self._entropy = entropy
        self._share = limits.RENEW_AT_SHARE + 0.1 * entropy.fraction()
        self._dated(from_ms, until_ms)

    def hurry(self) -> None:
        """It is to be renewed at the first contact."""
        self._renew_ms = 0

    # -------------------------------------------------------------------------------------------- the link

    def live(self, renew_only: bool, now: Now, fx: Effects) -> None:
        """The link is up; `renew_only`: the parent says that the certificate has expired."""
        self._connected, self.problem, self._retry_at = True, "", now.mono
        if renew_only:
            self._renew_ms = 0
        self._renew(now, fx)

    def offline(self) -> None:
        """The link is down: nothing to ask over it."""
        self._connected = False

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._inquiry.closed(turned_away)

    # -------------------------------------------------------------------------------------------- what came

    def csr_made(self, csr: str, now: Now, fx: Effects) -> None:
        """Send the request up."""
        self._child.renew(csr, now, fx)

    def renewed(self, certificate: str, fx: Effects) -> None:
        """A chain came: have it checked and stored."""
        fx.act.append(self._acts.store(certificate))

    def refused(self, reason: str) -> None:
        """There is none; asked again later."""
        self.problem = reason

    def answered(self, certificate: str, refused: str, now: Now, fx: Effects) -> None:
        """The API was asked: a chain, a refusal, or neither. A revocation has come before, as the parent's message."""
        self._inquiry.done()
        if certificate:
            self._inquiry.forget()
            self.renewed(certificate, fx)
            return
        if refused:
            self.refused(refused)
        self._inquiry.again(now)

    def use(self, from_ms: int, until_ms: int) -> None:
        """A chain of these dates is on disk and in use."""
        self.problem = ""
        self._dated(from_ms, until_ms)

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> None:
        """Ask for a request when it is time; see how the link fares, and ask apart when that is."""
        self._renew(now, fx)
        ended = self._inquiry.ended()
        if ended is not None and (self._inquiry.signs(ended is Try.TURNED_AWAY, now) or self.is_expired(now)):
            self._inquiry.plan(now)
        if self._inquiry.begin(now):
            fx.act.append(self._acts.ask)

    def next_wake(self) -> float | None:
        """Return when (mono) `tick` is due, or None."""
        due = (self._due, self._inquiry.next_wake())
        return min((one for one in due if one is not None), default=None)

    def is_expired(self, now: Now) -> bool:
        """Tell whether it has expired, by the best time known."""
        return 0 < self._until_ms < self._parent_ms(now)

    def _dated(self, from_ms: int, until_ms: int) -> None:
        early_ms = from_ms + int((until_ms - from_ms) * self._share)
        self._until_ms, self._renew_ms = until_ms, early_ms if until_ms else limits.INTEGER_MAX

    def _renew(self, now: Now, fx: Effects) -> None:
        wait_ms = self._renew_ms - self._parent_ms(now)
        if self._connected and now.mono >= self._retry_at and wait_ms <= 0:
            self._retry_at = now.mono + limits.RENEW_RETRY_S
            fx.act.append(self._acts.make)
        soon = now.mono + min(max(wait_ms / 1000, 0.0), limits.RENEW_LOOK_S)
        self._due = max(self._retry_at, soon) if self._connected else None

    def _parent_ms(self, now: Now) -> int:
        return int(now.wall * 1000) + self._child.offset_ms
