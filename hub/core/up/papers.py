"""What this hub has of its parent: the certificate of its CA, renewed over the link or apart from it; its address."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hub.core.up.certificate import AnsweredApart, Certificate, CertificateStored, CsrMade
from hub.core.up.seek import Seeking, Sought
from protocol.effects import Effects, Now
from protocol.entropy import Entropy
from protocol.link import events
from protocol.link.child import Child

Answer = CsrMade | CertificateStored | AnsweredApart | Sought
"""What the shell tells of them."""


class Papers:
    """Who hears what of certificates, and of where the parent is."""

    def __init__(self, child: Child, note: Callable[[str, dict[str, Any], Now, Effects], None]) -> None:
        self._child = child
        self._certificate = Certificate(child, note)
        self.seeking = Seeking(child, note)

    def start(self, entropy: Entropy, from_ms: int, until_ms: int) -> None:
        """A life begins with a certificate of these dates; 0: they are not known."""
        self._certificate.start(entropy, from_ms, until_ms)
        self.seeking.start(entropy)

    def closed(self, turned_away: bool) -> None:
        """The transport ended; the link has not been told yet."""
        self._certificate.closed(turned_away)
        self.seeking.closed(turned_away)

    def told(self, event: events.ChildEvent, now: Now, fx: Effects) -> None:
        """The link tells something."""
        match event:
            case events.WentLive(renew_only=renew_only):
                self._certificate.live(renew_only, now, fx)
            case events.WentOffline():
                self._certificate.offline()
            case events.Renewed(certificate=certificate):
                self._certificate.renewed(certificate, fx)
            case events.RenewRefused(reason=reason):
                self._certificate.refused(reason)
            case _:
                pass

    def answered(self, answer: Answer, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """The shell has done what was asked; return what the link tells of it."""
        match answer:
            case CsrMade(csr=csr):
                self._certificate.csr_made(csr, now, fx)
            case AnsweredApart(certificate=certificate, refused=refused):
                self._certificate.answered(certificate, refused, now, fx)
            case Sought():
                self.seeking.sought(answer, now, fx)
            case CertificateStored():
                self._certificate.stored(answer, now, fx)
                return self._child.certified(now, fx)
        return []

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due."""
        self._certificate.tick(now, fx)
        self.seeking.tick(now, fx)

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        due = self._certificate.next_wake()
        return min(math.inf if due is None else due, self.seeking.next_wake())

    def condition(self, now: Now) -> str:
        """Return what an operator should know, or an empty text."""
        return self._certificate.condition(now)
