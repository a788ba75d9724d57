"""A hub's core over a store in memory, and devices that speak to it with hand-made messages.

After every input the core is rebuilt from what was stored, and its durable views must be those of the core that lives:
a crash at any point loses nothing (DESIGN 2).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519

from hub.core import inputs, views
from hub.core.hub import HubConfig, HubCore
from protocol import effects, messages, status
from protocol.effects import Effects, Now
from protocol.link import cursor
from protocol.snapshot import Snapshot, StreamState
from protocol.trust import signing
from tests.support import loaded

Act = TypeVar("Act", bound=effects.Action)

WALL = 1_700_000_000.0
SECRET = "s3cret"
SECRET_HASH = signing.secret_hash(SECRET)


class Store:
    """What a journal keeps, applied operation by operation."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.spaces: dict[str, dict[str, bytes]] = {}
        self.streams = {name: StreamState(epoch=f"{number:016x}") for number, name in enumerate(("audit", "state"), 1)}
        self.rows: dict[str, list[tuple[str, str, Any]]] = {"audit": [], "state": []}
        self.raws: dict[str, list[bytes]] = {"audit": [], "state": []}
        self.gaps: dict[str, effects.Gap] = {}
        """The GAP at the lower end of a stream."""
        self.received: list[tuple[str, str, int]] = []

    def apply(self, fx: Effects) -> None:
        for op in fx.store:
            self._apply(op)

    def _apply(self, op: effects.Store) -> None:
        match op:
            case effects.Put():
                self.spaces.setdefault(op.space, {})[op.key] = op.value
            case effects.Delete():
                self.spaces.get(op.space, {}).pop(op.key, None)
            case effects.Rows():
                for seq, raw, hashed in op.rows:
                    assert seq == self.streams[op.stream].last + 1
                    self.streams[op.stream] = msgspec.structs.replace(self.streams[op.stream], last=seq, hash=hashed)
                    self.raws[op.stream].append(raw)
                    entry = msgspec.json.decode(raw, type=messages.Entry)
                    self.rows[op.stream].append((entry.kind, entry.key, msgspec.json.decode(entry.body)))
            case effects.Received():
                self.received += [(op.node, op.stream, row[0]) for row in op.rows]
            case effects.Trim():
                self.streams[op.stream] = msgspec.structs.replace(self.streams[op.stream], first=op.upto + 1)
            case effects.Gap():
                self.streams[op.stream] = msgspec.structs.replace(self.streams[op.stream], first=op.last)
                self.gaps[op.stream] = op
            case _:
                pass

    def snapshot(self) -> Snapshot:
        return Snapshot(
            node=self.node,
            streams=dict(self.streams),
            spaces={space: dict(values) for space, values in self.spaces.items()},
        )


class World:
    """A hub in a test's hands: its clock, its requests, its devices."""

    def __init__(self, name: str = "cloud", *, rebuild: bool = True) -> None:
        signer = signing.Signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32), name, "CHAIN")
        self.config = HubConfig(node=name, signer=signer, ticket_secret=b"t" * 32)
        self.store = Store(name)
        self.core = HubCore(self.store.snapshot(), self.config)
        self.mono = 100.0
        self.wall = WALL
        self.requests = 0
        self.lives = 0
        self.wake_at: float | None = None
        self._rebuild = rebuild
        self.start()

    @property
    def now(self) -> Now:
        return Now(self.mono, self.wall)

    def start(self) -> Effects:
        self.lives += 1
        entropy = self.lives.to_bytes(32, "big")
        return self.take(inputs.Started(entropy=entropy, incarnation=f"{self.lives:016x}", version="0.1.0"))

    def restart(self) -> Effects:
        """Kill the hub; another life begins from the store."""
        self.core = HubCore(self.store.snapshot(), self.config)
        return self.start()

    def take(self, given: inputs.Input) -> Effects:
        fx = self.core.handle(given, self.now)
        self.store.apply(fx)
        self.wake_at = fx.wake_at
        if self._rebuild:
            loaded.compare(self.core, self.store.snapshot(), self.config, durable)
        return fx

    def request(self, op: inputs.AnyOp, who: str = "token:admin") -> Effects:
        self.requests += 1
        return self.take(inputs.Request(request=self.requests, who=who, op=op))

    def ask(self, op: inputs.AnyOp) -> Any:
        """Return the answer of a request that must be granted."""
        reply = only(self.request(op), inputs.Reply)
        assert not reply.error, reply.error
        return msgspec.json.decode(reply.data)

    def refused(self, op: inputs.AnyOp) -> inputs.Reply:
        """Return the answer of a request that must be refused."""
        fx = self.request(op)
        reply = only(fx, inputs.Reply)
        assert reply.error
        assert not fx.store
        return reply

    def later(self, seconds: float) -> Effects:
        self.mono += seconds
        self.wall += seconds
        return self.take(inputs.Tick())

    def settle(self) -> list[Effects]:
        """Let the timer fire as long as something is due within a second."""
        fired: list[Effects] = []
        while self.wake_at is not None and self.wake_at <= self.mono + 1.0:
            assert len(fired) < 1_000, "the timer never comes to rest"
            fired.append(self.later(max(0.0, self.wake_at - self.mono)))
        return fired

    # ---------------------------------------------------------------------------------------- short ways

    def token(
        self, name: str = "tok", uses: int = 10, labels: dict[str, str] | None = None, ttl_s: float = 3_600.0
    ) -> None:
        self.ask(inputs.CreateToken(id=name, secret_hash=SECRET_HASH, ttl_s=ttl_s, uses=uses, labels=labels or {}))

    def enroll(self, name: str, labels: dict[str, str] | None = None, token: str = "tok") -> Any:
        """Enroll a device through its whole path; returns the answer."""
        if token not in self.core.enrollment.tokens:
            self.token(token)
        issue = only(self.request(enroll(name, labels=labels, token=token)), inputs.IssueCertificate)
        fx = self.take(inputs.CertificateIssued(request=issue.request, node=issue.node, certificate="CERT", until_ms=1))
        return msgspec.json.decode(only(fx, inputs.Reply).data)

    def fleet(self, **labels: dict[str, str]) -> dict[str, Device]:
        """Enroll and connect devices: `oslo_1={"site": "oslo"}`."""
        devices = {name.replace("_", "-"): Device(self, name.replace("_", "-")) for name in labels}
        for name, device in devices.items():
            self.enroll(name, labels[name.replace("-", "_")])
            device.connect()
        return devices

    def node(self, name: str) -> dict[str, Any]:
        return views.node(self.core, name, self.now)


class Device:
    """The link's far end as far as a hub's tests need it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.session = 0
        self.connection = 0
        self.count = 0
        self.held = messages.Held()
        self.epoch = "a" * 16
        self.seq = 0
        self.hash = cursor.genesis(name, self.epoch, "state")
        self.contact_s = 0.0
        """The contact interval that it declares, if it is metered."""
        self.held_first = 1
        """The lowest row that it still holds."""
        self.was: messages.FormerEpoch | None = None
        """The epoch before this one, if there was one."""
        self.tips = {0: ""}
        """The hash of each row, for a hub that it turns to."""
        self.items: dict[str, str] = {}
        """What the hub asks, as last sent: document id -> digest."""

    def take(self, given: inputs.Input) -> Effects:
        fx = self.world.take(given)
        self.see(fx)
        return fx

    def see(self, fx: Effects) -> None:
        for send in fx.send:
            if send.peer == self.name and isinstance(send, effects.Send) and isinstance(send.message, messages.Desired):
                desired = send.message
                base = self.items if desired.base else {}
                self.items = {one: digest for one, digest in (base | desired.put).items() if one not in desired.gone}
                signed = desired.signed
                self.held = messages.Held(term=signed.term, generation=signed.generation, digest=signed.digest)

    def settle(self) -> None:
        for fx in self.world.settle():
            self.see(fx)

    def got(self, message: messages.AnyMessage) -> Effects:
        return self.take(inputs.Got(node=self.name, connection=self.connection, message=message))

    def connect(self, *, expired: bool = False) -> Effects:
        self.session += 1
        self.connection += 1
        self.count = 0
        key = key_of(self.name)
        opened = inputs.Opened(node=self.name, connection=self.connection, key=key, expired=expired)
        self.take(opened)
        fx = self.got(self.hello())
        self.settle()
        return fx

    def hello(self, nonce: str = "") -> messages.Hello:
        return messages.Hello(
            session=self.session,
            nonce=nonce or f"{self.session:032x}",
            node=self.name,
            version="0.1.0",
            contact_s=self.contact_s,
            streams={
                "state": messages.StreamHead(
                    epoch=self.epoch,
                    seq=self.seq,
                    hash=self.hash.hex() if self.seq else "",
                    first=self.held_first,
                    before=self.tips[self.held_first - 1],
                    was=self.was,
                    base_hash=cursor.genesis(self.name, self.was.epoch, "state").hex() if self.was is not None else "",
                )
            },
            held=self.held,
        )

    def part(self, epoch: str, *, after: int) -> None:
        """Go on in another epoch, whose rows are the former one's up to `after`."""
        self.was = messages.FormerEpoch(epoch=self.epoch, seq=after, hash=self.tips[after], reason="a copy")
        self.epoch, self.seq, self.hash = epoch, after, bytes.fromhex(self.tips[after])

    def leave(self) -> Effects:
        nonce = f"{self.session:032x}"
        return self.got(messages.Bye(session=self.session, nonce=nonce, reason="stopped"))

    def report(self, report: status.Report, *, seq: int | None = None) -> Effects:
        return self.says(status.encode(report), seq=seq)

    def says(self, body: bytes, *, seq: int | None = None) -> Effects:
        """Say `body` (JSON) in a Status."""
        self.count += 1
        return self.got(
            messages.Status(
                session=self.session,
                count=self.count,
                held=self.held,
                heads={"state": self.seq if seq is None else seq},
                time_ms=1,
                body=msgspec.Raw(body),
            )
        )

    def entries(self, *items: tuple[str, str, object]) -> Effects:
        """Send entries (kind, key, body) of the state stream."""
        prev = self.seq
        encoded = [(kind, key, msgspec.json.encode(body)) for kind, key, body in items]
        rows = cursor.encode_rows(self.seq, self.hash, True, 1_000, encoded)
        self.seq, _, self.hash = rows[-1]
        self.tips.update((seq, tip.hex()) for seq, _, tip in rows)
        return self.got(
            messages.Entries(
                session=self.session,
                stream="state",
                epoch=self.epoch,
                prev=prev,
                rows=[msgspec.Raw(raw) for _, raw, _ in rows],
                hash=self.hash.hex(),
            )
        )


def key_of(name: str) -> str:
    return signing.secret_hash(name)


def enroll(
    name: str,
    *,
    key: str = "",
    token: str = "tok",
    labels: dict[str, str] | None = None,
    secret_hash: str = SECRET_HASH,
    facts: dict[str, str] | None = None,
) -> inputs.Enroll:
    return inputs.Enroll(
        token=token,
        secret_hash=secret_hash,
        name=name,
        csr="CSR",
        key=key or key_of(name),
        labels=labels or {},
        facts=facts or {},
    )


def acts(fx: Effects, kind: type[Act]) -> list[Act]:
    """Return the actions of one kind."""
    return [act for act in fx.act if isinstance(act, kind)]


def only(fx: Effects, kind: type[Act]) -> Act:
    """Return the one action of its kind."""
    found = acts(fx, kind)
    assert len(found) == 1, fx.act
    return found[0]


def topics(fx: Effects) -> list[str]:
    """Return what the hub says to look at again."""
    return [act.topic for act in acts(fx, inputs.Notify)]


def service(name: str, selector: str, *, count: int | str = "all", **spec: Any) -> dict[str, Any]:
    """Return a service as an operator writes it."""
    return {
        "apiVersion": "skerry/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "process": {"command": ["sleep", "1000"]},
            "placement": {"selector": selector, "count": count},
            **spec,
        },
    }


def workflow(name: str, selector: str) -> dict[str, Any]:
    """Return a workflow as an operator writes it."""
    return {
        "apiVersion": "skerry/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"placement": {"selector": selector}, "steps": [{"name": "collect", "run": ["true"]}]},
    }


def nodes(core: HubCore, chosen: str = "") -> list[dict[str, Any]]:
    """Return the nodes that `chosen` selects, all pages of them."""
    page = views.nodes(core, chosen)
    found = list(page.nodes)
    while page.more:
        page = views.nodes(core, chosen, page.more)
        found += page.nodes
    return found


def durable(core: HubCore) -> dict[str, Any]:
    """Return all that people see of a hub and that must outlast a crash: everything but who is connected right now."""
    fleeting = (
        "state",
        "last_state",
        "since_ms",
        "last_contact_ms",
        "node_state",
        "away",
        "settled",
        "desired_generation",
        "term",
    )
    return {
        "nodes": [_without(node, *fleeting) for node in nodes(core)],
        "services": [_without(one, *fleeting) for one in views.services(core)],
        "workflows": [_without(one, *fleeting) for one in views.workflows(core)],
        "resources": views.resources(core),
        "runs": views.runs(core),
        "tokens": views.tokens(core),
        "groups": [[group, core.tasks.results(group.id)] for group in core.tasks.groups()],
    }


def _without(one: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in keys}
