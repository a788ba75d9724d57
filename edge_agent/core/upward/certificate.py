"""When to renew the device's certificate: early, with jitter, and again until it is done (INVARIANTS C15)."""

from __future__ import annotations

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.context import Context
from protocol import limits
from protocol.effects import Effects, Now


class CertificateRenewed(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `certificate.renewed`."""

    from_ms: int
    until_ms: int


class Certificate:
    """The renewal of one certificate. Nothing is kept: its dates come from the disk with Started."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._until_ms = 0
        self._renew_ms = 0
        self._retry_at = 0.0
        self._connected = False
        self.problem = ""
        """Why the last try gave no certificate."""

    def start(self, from_ms: int, until_ms: int) -> None:
        """Take the dates of the certificate in use."""
        share = limits.RENEW_AT_SHARE + 0.1 * self._ctx.entropy.fraction()
        self._until_ms = until_ms
        self._renew_ms = from_ms + int((until_ms - from_ms) * share)

    def hurry(self) -> None:
        """It is to be renewed at the first contact."""
        self._renew_ms = 0

    def live(self, renew_only: bool, now: Now, fx: Effects) -> None:
        """The link is up; `renew_only`: the parent says that the certificate has expired."""
        self._connected = True
        self.problem = ""
        self._retry_at = now.mono
        if renew_only:
            self._renew_ms = 0
        self.tick(now, fx)

    def offline(self) -> None:
        """The link is down: nothing to ask."""
        self._connected = False

    def tick(self, now: Now, fx: Effects) -> None:
        """Ask for a CSR when it is time."""
        if self._connected and now.mono >= self._retry_at and self._parent_ms(now) >= self._renew_ms:
            self._retry_at = now.mono + limits.RENEW_RETRY_S
            fx.act.append(inputs.MakeCsr())

    def csr_made(self, csr: str, now: Now, fx: Effects) -> None:
        """Send the CSR up."""
        self._ctx.child.renew(csr, now, fx)

    def renewed(self, certificate: str, fx: Effects) -> None:
        """A certificate came: verify and store it."""
        fx.act.append(inputs.StoreCertificate(certificate=certificate))

    def refused(self, reason: str) -> None:
        """There is none; asked again later."""
        self.problem = reason
        self._ctx.changed = True

    def stored(self, got: inputs.CertificateStored, now: Now, fx: Effects) -> None:
        """It is on disk and in use from the next connection on."""
        self.problem = ""
        self.start(got.from_ms, got.until_ms)
        body = CertificateRenewed(from_ms=got.from_ms, until_ms=got.until_ms)
        self._ctx.note("audit", "certificate.renewed", "", body, now, fx)

    def is_expired(self, now: Now) -> bool:
        """Tell whether it has expired, by the best time known."""
        return 0 < self._until_ms < self._parent_ms(now)

    def condition(self, now: Now) -> str:
        """Return what a person should know, or an empty text."""
        if self.problem:
            return f"the hub gave no new certificate: {self.problem}"
        if self.is_expired(now):
            return "the certificate has expired; it is renewed at the next contact, and the work here goes on"
        return ""

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) a renewal is due."""
        if not self._connected:
            return None
        at_ms = self._renew_ms - self._ctx.child.offset_ms
        return max(self._retry_at, now.mono + min(max(at_ms / 1000 - now.wall, 0.0), limits.RENEW_LOOK_S))

    def _parent_ms(self, now: Now) -> int:
        return context.ms(now) + self._ctx.child.offset_ms
