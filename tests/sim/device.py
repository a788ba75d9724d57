"""A device: its machine, its agent's daemon around the real core, its link, its certificate."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, cast

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from edge_agent.core import inputs
from edge_agent.core.agent import STREAMS, AgentConfig, AgentCore
from hub.core import inputs as hub
from protocol import limits, status
from protocol.aio.journal import Journal
from protocol.effects import Action
from protocol.link.anchor import Proof, ProvenAnchor, chain_hash
from protocol.messages import AnyMessage, GapBody
from protocol.trust.gaps import GapSigner
from tests.sim.doors import Attempt
from tests.sim.machine import Load, Machine
from tests.sim.network import Path
from tests.sim.node import Core, Node

if TYPE_CHECKING:
    from tests.sim.world import World

PARENT = "cloud"
PIN = "0" * 64


class _Trust(ProvenAnchor):
    """The real anchor, and what signs GAPs."""

    def __init__(self, pin: str, gaps: GapSigner) -> None:
        super().__init__(pin)
        self._gaps = gaps

    def sign_gap(self, node: str, epoch: str, stream: str, body: GapBody) -> GapBody:
        """Sign with the device's key."""
        return self._gaps.sign(node, epoch, stream, body)


def _key_pem(world: World, node: str) -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(world.clock.chance("key", node).randbytes(32))
    form, how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, how)


class Device(Node):
    """One device. A clone is another device with the same node id and key."""

    role = "agent"
    tick = inputs.Tick()

    def __init__(self, world: World, name: str, load: Load) -> None:
        super().__init__(world, name)
        self.path = Path(world.clock, name)
        self.machine = Machine(name, world.clock, self.note, load)
        self._gaps = GapSigner(_key_pem(world, self.node))
        self.key = hashlib.sha256(base64.b64decode(self._gaps.key)).hexdigest()
        self.certificate = (0, 0)
        """From and until, in milliseconds of the hub's clock."""
        self.artifacts: dict[str, None] = {}
        self.revoked = False
        self._attempt: Attempt | None = None
        self._pulling = True
        self._requests = 0

    def boot(self) -> None:
        """Begin a life, once it is enrolled."""
        if self.certificate[1]:
            super().boot()

    @property
    def agent(self) -> AgentCore:
        """The core of now."""
        return cast("AgentCore", self.core)

    # -------------------------------------------------------------------------------------------- a life

    def open_journal(self) -> Journal:
        """As the agent's app opens its journal."""
        return self.disk.open(
            node=self.node,
            streams=STREAMS,
            telemetry=True,
            mint=lambda: self.chance.randbytes(8).hex(),
            boot=self._boot_id(),
        )

    def make_core(self) -> Core:
        """The real core, with the real anchor that has proven the hub's signing key."""
        chain = self.world.hub.signer.chain
        trust = _Trust(PIN, self._gaps)
        trust.take(Proof(root=PIN, parent=PARENT, chain=chain_hash(chain), key=self.world.hub.public_key.hex()))
        labels = {"site": self.world.site_of(self.node)}
        quota = self.world.plan.quota_bytes
        config = AgentConfig(node=self.node, parent=PARENT, trust=trust, labels=labels, quota_bytes=quota)
        return cast("Core", AgentCore(self.journal.snapshot(), config))

    def started(self) -> inputs.Started:
        """As the agent's app: what is found, then watched."""
        from_ms, until_ms = self.certificate
        started = inputs.Started(
            boot_id=self._boot_id(),
            entropy=self.chance.randbytes(32),
            version="0.1.0",
            found=self.machine.found(),
            artifacts=list(self.artifacts),
            platform={"machine": "sim"},
            certificate_from_ms=from_ms,
            certificate_until_ms=until_ms,
        )
        self._pulling = True
        self.machine.leave()
        life = self.life
        self.clock.after(0.001, lambda: self._watch(life))
        return started

    def _watch(self, life: int) -> None:
        if life == self.life:
            self.machine.watch(self._report)
            self._measure(life)

    def _report(self, event: inputs.Input) -> None:
        self.put(event)

    def _measure(self, life: int) -> None:
        if life == self.life:
            self.put(inputs.Sampled(vitals=status.Vitals()))
            self.clock.after(limits.VITALS_EVERY_S, lambda: self._measure(life))

    def _boot_id(self) -> str:
        return f"{self.name}/boot-{self.boots}"

    def ended(self, how: str) -> None:
        """The process is gone, its workloads are not."""
        self.machine.leave()
        if self._attempt is not None:
            self._attempt.vanish(flushed=how != "power")
            self._attempt = None

    def dropped(self) -> None:
        """As the agent's app: the callers are told."""
        self.machine.lost()

    def local(self, command: inputs.LocalCommand) -> None:
        """A person at the device asks."""
        self._requests += 1
        self.put(inputs.Local(request=self._requests, user="ada", uid=1001, command=command))

    # -------------------------------------------------------------------------------------------- the link

    def transport(self, peer: str, message: AnyMessage) -> None:
        """As protocol.aio.mqtt."""
        if self._attempt is not None:
            self._attempt.send(message)

    def on_opened(self, attempt: Attempt) -> None:
        """The transport is connected."""
        if attempt.life == self.life:
            self.put(inputs.Opened(session=attempt.session))

    def on_closed(self, attempt: Attempt, reason: str) -> None:
        """The transport is over."""
        if self._attempt is attempt:
            self._attempt = None
        if attempt.life == self.life:
            self.put(inputs.Closed(session=attempt.session, reason=reason))

    def on_got(self, message: AnyMessage) -> None:
        """A message of the parent."""
        self.put(inputs.Got(message=message))

    # -------------------------------------------------------------------------------------------- actions

    def perform(self, action: Action) -> None:
        """As the agent's app."""
        machine = self.machine
        match action:
            case inputs.EmitAck():
                machine.acked(action)
            case inputs.Launch():
                machine.launch(action)
            case inputs.Stop():
                machine.stop(action)
            case inputs.Forget(instance=instance):
                machine.forget(instance)
            case inputs.RunProbe():
                machine.probe(action)
            case inputs.Fetch():
                self._fetch(action)
            case inputs.Collect():
                self.artifacts = {one: None for one in self.artifacts if one in action.keep}
            case inputs.ReadLogs(ask=ask):
                self.put(inputs.LogRead(ask=ask, part=0, last=True, lines=["a line"]))
            case inputs.LocalReply():
                pass
            case _:
                self._perform_for_link(action)

    def _perform_for_link(self, action: Action) -> None:
        match action:
            case inputs.Connect():
                if self._pulling:
                    self._leave("a new session begins")
                    self._attempt = Attempt(self, action.session, action.nonce)
                    self.world.door.dial(self._attempt)
            case inputs.Disconnect(reason=reason):
                self._leave(reason)
            case inputs.StopPulling(reason=reason):
                self._pulling = False
                self._leave(reason)
            case inputs.MakeCsr():
                self.put(inputs.CsrMade(csr=f"CSR {self.node} {self.key}"))
            case inputs.AskApart():
                self._ask_apart()
            case inputs.StoreCertificate(certificate=certificate):
                _, from_ms, until_ms = certificate.split()
                self.certificate = (int(from_ms), int(until_ms))
                self.put(inputs.CertificateStored(from_ms=int(from_ms), until_ms=int(until_ms)))
            case _:
                raise AssertionError(f"nobody performs {action}")

    def _leave(self, reason: str) -> None:
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.leave(reason)

    def _ask_apart(self) -> None:
        """As the notary: over the hub's API, on the same network."""
        life = self.life

        def answered(said: object, error: str) -> None:
            if life == self.life:
                standing = msgspec.convert(said or {}, hub.Standing)
                if standing.revoked is not None:
                    self.put(inputs.Got(message=standing.revoked))
                self.put(inputs.AnsweredApart(certificate=standing.certificate))

        def asked() -> None:
            if not self.path.is_open:
                answered(None, "")
                return
            csr = f"CSR {self.node} {self.key}"
            op = hub.Renew(node=self.node, key=self.key, csr=csr, until_ms=self.certificate[1])
            self.world.hub.ask(op, answered)

        self.clock.after(self.chance.uniform(0.1, 5.0), asked)

    def _fetch(self, action: inputs.Fetch) -> None:
        life = self.life

        def fetched() -> None:
            if life != self.life:
                return
            hub = self.world.hub
            if not self.path.is_open or not hub.alive:
                self.put(inputs.Fetched(digest=action.digest, error="no route to the hub"))
            elif not hub.serves(action.ticket, action.digest):
                self.put(inputs.Fetched(digest=action.digest, error="refused", ticket_refused=True))
            else:
                self.artifacts[action.digest] = None
                self.put(inputs.Fetched(digest=action.digest))

        self.clock.after(self.chance.uniform(0.1, 5.0), fetched)
