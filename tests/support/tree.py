"""Hubs joined in memory to a tree of any depth: real cores and links, stores in memory, one clock, no loss in between.

Everything that crosses goes through the codec. `cut` and `heal` part a hub from its parent; `restart` kills one. After
every input a hub's core is rebuilt from its store, so that what only memory knows shows. Devices are leaves that a test
speaks for (tests.unit.hub.world.Device), or none.
"""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import msgspec

from hub.core import inputs, streams
from hub.core.hub import HubConfig, HubCore
from protocol import codec, documents, effects, limits, messages
from protocol.effects import Effects, Now
from protocol.link import table
from tests.support import loaded
from tests.support.link_world import FakeSigner
from tests.support.memory_store import MemoryStore, OwnRows
from tests.unit.hub import world

WALL = 1_700_000_000.0


class Signer(FakeSigner):
    """A hub's: it signs for itself, and anybody in the tree can check it."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def manifest(self, child: str, term: int, generation: int, digest: str) -> messages.Signed:
        signature = self._sign(self._node, child, term, generation, digest)
        return messages.Signed(
            parent=self._node,
            child=child,
            term=term,
            generation=generation,
            digest=digest,
            key="k",
            signature=signature,
        )

    def revoked(self, child: str, time_ms: int, reason: str, incarnation: str) -> messages.Revoked:
        return messages.Revoked(
            incarnation=incarnation,
            parent=self._node,
            child=child,
            time_ms=time_ms,
            reason=reason,
            key="k",
            signature=self._sign(self._node, child, time_ms, reason),
        )


def haven(name: str, above: documents.Haven | None) -> documents.Haven:
    """Return where the hub called `name` says that it listens."""
    scope = f"{name}.{above.scope}" if above is not None else f"{name}.skerry"
    return documents.Haven(id=name, scope=scope, mqtt_host=name, mqtt_port=8883, api_host=name, api_port=8443)


class Tree:
    """All hubs by id, and what flies between them, in order."""

    def __init__(self, *, is_patient: bool = True) -> None:
        """`is_patient`: after every input each hub's store is loaded anew, if it was not yet; that takes time."""
        self.hubs: dict[str, Hub] = {}
        self.is_patient = is_patient
        self.mono, self.wall = 100.0, WALL
        self._flying: deque[tuple[Hub, inputs.Input]] = deque()

    @property
    def now(self) -> Now:
        """The moment."""
        return Now(self.mono, self.wall)

    def add(
        self,
        name: str,
        parent: str = "",
        labels: dict[str, str] | None = None,
        *,
        relay_bytes: int = limits.RELAY_BYTES,
    ) -> Hub:
        """Add a hub under `parent`, enrolled there and connected; the first one is the root."""
        hub = self.hubs[name] = Hub(self, name, self.hubs.get(parent), relay_bytes)
        if hub.parent is not None:
            hub.parent.enroll(name, labels, kind="hub")
        hub.start()
        self.run()
        return hub

    def later(self, seconds: float) -> None:
        """Let time pass; timers fire when they are due."""
        until = self.mono + seconds
        self.run()
        while (
            due := min((hub.wake_at for hub in self.hubs.values() if hub.wake_at is not None), default=until)
        ) < until:
            self._forward(max(due, self.mono))
            self.run()
        self._forward(until)
        self.run()

    def _forward(self, mono: float) -> None:
        self.wall += mono - self.mono
        self.mono = mono

    def put(self, hub: Hub, given: inputs.Input) -> None:
        """Have `hub` take `given` when its turn comes."""
        self._flying.append((hub, given))

    def run(self) -> None:
        """Deliver until nothing flies and no timer is due."""
        for _ in range(100_000):
            if self._flying:
                hub, given = self._flying.popleft()
                hub.take(given)
                continue
            due = [hub for hub in self.hubs.values() if hub.wake_at is not None and hub.wake_at <= self.mono]
            if not due:
                return
            for hub in due:
                hub.take(inputs.Tick())
        raise AssertionError("the tree never comes to rest")


class Hub:
    """One hub of a tree; also the World of the devices below it (tests.unit.hub.world)."""

    def __init__(self, tree: Tree, name: str, parent: Hub | None, relay_bytes: int) -> None:
        self.tree, self.name, self.parent = tree, name, parent
        names = streams.names(has_parent=parent is not None)
        own = {one: OwnRows(epoch=f"{len(tree.hubs):08x}{number:08x}") for number, one in enumerate(names)}
        self.store = MemoryStore(node=name, streams=own)
        trust = Signer(name) if parent is not None else None
        self.config = HubConfig(
            node=name,
            signer=Signer(name),
            ticket_secret=b"t" * 32,
            parent=parent.name if parent is not None else "",
            trust=trust,
            relay_bytes=relay_bytes,
            haven=haven(name, parent.config.haven if parent is not None else None),
        )
        self.core = HubCore(self.store.snapshot(), self.config)
        self.wake_at: float | None = None
        self.children: dict[str, Hub] = {}
        self.is_cut = False
        self.lives = self.requests = self.connection = 0
        self.acts: list[effects.Action] = []
        """What it was asked to perform, all of it."""
        if parent is not None:
            parent.children[name] = self

    # -------------------------------------------------------------------------------------------- a life

    @property
    def now(self) -> Now:
        """The tree's moment."""
        return self.tree.now

    def start(self) -> None:
        """Begin a life."""
        self.lives += 1
        entropy = f"{self.name}{self.lives}".encode().ljust(32, b"\0")
        self.take(inputs.Started(entropy=entropy, incarnation=f"{self.name}-{self.lives}", version="0.1.0"))

    def restart(self, backup: MemoryStore | None = None) -> None:
        """Kill it; another life begins from the store, or from an older one."""
        if self.parent is not None:
            self._lost()
        for child in self.children.values():
            child._lost()
        self.store = backup or self.store
        self.core = HubCore(self.store.snapshot(), self.config)
        self.start()
        self.tree.run()

    def cut(self) -> None:
        """Part it from its parent."""
        self.is_cut = True
        self._lost()
        self.tree.run()

    def heal(self) -> None:
        """Let it connect again, when its own timer says so."""
        self.is_cut = False
        self.tree.later(120.0)

    def _lost(self) -> None:
        if self.parent is not None and self.core.up is not None:
            self.parent.take(inputs.Closed(node=self.name, connection=self.connection, reason="cut"))
            self.take(inputs.UpClosed(session=self.core.up.child.session, reason="cut"))

    # -------------------------------------------------------------------------------------------- inputs and effects

    def take(self, given: inputs.Input) -> Effects:
        """Take one input and perform what it leads to, as a driver does."""
        fx = self.core.handle(given, self.now)
        self.wake_at = fx.wake_at
        self.perform(fx)
        return fx

    def perform(self, fx: Effects) -> None:
        """Perform effects, as a driver does."""
        self.store.commit(fx.store)
        if self.tree.is_patient and fx.store:
            loaded.check(self.store.snapshot(), self.config)
        for send in fx.send:
            message = self.store.read(send) if isinstance(send, effects.SendRows) else send.message
            if message is not None:
                self._send(send.peer, message)
        self.acts += fx.act
        for act in fx.act:
            self._perform(act)

    def _send(self, peer: str, message: messages.AnyMessage) -> None:
        direction = codec.UP if self.parent is not None and peer == self.parent.name else codec.DOWN
        message = codec.decode(codec.encode(message), direction)
        if direction is codec.UP and self.parent is not None and not self.is_cut:
            self.tree.put(self.parent, inputs.Got(node=self.name, connection=self.connection, message=message))
        elif direction is codec.DOWN and peer in self.children and not self.children[peer].is_cut:
            self.tree.put(self.children[peer], inputs.UpGot(message=message))

    def _perform(self, act: effects.Action) -> None:
        if isinstance(act, table.Connect) and self.parent is not None:
            if self.is_cut:
                self.tree.put(self, inputs.UpClosed(session=act.session, reason="no route"))
                return
            self.connection += 1
            key = world.key_of(self.name)
            self.tree.put(self.parent, inputs.Opened(node=self.name, connection=self.connection, key=key))
            self.tree.put(self, inputs.UpOpened(session=act.session))
        elif isinstance(act, table.Disconnect) and self.parent is not None:
            gone = inputs.Closed(node=self.name, connection=self.connection, reason=act.reason)
            self.tree.put(self.parent, gone)
            self.tree.put(self, inputs.UpClosed(session=act.session, reason=act.reason))
        elif isinstance(act, inputs.CloseChild) and act.node in self.children:
            child = self.children[act.node]
            if act.connection == child.connection and child.core.up is not None:
                self.tree.put(child, inputs.UpClosed(session=child.core.up.child.session, reason=act.reason))

    # -------------------------------------------------------------------------------------------- people and devices

    def request(self, op: inputs.AnyOp, who: str = "token:admin") -> inputs.Reply | None:
        """Ask as an operator; None: the answer comes later."""
        self.requests += 1
        fx = self.take(inputs.Request(request=self.requests, who=who, op=op))
        found = [act for act in fx.act if isinstance(act, inputs.Reply)]
        return found[0] if found else None

    def ask(self, op: inputs.AnyOp) -> Any:
        """Return the answer to what must be granted, when all has come to rest."""
        reply = self.request(op)
        self.tree.run()
        assert reply is not None
        assert not reply.error, reply.error
        return msgspec.json.decode(reply.data)

    def enroll(self, name: str, labels: dict[str, str] | None = None, *, kind: str = "agent") -> None:
        """Enroll a node of `kind` through its whole path."""
        token = f"tok-{kind}"
        if token not in self.core.enrollment.tokens:
            made = inputs.CreateToken(id=token, secret_hash=world.SECRET_HASH, ttl_s=3_600.0, uses=1_000)
            self.ask(made)
        self.requests += 1
        asked = world.enroll(name, labels=labels, token=token)
        fx = self.take(inputs.Request(request=self.requests, who="device", op=asked))
        issue = world.only(fx, inputs.IssueCertificate)
        until_ms = int((self.tree.wall + limits.CERTIFICATE_DAYS * 86_400) * 1000)
        self.take(inputs.CertificateIssued(request=issue.request, node=name, certificate="CERT", until_ms=until_ms))
        node = self.core.registry.get(name)
        if node.kind != kind:
            self.core.registry.put(msgspec.structs.replace(node, kind=kind), stored := Effects())
            self.store.commit(stored.store)

    def device(self, name: str, labels: dict[str, str] | None = None) -> world.Device:
        """Enroll and connect a device that the test speaks for."""
        self.enroll(name, labels)
        device = world.Device(cast("world.World", self), name)
        device.connect()
        self.tree.run()
        return device

    def settle(self) -> list[Effects]:
        """As tests.unit.hub.world.World.settle."""
        fired: list[Effects] = []
        while self.wake_at is not None and self.wake_at <= self.tree.mono + 1.0:
            assert len(fired) < 1_000, "the timer never comes to rest"
            self.tree.mono = max(self.tree.mono, self.wake_at)
            fired.append(self.take(inputs.Tick()))
        return fired
