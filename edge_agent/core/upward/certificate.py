"""The device's certificate: renewed as every child's (protocol.link.flow.renewal), and what people are told of it."""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.context import Context
from protocol.effects import Effects, Now
from protocol.link.flow.renewal import Acts, Renewal


class CertificateRenewed(msgspec.Struct, frozen=True, kw_only=True):
    """Body of the entry `certificate.renewed`."""

    from_ms: int
    until_ms: int


def _store(chain: str) -> inputs.StoreCertificate:
    return inputs.StoreCertificate(certificate=chain)


class Certificate(Renewal):
    """See the module."""

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx.child, Acts(make=inputs.MakeCsr(), store=_store, ask=inputs.AskApart()))
        self._ctx = ctx

    def refused(self, reason: str) -> None:
        """There is none; asked again later."""
        super().refused(reason)
        self._ctx.changed = True

    def stored(self, got: inputs.CertificateStored, now: Now, fx: Effects) -> None:
        """It is on disk and in use from the next connection on."""
        self.use(got.from_ms, got.until_ms)
        body = CertificateRenewed(from_ms=got.from_ms, until_ms=got.until_ms)
        self._ctx.note("audit", "certificate.renewed", "", body, now, fx)

    def condition(self, now: Now) -> str:
        """Return what a person should know, or an empty text."""
        if self.problem:
            return f"the hub gave no new certificate: {self.problem}"
        if self.is_expired(now):
            return "the certificate has expired; it is renewed at the next contact, and the work here goes on"
        return ""
