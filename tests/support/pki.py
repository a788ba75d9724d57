"""A root, a hub and devices on paper, in a temporary folder; made as enrollment makes them."""

from __future__ import annotations

import functools
import ssl
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.aio import tls
from protocol.trust import certificates, signing

DAYS = 30


class Pki:
    """The authority of one hub, `hub`, whose files lie in `folder`."""

    def __init__(self, folder: Path, hub: str = "hub") -> None:
        self.folder, self.hub = folder, hub
        self.ca_key = certificates.make_key()
        self.root = certificates.make_root(self.ca_key, hub, time.time())
        self.root_path = self._write("root.pem", self.root)
        key = certificates.make_key()
        self._write("hub.key", certificates.key_pem(key))
        hosts = ["127.0.0.1", "localhost"]
        issued = certificates.issue_hub(key.public_key(), hub, hosts, self.ca_key, self.root, time.time(), DAYS)
        self._write("hub.pem", issued)
        signing_key, chain = certificates.make_signer(hub, self.ca_key, self.root, time.time())
        self.signer = signing.Signer(signing_key, hub, chain)

    def parent_context(self) -> ssl.SSLContext:
        """The hub's TLS context."""
        return tls.parent_context(chain=self.folder / "hub.pem", key=self.folder / "hub.key", root=self.root_path)

    def hub_client_context(self, name: str) -> ssl.SSLContext:
        """The hub's TLS context as a client of a broker called `name`."""
        chain, key = self.folder / "hub.pem", self.folder / "hub.key"
        return tls.child_context(chain=chain, key=key, root=self.root_path, name=name)

    @functools.lru_cache  # noqa: B019 - lives as long as the test session
    def device(self, node: str, *, days: int = DAYS, issued_s: float = 0.0) -> Device:
        """A device with a key and a certificate of this root, issued `issued_s` seconds before now."""
        key = certificates.make_key()
        csr = certificates.make_csr(key, node)
        chain = certificates.issue_node(csr, node, self.ca_key, self.root, time.time() - issued_s, days)
        self._write(f"{node}.key", certificates.key_pem(key))
        self._write(f"{node}.pem", chain)
        return Device(self, node, key, chain)

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


class Device:
    """One enrolled device's files."""

    def __init__(self, pki: Pki, node: str, key: ec.EllipticCurvePrivateKey, chain: bytes) -> None:
        self.pki, self.node, self.key, self.chain = pki, node, key, chain.decode()
        self.key_path, self.chain_path = pki.folder / f"{node}.key", pki.folder / f"{node}.pem"
        self.key_hash = certificates.spki_hash(chain)

    def context(self, name: str = "") -> ssl.SSLContext:
        """The device's TLS context; `name`: of the hub or broker it demands."""
        name = name or self.pki.hub
        return tls.child_context(chain=self.chain_path, key=self.key_path, root=self.pki.root_path, name=name)

    def sign(self, covered: bytes) -> bytes:
        """Sign with the device's key."""
        return self.key.sign(covered, ec.ECDSA(hashes.SHA256()))
