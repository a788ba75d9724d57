"""The hub's keys on disk, and what is issued with them. The private keys never leave this module (but for TLS's own).

The root's key signs nodes' certificates for as long as the root hub is its own only authority; dates are the shell's
wall clock, and the core decides what may be issued to whom.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Sequence

import psutil

from hub.core import inputs
from hub.shell.home import Home
from protocol import limits
from protocol.aio.upkeep import synced
from protocol.errors import Refused, SkerryError, TrustError
from protocol.trust import certificates, signing

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
_HOSTS_MAX = 64


class Authority:
    """The CA, the TLS identity and the signing key of one hub, loaded from its data directory."""

    def __init__(self, home: Home, hub: str) -> None:
        """Load all keys. Raises Refused when one cannot be read, TrustError when one is damaged."""
        self._home = home
        self.hub = hub
        self.root = self._read("root.pem")
        self.root_pin = certificates.spki_hash(self.root)
        self._key = certificates.load_key(self._read("root.key"))
        if certificates.spki_hash(certificates.make_csr(self._key, hub)) != self.root_pin:
            raise TrustError(f"root.key and root.pem in {home.folder} are not a pair: restore both from one backup")
        self.ticket_secret = self._read("ticket.key")
        self.tls_key_path = home.path("hub.key")
        self.tls_chain_path = home.path("hub.pem")

    def signer(self) -> signing.Signer:
        """Return the signing key at work."""
        key = certificates.load_signing_key(self._read("signer.key"))
        return signing.Signer(key, self.hub, self._read("signer.pem"))

    def issue(self, asked: inputs.IssueCertificate, now_s: float) -> inputs.CertificateIssued:
        """Sign a node's certificate, if its request is for the key that the core meant; an `error` otherwise."""
        try:
            if certificates.spki_hash(asked.csr) != asked.key:
                raise TrustError("the certificate request is for another key than this node's")
            pem = certificates.issue_node(
                asked.csr.encode(), asked.node, self._key, self.root, now_s, limits.CERTIFICATE_DAYS
            )
        except SkerryError as error:
            return inputs.CertificateIssued(request=asked.request, node=asked.node, error=str(error))
        identity = certificates.identify(pem)
        return inputs.CertificateIssued(
            request=asked.request,
            node=asked.node,
            certificate=pem.decode(),
            serial=identity.serial,
            until_ms=identity.until_ms,
        )

    def issue_broker(self, now_s: float) -> tuple[bytes, bytes]:
        """Make a key and a certificate (PEM both) for an external broker of this hub."""
        key = certificates.make_key()
        days = limits.HUB_CERTIFICATE_DAYS
        pem = certificates.issue_broker(key.public_key(), self.hub, self._key, self.root, now_s, days)
        return certificates.key_pem(key), pem

    def refresh_tls(self, hosts: Sequence[str], now_s: float) -> bool:
        """Re-issue the hub's own TLS certificate when it grows old or does not name `hosts`; tell whether it did."""
        pem = self._read("hub.pem")
        found = certificates.identify(pem)
        life_s = (found.until_ms - found.from_ms) / 1000
        old = now_s > found.from_ms / 1000 + life_s * limits.RENEW_AT_SHARE
        if not old and set(hosts) <= certificates.hosts_of(pem):
            return False
        synced.write(self.tls_chain_path, self._tls(hosts, now_s), 0o644)
        return True

    def _tls(self, hosts: Sequence[str], now_s: float) -> bytes:
        key = certificates.load_key(self._read("hub.key")).public_key()
        days = limits.HUB_CERTIFICATE_DAYS
        return certificates.issue_hub(key, self.hub, hosts, self._key, self.root, now_s, days)

    def _read(self, name: str) -> bytes:
        try:
            return self._home.path(name).read_bytes()
        except OSError as error:
            path = self._home.path(name)
            raise Refused(
                f"{path} cannot be read ({error.strerror}): restore it from a backup, with its owner"
            ) from error


def create(home: Home, hub: str, hosts: Sequence[str], now_s: float) -> Authority:
    """Make a new CA with all its keys in `home`, which must be an empty directory of ours."""
    root_key = certificates.make_key()
    root = certificates.make_root(root_key, hub, now_s)
    tls_key = certificates.make_key()
    days = limits.HUB_CERTIFICATE_DAYS
    signing_key, chain = certificates.make_signer(hub, root_key, root, now_s)
    synced.write(home.path("root.key"), certificates.key_pem(root_key))
    synced.write(home.path("root.pem"), root, 0o644)
    synced.write(home.path("hub.key"), certificates.key_pem(tls_key))
    tls = certificates.issue_hub(tls_key.public_key(), hub, hosts, root_key, root, now_s, days)
    synced.write(home.path("hub.pem"), tls, 0o644)
    synced.write(home.path("signer.key"), certificates.key_pem(signing_key))
    synced.write(home.path("signer.pem"), chain, 0o644)
    synced.write(home.path("ticket.key"), secrets.token_bytes(32))
    return Authority(home, hub)


def hosts_of_machine(*more: str) -> list[str]:
    """Return the names and addresses by which this machine may be reached, and `more` but for wildcards; sorted."""
    found = {"localhost", "127.0.0.1", "::1"}
    name = socket.gethostname()
    found.update([name] if _HOST.fullmatch(name) else [])
    found.update(host for host in more if host not in _WILDCARDS and (":" in host or _HOST.fullmatch(host)))
    for addresses in psutil.net_if_addrs().values():
        found.update(one.address for one in addresses if one.family is socket.AF_INET)
        found.update(one.address for one in addresses if one.family is socket.AF_INET6 and "%" not in one.address)
    return sorted(found)[:_HOSTS_MAX]
