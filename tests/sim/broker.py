"""A broker between hub and devices. It is not trusted: it loses, doubles and delays what it carries, it is killed with
all it held, and a hub that is away misses what is said. Clean sessions, QoS 0, wills.

What protocol.link.seal proves cryptographically is here a last line in words, with the same verdicts: who signed, for
which session, the how-manieth message of it. (The real seal draws unseeded randomness; the contract tests have it.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from protocol import codec, messages
from protocol.errors import LocalProtocolError, SkerryError
from protocol.messages import AnyMessage
from tests.sim.doors import LEFT, Attempt, reach
from tests.sim.network import Path, Wire

if TYPE_CHECKING:
    from tests.sim.hub import Hub

_RECONNECT_S = 5.0
_LATE_S = 40.0


class Proof(msgspec.Struct, frozen=True):
    """The last line of a payload. `by`: device, will, hub, word, or session (then `n` counts)."""

    by: str
    session: str = ""
    n: int = 0


_proofs = msgspec.json.Decoder(Proof)


class Stray(SkerryError):
    """As protocol.link.seal.Stray."""


def _join(body: bytes, proof: Proof) -> bytes:
    return body + b"\n" + msgspec.json.encode(proof)


def _split(payload: bytes) -> tuple[bytes, Proof]:
    body, _, proof = payload.rpartition(b"\n")
    return body, _proofs.decode(proof)


@dataclass
class Keys:
    """One session's counters at one end."""

    session: str
    sent: int = 0
    heard: int = 0

    def seal(self, body: bytes) -> bytes:
        """Return the payload of the next message."""
        self.sent += 1
        return _join(body, Proof("session", self.session, self.sent))

    def takes(self, proof: Proof) -> bool:
        """Tell whether a message is of this session, and newer than all before."""
        if proof.session != self.session or proof.n <= self.heard:
            return False
        self.heard = proof.n
        return True


class ChildSeal:
    """The child's end of one session."""

    def __init__(self, session: int, nonce: str) -> None:
        self._name = f"{session}/{nonce}"
        self._keys: Keys | None = None

    def seal(self, message: AnyMessage) -> bytes | None:
        """Return a payload; None for what may not be said before the Welcome."""
        body = codec.encode(message)
        if isinstance(message, messages.Hello):
            return _join(body, Proof("device", self._name))
        if self._keys is not None:
            return self._keys.seal(body)
        return _join(body, Proof("will", self._name)) if isinstance(message, messages.Bye) else None

    def unseal(self, payload: bytes) -> AnyMessage | None:
        """Return the parent's message, or None when it proves nothing here."""
        body, proof = _split(payload)
        message = codec.decode(body, codec.DOWN)
        if proof.by == "session":
            return message if self._keys is not None and self._keys.takes(proof) else None
        if proof.by == "hub":
            if self._keys is not None or proof.session != self._name:
                return None
            self._keys = Keys(self._name)
        return message


class HubSeal:
    """The hub's end of all sessions; a life long."""

    def __init__(self) -> None:
        self._greetings: dict[str, tuple[int, str, bytes]] = {}
        self._keys: dict[str, Keys] = {}

    def forget(self, node: str) -> None:
        """End the session of `node`."""
        self._greetings.pop(node, None)
        self._keys.pop(node, None)

    def seal(self, node: str, message: AnyMessage) -> bytes | None:
        """Return a payload; None when `node` has no session in which to say it."""
        body = codec.encode(message)
        if isinstance(message, messages.Welcome):
            greeting = self._greetings.get(node)
            name = f"{message.session}/{message.nonce}"
            if greeting is None or greeting[1] != name:
                return None
            self._keys[node] = Keys(name)
            return _join(body, Proof("hub", name))
        if node in self._keys and not (isinstance(message, messages.Look) and message.session):
            return self._keys[node].seal(body)
        return _join(body, Proof("word")) if isinstance(message, messages.Look | messages.Revoked) else None

    def unseal(self, node: str, payload: bytes) -> tuple[AnyMessage, str] | None:
        """Return (message, by), or None when it is late. Raises SkerryError for what is forged or comes again."""
        body, proof = _split(payload)
        message = codec.decode(body, codec.UP)
        if proof.by == "session":
            keys = self._keys.get(node)
            if keys is None:
                raise Stray(node)
            if not keys.takes(proof):
                raise SkerryError("a message came again, or is not of this session")
        elif proof.by == "will":
            greeting = self._greetings.get(node)
            if greeting is None or greeting[1] != proof.session:
                return None
        else:
            assert isinstance(message, messages.Hello)
            former, digest = self._greetings.get(node), hashlib.sha256(body).digest()
            if former is not None and digest == former[2]:
                raise SkerryError("a Hello came again")
            if former is None or message.session >= former[0]:
                self._greetings[node] = (message.session, proof.session, digest)
        return message, proof.by


class Broker:
    """The broker and the hub's connection to it; a Door."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self.clock = hub, hub.clock
        self.up = True
        self.path = Path(hub.clock, "broker" if hub.is_root else f"broker of {hub.name}")
        self._seal = HubSeal()
        self._connected = False
        self._lives = 0
        self._sessions: dict[str, tuple[Attempt, Wire]] = {}
        self._banned: set[str] = set()

    # -------------------------------------------------------------------------------------------- devices

    def dial(self, attempt: Attempt) -> None:
        """A device comes; an older connection with its name is thrown out, and its will spoken."""
        seal = ChildSeal(attempt.session, attempt.nonce)
        attempt.seal, attempt.unseal = seal.seal, seal.unseal
        reach(attempt, lambda: self._arrived(attempt))

    def _arrived(self, attempt: Attempt) -> None:
        if not self.up:
            attempt.closed("connection refused")
            return
        node = attempt.device.node
        former = self._sessions.get(node)
        if former is not None:
            former[1].leave(1, "session taken over")
            self._speak(former[0])

        def heard(payload: bytes) -> None:
            self._carry(attempt, payload)

        def closed(reason: str) -> None:
            self._gone(attempt, reason)

        attempt.wire = wire = Wire(attempt.path, (heard, attempt.heard), (closed, attempt.closed))
        self._sessions[node] = (attempt, wire)
        self.clock.after(attempt.path.trip_s(), attempt.opened)

    def _gone(self, attempt: Attempt, reason: str) -> None:
        found = self._sessions.get(attempt.device.node)
        if found is not None and found[0] is attempt:
            del self._sessions[attempt.device.node]
            if reason != LEFT:
                self._speak(attempt)

    def _speak(self, attempt: Attempt) -> None:
        self._carry(attempt, _join(codec.encode(attempt.will), Proof("will", f"{attempt.session}/{attempt.nonce}")))

    def _carry(self, attempt: Attempt, payload: bytes) -> None:
        """Carry up, as badly as the device's path says."""
        path = attempt.path
        chance = path.chance
        if path.drop and chance.random() < path.drop:
            return
        times = 2 if path.double and chance.random() < path.double else 1
        life = self._lives
        for _ in range(times):
            late = chance.uniform(0.0, _LATE_S) if path.late and chance.random() < path.late else 0.0
            self.clock.after(self.path.trip_s() + late, lambda: self._to_hub(life, attempt, payload))

    def _to_hub(self, life: int, attempt: Attempt, payload: bytes) -> None:
        node = attempt.device.node
        if life != self._lives or not self._connected or node in self._banned:
            return
        hub = self._hub
        try:
            unsealed = self._seal.unseal(node, payload)
            if unsealed is None:
                return
            message, by = unsealed
            if by == "device" and hub.verdict(node, attempt.device.key, attempt.device.scope):
                self._seal.forget(node)
                return
        except Stray:
            hub.put(inputs.Strayed(node=node))
            return
        except SkerryError as error:
            hub.put(inputs.Bad(node=node, connection=0, error=str(error)))
            return
        if by == "device":
            expired = hub.is_expired(attempt.device)
            device = attempt.device
            hub.put(inputs.Opened(node=node, connection=0, key=device.key, expired=expired, scope=device.scope))
        if by == "will" and isinstance(message, messages.Bye):
            hub.put(inputs.Closed(node=node, session=message.session, nonce=message.nonce, reason=message.reason))
        else:
            hub.put(inputs.Got(node=node, connection=0, message=message))

    # -------------------------------------------------------------------------------------------- the hub

    def send(self, peer: str, message: AnyMessage) -> None:
        """As hub.shell.broker."""
        if not self._connected or peer in self._banned:
            return
        try:
            payload = self._seal.seal(peer, message)
        except LocalProtocolError:
            return
        if payload is not None:
            life = self._lives
            self.clock.after(self.path.trip_s(), lambda: self._to_child(life, peer, payload))

    def _to_child(self, life: int, peer: str, payload: bytes) -> None:
        found = self._sessions.get(peer)
        if life != self._lives or found is None:
            return
        path = found[0].path
        if path.drop and path.chance.random() < path.drop:
            return
        found[1].send(1, payload)
        if path.double and path.chance.random() < path.double:
            found[1].send(1, payload)

    def close_child(self, node: str, connection: int, reason: str, ban: bool) -> None:
        """As hub.shell.broker."""
        self._seal.forget(node)
        if ban:
            self._banned.add(node)

    def hub_up(self) -> None:
        """A life of the hub begins: it knows no session, and connects."""
        self._seal = HubSeal()
        self._banned.clear()
        self._connected = False
        self._connect(self._hub.life)

    def _connect(self, hub_life: int) -> None:
        if hub_life != self._hub.life or self._connected:
            return
        if self.up:
            self._connected = True
            self._hub.put(inputs.Reachable())
        else:
            self.clock.after(self.path.chance.uniform(0.5, _RECONNECT_S), lambda: self._connect(hub_life))

    def hub_down(self, *, flushed: bool) -> None:
        """The children stay connected, and are not heard."""
        self._connected = False

    def store_failed(self) -> None:
        """What was received is lost; the links repeat it."""

    # -------------------------------------------------------------------------------------------- its own end

    def kill(self) -> None:
        """It dies with all it held: no will is spoken."""
        self.up, self._connected = False, False
        self._lives += 1
        for _, wire in list(self._sessions.values()):
            wire.vanish(1, flushed=True)
        self._sessions.clear()
        if self._hub.alive:
            self._connect(self._hub.life)

    def start(self) -> None:
        """A new one, which knows nothing."""
        self.up = True
