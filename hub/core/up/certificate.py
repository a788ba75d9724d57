"""The certificate of this hub's CA, renewed as every child's (protocol.link.flow.renewal); what operators hear of it.

What else this hub has of certificates it issues itself (hub.shell.authority); an expired CA stops nothing here: its
parent serves nothing but the renewal then, and what runs below goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.core import inputs
from protocol.effects import Action, Effects, Now
from protocol.link.child import Child
from protocol.link.flow.renewal import Acts, Renewal


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


class AnsweredApart(inputs.UpInput, frozen=True, kw_only=True):
    """How AskApart ended: a `certificate` chain (PEM), or why it was `refused`; neither: not known, or all is well.

    A revocation comes before it, as a message of the parent (inputs.UpGot).
    """

    certificate: str = ""
    refused: str = ""


class AskApart(Action, frozen=True, kw_only=True):
    """Ask the parent's API, apart from the link, how this hub stands; AnsweredApart follows."""


def _store(chain: str) -> StoreCertificate:
    return StoreCertificate(certificate=chain)


class Certificate(Renewal):
    """See the module."""

    def __init__(self, child: Child, note: Callable[[str, dict[str, Any], Now, Effects], None]) -> None:
        """`note` appends an entry about the parent to the audit: its kind and its body."""
        super().__init__(child, Acts(make=MakeCsr(), store=_store, ask=AskApart()))
        self._note = note

    def stored(self, got: CertificateStored, now: Now, fx: Effects) -> None:
        """It is on disk and in use; the link may have to greet again with it (Child.certified)."""
        self.use(got.from_ms, got.until_ms)
        self._note("ca.renewed", {"from_ms": got.from_ms, "until_ms": got.until_ms}, now, fx)

    def condition(self, now: Now) -> str:
        """Return what an operator should know, or an empty text."""
        if self.problem:
            return f"the parent gave this hub's CA no new certificate: {self.problem}"
        if self.is_expired(now):
            return "the certificate of this hub's CA has expired; it is renewed at the next contact, and all goes on"
        return ""
