"""The hub's keys on disk, and what is issued with them. The private keys never leave this module (but for TLS's own).

A root hub has the root's key; a hub below another has a CA of its own, which its parent has confined to its scope, so
that it issues while the parent is away. Its CA's chain is renewed by the parent; all that it issues, its own TLS
certificate and its signing certificate too, is its own affair. Dates are the shell's wall clock, and never
before our CA's own: a clock may stand in 1970 (A15). The core decides what may be issued to whom.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.core import inputs
from hub.shell.home import Home
from protocol import limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused, SkerryError, TrustError
from protocol.trust import certificates, chains, renewals, signing


class Authority:
    """The CA, the TLS identity and the signing key of one hub, loaded from its data directory."""

    def __init__(self, home: Home, hub: str) -> None:
        """Load all keys. Raises Refused when one cannot be read, TrustError when one is damaged."""
        self._home = home
        self.hub = hub
        self.root = self._read("root.pem")
        self.root_pin = certificates.spki_hash(self.root)
        self._name = "root" if home.path("root.key").exists() else "ca"
        self._key = certificates.load_key(self._read(f"{self._name}.key"))
        self._take(self._read(f"{self._name}.pem"))
        self.ticket_secret = self._read("ticket.key")
        self._signer: signing.Signer | None = None
        self.tls_key_path, self.tls_chain_path = home.path("hub.key"), home.path("hub.pem")

    def _take(self, chain: bytes) -> None:
        """Go by this chain of our CA. Raises TrustError when it is not ours."""
        found = certificates.identify(chain)
        if certificates.spki_hash(certificates.make_csr(self._key, self.hub)) != found.key:
            name, folder = self._name, self._home.folder
            raise TrustError(f"{name}.key and {name}.pem in {folder} are not a pair: restore both from one backup")
        if self._name == "ca":
            chains.check_issued(chain, "ca", self.hub, self.root_pin)
        self.chain, self.dates = chain, found
        self.scope = certificates.scope_of(chain)

    @property
    def path(self) -> list[str]:
        """The ids of the hubs from the root down to this one."""
        return self.scope.split(".")[-2::-1]

    @property
    def parent_scope(self) -> str:
        """The scope of this hub's parent; of a root, nobody's."""
        return self.scope.partition(".")[2]

    # -------------------------------------------------------------------------------------------- our CA's renewal

    def ca_csr(self) -> str:
        """Return a certificate request (PEM) for the key of this hub's CA."""
        return certificates.make_csr(self._key, self.hub).decode()

    def ca_question(self, parent: str, time_ms: int) -> renewals.Renewal:
        """Return the question for a renewal apart from the link, signed; `time_ms` is the parent's."""
        until_ms, csr = self.dates.until_ms, self.ca_csr()
        asked = renewals.Renewal(node=self.hub, hub=parent, time_ms=time_ms, until_ms=until_ms, csr=csr)
        return renewals.sign(asked, certificates.key_pem(self._key))

    def store_ca(self, chain: str) -> None:
        """Check a renewed chain of this hub's CA (without the root) and go by it; `dates` has its dates then.

        What this hub issued before still holds, for the key is the same; refresh_tls brings its own papers up to it.
        Raises TrustError or TooLarge (it is not ours: nothing has changed), OSError.
        """
        whole = chain.encode() + self.root
        chains.check_issued(whole, "ca", self.hub, self.root_pin, self.parent_scope)
        if certificates.spki_hash(whole) != self.dates.key:
            raise TrustError("the new certificate is for another key than that of this hub's CA: refused")
        synced.write(self._home.path("ca.pem"), whole, 0o644)
        self._take(whole)

    # -------------------------------------------------------------------------------------------- what is issued

    def signer(self) -> signing.Signer:
        """Return the signing key at work, the same one each time: its chain follows that of our CA."""
        if self._signer is None:
            key = certificates.load_signing_key(self._read("signer.key"))
            self._signer = signing.Signer(key, self.hub, self._read("signer.pem"))
        return self._signer

    def issue(self, asked: inputs.IssueCertificate, now_s: float) -> inputs.CertificateIssued:
        """Sign a node's certificate, or a child hub's CA's, if the request is on the key that the core meant."""
        try:
            if certificates.spki_hash(asked.csr) != asked.key:
                raise TrustError("the certificate request is for another key than this node's")
            pem = self._issue(asked, max(now_s, self.dates.from_ms / 1000))
        except SkerryError as error:
            return inputs.CertificateIssued(request=asked.request, node=asked.node, error=str(error))
        found, text = certificates.identify(pem), pem.decode()
        issued = inputs.CertificateIssued(request=asked.request, node=asked.node, certificate=text)
        return msgspec.structs.replace(issued, serial=found.serial, until_ms=found.until_ms)

    def _issue(self, asked: inputs.IssueCertificate, now_s: float) -> bytes:
        if asked.kind == "hub":
            return certificates.issue_ca(asked.csr.encode(), asked.node, self._key, self.chain, now_s)
        return certificates.issue_node(
            asked.csr.encode(), asked.node, self._key, self.chain, now_s, limits.CERTIFICATE_DAYS
        )

    def issue_broker(self, now_s: float) -> tuple[bytes, bytes]:
        """Make a key and a certificate (PEM both) for an external broker of this hub."""
        key, days = certificates.make_key(), limits.HUB_CERTIFICATE_DAYS
        pem = certificates.issue_broker(key.public_key(), self._key, self.chain, now_s, days)
        return certificates.key_pem(key), pem

    def refresh_tls(self, hosts: Sequence[str], now_s: float) -> bool:
        """Re-issue the hub's own TLS certificate when it grows old, does not name `hosts`, or our CA has a new chain;
        tell whether it did. The signing certificate follows that chain too, for whoever is greeted from now on."""
        self._refresh_signer()
        now_s, pem = max(now_s, self.dates.from_ms / 1000), self._read("hub.pem")
        found = certificates.identify(pem)
        old = now_s * 1000 > found.from_ms + (found.until_ms - found.from_ms) * limits.RENEW_AT_SHARE
        nameable = certificates.nameable(hosts, self.chain)
        is_ours = chains.intermediates(pem) == chains.intermediates(self.chain)
        if not old and is_ours and set(nameable) <= certificates.hosts_of(pem):
            return False
        key, days = certificates.load_key(self._read("hub.key")).public_key(), limits.HUB_CERTIFICATE_DAYS
        tls = certificates.issue_hub(key, self.hub, hosts, self._key, self.chain, now_s, days)
        synced.write(self.tls_chain_path, tls, 0o644)
        return True

    def _refresh_signer(self) -> None:
        pem = self._read("signer.pem")
        if chains.intermediates(pem) != chains.intermediates(self.chain):
            renewed = chains.rebased(pem, self.chain)
            synced.write(self._home.path("signer.pem"), renewed, 0o644)
            self.signer().chain = renewed.decode()

    def _read(self, name: str) -> bytes:
        path = self._home.path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise Refused(
                f"{path} cannot be read ({error.strerror}): restore it from a backup, with its owner"
            ) from error
