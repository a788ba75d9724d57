"""When to renew the certificate of this hub's CA, which its parent issues: early, with jitter, until it is done (C15).

What else this hub has of certificates it issues itself (hub.shell.authority); an expired CA stops nothing here: its
parent serves nothing but the renewal then, and what runs below goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hub.core import inputs
from protocol import limits
from protocol.effects import Action, Effects, Now
from protocol.entropy import Entropy
from protocol.link.child import Child


class CsrMade(inputs.UpInput, frozen=True, kw_only=True):
    """The answer to MakeCsr (PEM)."""

    csr: str


class CertificateStored(inputs.UpInput, frozen=True, kw_only=True):
    """The answer to StoreCertificate; milliseconds since 1970."""

    from_ms: int
    until_ms: int


class MakeCsr(Action, frozen=True, kw_only=True):
    """Make a certificate request for the key of this hub's CA; CsrMade follows."""


class StoreCertificate(Action, frozen=True, kw_only=True):
    """Check the chain of this hub's CA, store it and use it; CertificateStored follows, or nothing: it is not ours."""

    certificate: str


class Certificate:
    """The renewal of one certificate. Nothing is kept: its dates come from the disk when a life begins."""

    def __init__(self, child: Child, note: Callable[[str, dict[str, Any], Now, Effects], None]) -> None:
        """`note` appends an entry about the parent to the audit: its kind and its body."""
        self._child, self._note = child, note
        self._share = limits.RENEW_AT_SHARE
        self._until_ms = self._renew_ms = 0
        self._retry_at, self._due = 0.0, math.inf
        self._connected = False
        self.problem = ""
        """Why the last try gave no certificate."""

    def start(self, entropy: Entropy, from_ms: int, until_ms: int) -> None:
        """Take the dates of the certificate in use; 0: not known, and it is renewed when the parent says so."""
        self._share = limits.RENEW_AT_SHARE + 0.1 * entropy.fraction()
        self._dated(from_ms, until_ms)

    def _dated(self, from_ms: int, until_ms: int) -> None:
        early_ms = from_ms + int((until_ms - from_ms) * self._share)
        self._until_ms, self._renew_ms = until_ms, early_ms if until_ms else limits.INTEGER_MAX

    def live(self, renew_only: bool, now: Now, fx: Effects) -> None:
        """The link is up; `renew_only`: the parent says that the certificate has expired."""
        self._connected, self.problem, self._retry_at = True, "", now.mono
        if renew_only:
            self._renew_ms = 0
        self.tick(now, fx)

    def offline(self) -> None:
        """The link is down: nothing to ask."""
        self._connected = False

    def tick(self, now: Now, fx: Effects) -> None:
        """Ask for a request when it is time."""
        if self._connected and now.mono >= self._retry_at and self._parent_ms(now) >= self._renew_ms:
            self._retry_at = now.mono + limits.RENEW_RETRY_S
            fx.act.append(MakeCsr())
        self._due = math.inf
        if self._connected:
            wait_s = (self._renew_ms - self._parent_ms(now)) / 1000
            self._due = max(self._retry_at, now.mono + min(max(wait_s, 0.0), limits.RENEW_LOOK_S))

    def csr_made(self, csr: str, now: Now, fx: Effects) -> None:
        """Send the request up."""
        self._child.renew(csr, now, fx)

    def renewed(self, certificate: str, fx: Effects) -> None:
        """A chain came: have it checked and stored."""
        fx.act.append(StoreCertificate(certificate=certificate))

    def refused(self, reason: str) -> None:
        """There is none; asked again later."""
        self.problem = reason

    def stored(self, got: CertificateStored, now: Now, fx: Effects) -> None:
        """It is on disk and in use; the link may have to greet again with it (Child.certified)."""
        self.problem = ""
        self._dated(got.from_ms, got.until_ms)
        self._note("ca.renewed", {"from_ms": got.from_ms, "until_ms": got.until_ms}, now, fx)

    def is_expired(self, now: Now) -> bool:
        """Tell whether it has expired, by the best time known."""
        return 0 < self._until_ms < self._parent_ms(now)

    def condition(self, now: Now) -> str:
        """Return what an operator should know, or an empty text."""
        if self.problem:
            return f"the parent gave this hub's CA no new certificate: {self.problem}"
        if self.is_expired(now):
            return "the certificate of this hub's CA has expired; it is renewed at the next contact, and all goes on"
        return ""

    def next_wake(self) -> float:
        """Return when (mono) `tick` is due; inf: not before the link is up."""
        return self._due

    def _parent_ms(self, now: Now) -> int:
        return int(now.wall * 1000) + self._child.offset_ms
