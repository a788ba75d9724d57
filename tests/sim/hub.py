"""The hub: its daemon around the real core, its authority, its operators' desk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from hub.core import inputs, streams
from hub.core.hub import HubConfig, HubCore
from hub.core.up.certificate import AnsweredApart, AskApart, CertificateStored, CsrMade, MakeCsr, StoreCertificate
from hub.core.up.seek import Seek, Sought
from protocol import limits
from protocol.aio.journal import Journal
from protocol.effects import Action
from protocol.errors import TrustError
from protocol.link import table
from protocol.messages import AnyMessage
from protocol.trust import signing
from tests.checkers import history
from tests.sim import moving
from tests.sim.broker import Broker
from tests.sim.child import Child
from tests.sim.doors import Door, FrontDoor
from tests.sim.node import Core

if TYPE_CHECKING:
    from tests.sim.world import World

_DAY_MS = 86_400_000

Answer = Callable[[Any, str], None]
"""Gets an answer's data, or None and the error."""


class Hub(Child):
    """One hub with its own door: the root, or one that has a parent."""

    role = "hub"
    tick = inputs.Tick()

    def __init__(self, world: World, name: str, parent: str = "") -> None:
        super().__init__(world, name, parent)
        seed = world.clock.chance("hub's key", *([name] if parent else ())).randbytes(32)
        key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.signer = signing.Signer(key, name, "CHAIN")
        if parent:
            self.ca_key = hashlib.sha256(b"ca" + self.key.encode()).hexdigest()
        self.folder: dict[str, int] = {}
        """The artifacts that lie here: size by digest."""
        self.broker = Broker(self) if world.plan.external else None
        self.door: Door = self.broker or FrontDoor(self)
        self._requests = 0
        self._waiting: dict[int, tuple[inputs.AnyOp, Answer | None]] = {}

    @property
    def is_root(self) -> bool:
        """Tell whether nobody is above."""
        return not self.parent

    @property
    def domain(self) -> str:
        """Its scope: the domain of what it certifies."""
        return f"{self.node}.skerry" if self.is_root else f"{self.node}.{self.home.domain}"

    @property
    def hub_core(self) -> HubCore:
        """The core of now."""
        return cast("HubCore", self.core)

    def open_journal(self) -> Journal:
        """As the hub's app."""
        return self.disk.open(
            node=self.node,
            streams=streams.names(has_parent=not self.is_root),
            telemetry=False,
            mint=lambda: self.chance.randbytes(8).hex(),
            boot=f"boot-{self.boots}",
        )

    def make_core(self) -> Core:
        """The real core."""
        trust = None if self.is_root else self.trust()
        config = HubConfig(
            node=self.node,
            signer=self.signer,
            ticket_secret=b"t" * 32,
            parent=self.parent,
            ca_dates=self.certificate,
            trust=trust,
            haven=moving.haven(self),
            relay_bytes=self.world.plan.relay_bytes,
        )
        return cast("Core", HubCore(self.journal.snapshot(), config))

    def started(self) -> inputs.Started:
        """As the hub's app."""
        self.started_to_pull()
        life = self.life
        self.clock.after(0.1, lambda: self.door.hub_up() if life == self.life else None)
        self.put(inputs.ArtifactsFound(sizes=dict(self.folder)))
        entropy, incarnation = self.chance.randbytes(32), self.chance.randbytes(8).hex()
        return inputs.Started(entropy=entropy, incarnation=incarnation, version="0.1.0")

    def ended(self, how: str) -> None:
        """All sockets go, and with them those who wait."""
        self.door.hub_down(flushed=how != "power")
        self.hang_up(how)
        self._turn_away()

    def dropped(self) -> None:
        """As the hub's app: the children come again, people are told."""
        self.door.store_failed()
        self._turn_away()

    def _turn_away(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            if answer is not None:
                answer(None, "the hub is away")

    # -------------------------------------------------------------------------------------------- people

    def ask(self, op: inputs.AnyOp, answer: Answer | None = None) -> None:
        """Ask as an operator (or as a device that enrolls)."""
        if not self.alive:
            if answer is not None:
                answer(None, "the hub is away")
            return
        self._requests += 1
        self._waiting[self._requests] = (op, answer)
        self.put(inputs.Request(request=self._requests, who="token:admin", op=op))

    # -------------------------------------------------------------------------------------------- the gate

    def verdict(self, node: str, key: str, scope: str) -> str:
        """Return why a device is turned away, `revoked` if it is that, or ""."""
        registry = self.hub_core.registry
        reason = registry.gate(node, key)
        if reason and self.hub_core.lodging.may_come(node, key, scope):
            return ""
        found = registry.find(node)
        return "revoked" if reason and found is not None and found.revoked_ms else reason

    def is_expired(self, device: Child) -> bool:
        """Tell whether the device's certificate is past its dates, by this hub's clock."""
        return self.now().wall * 1000 > device.certificate[1]

    def serves(self, ticket: str, digest: str) -> bool:
        """Tell whether an artifact is handed out for `ticket`."""
        try:
            self.hub_core.ticket_holder(ticket, digest, self.now().wall)
        except TrustError:
            return False
        return True

    # -------------------------------------------------------------------------------------------- effects

    def transport(self, peer: str, message: AnyMessage) -> None:
        """Hand it to the door, or to what leads upward."""
        if peer == self.parent:
            self.send_up(message)
        else:
            self.door.send(peer, message)

    def opened(self, session: int) -> inputs.UpOpened:
        """As the hub's app."""
        return inputs.UpOpened(session=session)

    def closed(self, session: int, reason: str) -> inputs.UpClosed:
        """As the hub's app."""
        return inputs.UpClosed(session=session, reason=reason)

    def got(self, message: AnyMessage) -> inputs.UpGot:
        """As the hub's app."""
        return inputs.UpGot(message=message)

    def perform(self, action: Action) -> None:
        """As the hub's app."""
        match action:
            case inputs.Reply():
                self._reply(action)
            case inputs.CloseChild():
                self.door.close_child(action.node, action.connection, action.reason, action.ban)
            case inputs.IssueCertificate():
                self._issue(action)
            case table.Connect():
                self.dial(action.session, action.nonce)
            case table.Disconnect(reason=reason):
                self.leave(reason)
            case MakeCsr() | StoreCertificate() | AskApart():
                self._certify(action)
            case inputs.FetchArtifact():
                self._fetch(action)
            case Seek():
                nobody = Sought(reason="nobody announces it")
                self.clock.after(1.0, lambda life=self.life: self.put(nobody) if life == self.life else None)
            case inputs.DropArtifact(digest=digest):
                self.folder.pop(digest, None)
            case inputs.Notify() | inputs.Answered():
                pass
            case _:
                raise AssertionError(f"nobody performs {action}")

    def _certify(self, action: Action) -> None:
        """As hub.shell.papers.renewal."""
        match action:
            case MakeCsr():
                self.put(CsrMade(csr=self.ca_csr))
            case StoreCertificate(certificate=certificate):
                self.hold(certificate)
                self.put(CertificateStored(from_ms=self.certificate[0], until_ms=self.certificate[1]))
            case _:
                self.apart(self._told_apart)

    def _fetch(self, action: inputs.FetchArtifact) -> None:
        """As hub.shell.fetch."""
        digest, life = action.digest, self.life

        def fetched() -> None:
            if life != self.life:
                return
            home = self.home
            if not self.path.is_open or not home.alive:
                self.put(inputs.ArtifactFetched(digest=digest, error="no route to the parent"))
            elif not home.serves(action.ticket, digest):
                self.put(inputs.ArtifactFetched(digest=digest, error="refused", ticket_refused=True))
            else:
                self.folder[digest] = home.folder[digest]
                self.put(inputs.ArtifactFetched(digest=digest, size=self.folder[digest]))

        self.clock.after(self.chance.uniform(0.1, 5.0), fetched)

    def _told_apart(self, standing: inputs.Standing) -> None:
        if standing.revoked is not None:
            self.put(inputs.UpGot(message=standing.revoked))
        self.put(AnsweredApart(certificate=standing.certificate))

    def _issue(self, action: inputs.IssueCertificate) -> None:
        _, node, key = action.csr.split()
        issued: dict[str, Any] = {"error": "another key"}
        if (node, key) == (action.node, action.key):
            from_ms = int(self.now().wall * 1000)
            days = limits.REGION_CA_DAYS if action.kind == "hub" else limits.CERTIFICATE_DAYS
            until_ms = from_ms + days * _DAY_MS
            issued = {"certificate": f"CERT {from_ms} {until_ms}", "serial": "1", "until_ms": until_ms}
        self.put(inputs.CertificateIssued(request=action.request, node=action.node, **issued))

    def _reply(self, action: inputs.Reply) -> None:
        op, answer = self._waiting.pop(action.request, (None, None))
        if op is not None:
            self.note(history.Operated(at=self.clock.now, node=self.name, op=op, error=action.error))
        if answer is not None:
            answer(None if action.error else msgspec.json.decode(action.data), action.error)
