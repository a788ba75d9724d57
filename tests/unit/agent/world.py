"""A device in memory: a store that takes effects as the journal would, and a core rebuilt from it at will."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from edge_agent.core import inputs
from edge_agent.core.agent import STREAMS, AgentConfig, AgentCore
from edge_agent.core.isolation import Able
from protocol import documents, effects, messages
from protocol.effects import Action, Effects, Now
from protocol.snapshot import Snapshot, StreamState

A = TypeVar("A", bound=Action)
M = TypeVar("M", bound=messages.Message)

DAY_S = 86_400.0
WALL = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


class Trust:
    """Trusts everything: signatures are another room's tests."""

    def learn(self, chain_pem: str, parent: str) -> None:
        pass

    def check_manifest(self, signed: messages.Signed, parent: str, child: str) -> None:
        pass

    def check_revoked(self, revoked: messages.Revoked, parent: str, child: str) -> None:
        pass

    def check(self, covered: bytes, signature: str, key: str, parent: str) -> None:
        pass

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        return body


class Store:
    """What the journal keeps, in memory."""

    def __init__(self) -> None:
        self.spaces: dict[str, dict[str, bytes]] = {}
        self.rows: dict[str, list[messages.Entry]] = {name: [] for name in STREAMS}
        self.streams = {name: StreamState(epoch="0" * 16) for name in STREAMS}

    def apply(self, fx: Effects) -> None:
        for op in fx.store:
            match op:
                case effects.Put(space, key, value):
                    self.spaces.setdefault(space, {})[key] = value
                case effects.Delete(space, key):
                    self.spaces.get(space, {}).pop(key, None)
                case effects.Rows(stream, _, rows):
                    self.rows[stream] += [msgspec.json.decode(raw, type=messages.Entry) for _, raw, _ in rows]
                    last, _, tip = rows[-1]
                    self.streams[stream] = msgspec.structs.replace(self.streams[stream], last=last, hash=tip)
                case _:
                    pass

    def snapshot(self, *, clean: bool = True) -> Snapshot:
        spaces = {space: dict(values) for space, values in self.spaces.items()}
        return Snapshot(node="gw-1", streams=dict(self.streams), spaces=spaces, clean=clean)


class World:
    """One device. Time moves only by `wait`; inputs go in by `do`, effects are applied and returned."""

    def __init__(self, *, contact_s: float = 0.0) -> None:
        self.contact_s = contact_s
        self.store = Store()
        self.mono = 1_000.0
        self.wall: float = WALL
        self.boot = "boot-1"
        self.generation = 0
        self.life = 0
        self.connections = 0
        self.acts: list[Action] = []
        self.fx = Effects()
        self.wake_at: float | None = None
        self.core = self._core()

    def _core(self) -> AgentCore:
        config = AgentConfig(
            node="gw-1", parent="cloud", trust=Trust(), labels={"site": "oslo"}, contact_s=self.contact_s
        )
        return AgentCore(self.store.snapshot(), config)

    def now(self) -> Now:
        return Now(self.mono, self.wall)

    def do(self, event: inputs.Input) -> Effects:
        fx = self.core.handle(event, self.now())
        self.store.apply(fx)
        self.acts += fx.act
        self.fx, self.wake_at = fx, fx.wake_at
        return fx

    def start(
        self,
        *found: inputs.Found,
        artifacts: tuple[str, ...] = (),
        reboot: bool = False,
        until_ms: int = int((WALL + 90 * DAY_S) * 1000),
        slots: inputs.Slots | None = None,
        able: tuple[str, ...] = (),
        why: dict[str, str] | None = None,
        waits: str = "",
    ) -> Effects:
        """Begin a life of the daemon on what is stored."""
        self.life += 1
        if reboot:
            self.boot = f"boot-{self.life}"
        self.core = self._core()
        return self.do(
            inputs.Started(
                boot_id=self.boot,
                entropy=self.life.to_bytes(32, "big"),
                version="0.1.0",
                found=list(found),
                artifacts=list(artifacts),
                platform={"machine": "arm64"},
                able=Able(names=frozenset(able), why=why or {}, waits=waits),
                certificate_from_ms=int(WALL * 1000),
                certificate_until_ms=until_ms,
                slots=slots,
            )
        )

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass; the timer fires whenever the core asked for it. Return the actions of that time."""
        before, until = len(self.acts), self.mono + seconds
        for _ in range(100_000):
            if self.wake_at is None or self.wake_at > until:
                break
            step = max(0.0, self.wake_at - self.mono)
            self.mono, self.wall = self.mono + step, self.wall + step
            self.do(inputs.Tick())
        else:
            raise AssertionError("the timer never rests")
        self.wall += until - self.mono
        self.mono = until
        return self.acts[before:]

    # ------------------------------------------------------------------------------------------ the parent

    def session(self) -> int:
        return int(self.store.spaces["link"]["session"])

    def online(
        self,
        *,
        offset_s: float = 0.0,
        renew_only: bool = False,
        refused: str = "",
        cursors: dict[str, messages.Cursor] | None = None,
    ) -> Effects:
        """Open the link: Hello goes up, Welcome comes down."""
        hellos: list[messages.Hello] = []
        for _ in range(400):
            hellos = sent(self.do(inputs.Opened(session=self.session())), messages.Hello)
            if hellos:
                break
            self.wait(0.5)
        (hello,) = hellos
        welcome = messages.Welcome(
            incarnation="one",
            session=hello.session,
            nonce=hello.nonce,
            parent="cloud",
            cursors={name: messages.Cursor(epoch="0" * 16, seq=0) for name in STREAMS} | (cursors or {}),
            time_ms=int((self.wall + offset_s) * 1000),
            contact_s=self.contact_s or 60.0,
            renew_only=renew_only,
            refused=refused,
        )
        return self.do(inputs.Got(message=welcome))

    def offline(self, reason: str = "no route") -> Effects:
        return self.do(inputs.Closed(session=self.session(), reason=reason))

    def got(self, kind: type[messages.Message], **fields: Any) -> Effects:
        """Get a message of the parent within the session."""
        message: Any = kind(**{"incarnation": "one", "session": self.session(), **fields})
        return self.do(inputs.Got(message=message))

    def desire(self, *wanted: documents.AnyDocument, raw: dict[str, bytes] | None = None) -> Effects:
        """The parent asks for this, and nothing else."""
        bodies = {documents.document_id(document): documents.encode(document) for document in wanted} | (raw or {})
        items: dict[str, str] = {key: documents.digest_of(body) for key, body in bodies.items()}
        self.generation += 1
        signed = messages.Signed(
            parent="cloud",
            child="gw-1",
            term=1,
            generation=self.generation,
            digest=documents.manifest_digest(items),
            key="k",
            signature="s",
        )
        return self.got(
            messages.Desired, signed=signed, put=items, documents=[msgspec.Raw(body) for body in bodies.values()]
        )

    # ------------------------------------------------------------------------------------------ what to look at

    def entries(self, stream: str = "state", kind: str = "") -> list[messages.Entry]:
        return [entry for entry in self.store.rows[stream] if entry.kind.startswith(kind)]

    def kinds(self, stream: str = "state") -> list[str]:
        return [entry.kind for entry in self.store.rows[stream]]

    def last(self, kind: str, stream: str = "state") -> dict[str, Any]:
        """Return the body of the last entry of `kind`."""
        return body(self.entries(stream, kind)[-1])

    def all(self, kind: type[A]) -> list[A]:
        return [act for act in self.acts if isinstance(act, kind)]

    def local(self, command: inputs.LocalCommand, user: str = "ada", uid: int = 1001) -> Any:
        """Ask as a person at the device; return the reply's data, or the error's text."""
        fx = self.do(inputs.Local(request=7, user=user, uid=uid, command=command))
        reply = only(fx, inputs.LocalReply)
        return reply.error or msgspec.json.decode(reply.data)

    def service(self, name: str) -> dict[str, Any]:
        return self.local(inputs.LocalStatus())["services"][name]


def body(entry: messages.Entry) -> dict[str, Any]:
    return msgspec.json.decode(entry.body)


def acts(fx: Effects, kind: type[A]) -> list[A]:
    return [act for act in fx.act if isinstance(act, kind)]


def only(fx: Effects, kind: type[A]) -> A:
    (act,) = acts(fx, kind)
    return act


def sent(fx: Effects, kind: type[M]) -> list[M]:
    return [s.message for s in fx.send if isinstance(s, effects.Send) and isinstance(s.message, kind)]


def service(name: str = "web", *command: str, **fields: Any) -> documents.Assignment:
    process = documents.Process(command=list(command or ("./serve",)), artifact=fields.pop("artifact", ""))
    return documents.Assignment(service=name, process=process, **fields)


def exited(instance: str, code: int | None = 0, signal: int | None = None, **fields: Any) -> inputs.Ended:
    return inputs.Ended(instance=instance, exit=inputs.Exit(code=code, signal=signal), **fields)


def running(world: World, instance: str, pid: int = 41) -> Effects:
    return world.do(inputs.Launched(instance=instance, pid=pid))
