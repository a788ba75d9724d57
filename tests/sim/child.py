"""What every node has that looks up, a device and a region alike: a key, a certificate, a way to its parent's door."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from hub.core import inputs as hub
from protocol.bundle import head
from protocol.link.anchor import Proof, ProvenAnchor, chain_hash
from protocol.messages import AnyMessage, GapBody
from protocol.trust.gaps import GapSigner
from tests.sim.doors import Attempt
from tests.sim.network import Path
from tests.sim.node import Node

if TYPE_CHECKING:
    from tests.sim.hub import Hub
    from tests.sim.world import World

PIN = "0" * 64


class Trust(ProvenAnchor):
    """The real anchor, and what signs GAPs."""

    def __init__(self, pin: str, gaps: GapSigner) -> None:
        super().__init__(pin)
        self._gaps = gaps

    def sign_gap(self, node: str, epoch: str, stream: str, body: GapBody) -> GapBody:
        """Sign with the node's key."""
        return self._gaps.sign(node, epoch, stream, body)


def _key_pem(world: World, node: str) -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(world.clock.chance("key", node).randbytes(32))
    form, how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, how)


class Child(Node):
    """A node and its link upward. `parent` is the name of its hub; "" at a root, which has no link."""

    def __init__(self, world: World, name: str, parent: str) -> None:
        super().__init__(world, name)
        self.parent = parent
        self.path = Path(world.clock, name)
        self._gaps = GapSigner(_key_pem(world, self.node))
        self.key = hashlib.sha256(base64.b64decode(self._gaps.key)).hexdigest()
        self.certificate = (0, 0)
        """From and until, in milliseconds of its parent's clock."""
        self.ca_key = ""
        """SHA-256 of the key of the CA that it is to have, if it is a hub."""
        self.scope = ""
        """The domain that its certificate stands in."""
        self.invited = ""
        """The token that it was made with from a stick, until it has a certificate."""
        self.revoked = False
        self._attempt: Attempt | None = None
        self._pulling = True

    # -------------------------------------------------------------------------------------------- its core's words

    def opened(self, session: int) -> object:
        """Return the input that says that the transport is connected."""
        raise NotImplementedError

    def closed(self, session: int, reason: str) -> object:
        """Return the input that says that the transport is over."""
        raise NotImplementedError

    def got(self, message: AnyMessage) -> object:
        """Return the input that is a message of the parent."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------- who it is

    @property
    def home(self) -> Hub:
        """Its parent."""
        return self.world.hubs[self.parent]

    @property
    def csr(self) -> str:
        """What it has its certificate signed on."""
        return f"CSR {self.node} {self.key}"

    @property
    def ca_csr(self) -> str:
        """What it has its CA signed on; "" for a device."""
        return f"CSR {self.node} {self.ca_key}" if self.ca_key else ""

    def boot(self) -> None:
        """Begin a life, once it is enrolled, or invited."""
        if self.certificate[1] or self.invited or not self.parent:
            super().boot()

    def hold(self, certificate: str) -> None:
        """Keep a certificate as Hub.perform issues it."""
        self.invited = ""
        _, from_ms, until_ms = certificate.split()
        self.certificate, self.scope = (int(from_ms), int(until_ms)), self.home.domain

    def trust(self) -> Trust:
        """Return the real anchor, which has proven the parent's signing key."""
        home = self.home
        trust = Trust(PIN, self._gaps)
        chain = chain_hash(home.signer.chain)
        trust.take(Proof(root=PIN, parent=home.node, chain=chain, key=home.public_key.hex()))
        return trust

    def apart(self, heard: Callable[[hub.Standing], None]) -> None:
        """Ask the parent's API how this node stands, as its notary does: over the same network."""
        life = self.life

        def answered(said: object, error: str) -> None:
            if life == self.life:
                heard(msgspec.convert(said or {}, hub.Standing))

        def asked() -> None:
            if not self.path.is_open:
                answered(None, "")
                return
            key, csr = (self.ca_key, self.ca_csr) if self.ca_key else (self.key, self.csr)
            self.home.ask(hub.Renew(node=self.node, key=key, csr=csr, until_ms=self.certificate[1]), answered)

        self.clock.after(self.chance.uniform(0.1, 5.0), asked)

    def sign(self, way: str, hub: str, hashed: str) -> head.Proof:
        """Return the proof by the node's key of a bundle whose first line has the hash `hashed`."""
        covered = head.covered(way, hub, self.node, hashed, self._gaps.key)
        return head.Proof(key=self._gaps.key, signature=self._gaps.signature(covered))

    # -------------------------------------------------------------------------------------------- the link

    def dial(self, session: int, nonce: str) -> None:
        """As protocol.aio.mqtt: a new session ends the one before."""
        if self._pulling:
            self.leave("a new session begins")
            self._attempt = Attempt(self, session, nonce)
            self.home.door.dial(self._attempt)

    def leave(self, reason: str) -> None:
        """End the session, if there is one."""
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.leave(reason)

    def stop_pulling(self, reason: str) -> None:
        """Connect no more in this life."""
        self._pulling = False
        self.leave(reason)

    def started_to_pull(self) -> None:
        """A life begins."""
        self._pulling = True

    def hang_up(self, how: str) -> None:
        """The process is gone."""
        if self._attempt is not None:
            self._attempt.vanish(flushed=how != "power")
            self._attempt = None

    def send_up(self, message: AnyMessage) -> None:
        """Send to the parent, if a session is there."""
        if self._attempt is not None:
            self._attempt.send(message)

    def on_opened(self, attempt: Attempt) -> None:
        """The transport is connected."""
        if attempt.life == self.life:
            self.put(self.opened(attempt.session))

    def on_closed(self, attempt: Attempt, reason: str) -> None:
        """The transport is over."""
        if self._attempt is attempt:
            self._attempt = None
        if attempt.life == self.life:
            self.put(self.closed(attempt.session, reason))

    def on_got(self, message: AnyMessage) -> None:
        """A message of the parent."""
        self.put(self.got(message))
