"""One region of a crowd of regions: the real core of a hub and its real link up over TLS; the rest is in memory.

Its devices are words spoken to its core as its door would pass them on: enrolled, greeted, and then each follows every
manifest at once and says so in a Status. What the core stores is kept in memory, as an ideal disk would.
"""

from __future__ import annotations

import asyncio
import os
import time

import msgspec

from hub.core import inputs, streams
from hub.core.hub import HubConfig, HubCore
from hub.shell.authority import Authority
from hub.shell.home import Home, Parent, Place
from hub.shell.uplink import HubTrust
from protocol import effects, messages, status
from protocol.aio import tls
from protocol.aio.joining import words
from protocol.effects import Effects, Now
from protocol.link import table
from protocol.trust import signing
from tests.support.crowd_socket import ChildSocket
from tests.support.memory_store import MemoryStore, OwnRows

LABELS = {"role": "simulated"}
_SECRET = signing.secret_hash("s3cret")
_ASSIGNMENT = "assignment/"


class Device:
    """A device that is only words: what it was asked, and what it says of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.held = messages.Held()
        self.healthy: bool | None = None
        self._items: dict[str, str] = {}

    def follow(self, desired: messages.Desired) -> None:
        """Take a manifest."""
        base = self._items if desired.base else {}
        self._items = {one: digest for one, digest in (base | desired.put).items() if one not in desired.gone}
        signed = desired.signed
        self.held = messages.Held(term=signed.term, generation=signed.generation, digest=signed.digest)

    def hello(self) -> messages.Hello:
        """Return its first word."""
        return messages.Hello(session=1, nonce="00" * 16, node=self.name, version="simulated")

    def status(self) -> messages.Status:
        """Return how it is: all that it was asked runs."""
        self.count += 1
        services = {
            item.removeprefix(_ASSIGNMENT): status.ServiceReport(state="running", digest=digest, healthy=self.healthy)
            for item, digest in self._items.items()
            if item.startswith(_ASSIGNMENT)
        }
        body = msgspec.Raw(status.encode(status.Report(services=services)))
        return messages.Status(session=1, count=self.count, held=self.held, heads={}, time_ms=_now_ms(), body=body)


class Region:
    """A hub below the one that `found` its papers in `home` (tests.support.enrolled), with so many devices."""

    def __init__(self, home: Home, port: int, devices: int) -> None:
        self.name, self._port = home.folder.name, port
        keys = Authority(home, self.name)
        self._parent = keys.path[-2]
        self._context = tls.child_context(
            chain=keys.tls_chain_path, key=keys.tls_key_path, root=home.path("root.pem"), name=keys.parent_scope
        )
        own = {name: OwnRows(os.urandom(8).hex()) for name in streams.names(has_parent=True)}
        self._disk = MemoryStore(self.name, streams=own)
        place = Place(host="127.0.0.1", port=port)
        link = words.Mqtt(host=place.host, port=port, name=keys.parent_scope)
        above = Parent(id=self._parent, scope=keys.parent_scope, mqtt=link, api=place)
        config = HubConfig(
            node=self.name,
            signer=keys.signer(),
            ticket_secret=keys.ticket_secret,
            parent=self._parent,
            trust=HubTrust(home, above),
        )
        self.core = HubCore(self._disk.snapshot(), config)
        self.devices = {name: Device(name) for name in (f"{self.name}-{number}" for number in range(devices))}
        self._socket: ChildSocket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin its life: its devices are there, and it connects."""
        self._take(inputs.Started(entropy=os.urandom(32), incarnation=os.urandom(8).hex(), version="simulated"))
        uses = len(self.devices)
        self._ask(inputs.CreateToken(id="crowd", secret_hash=_SECRET, ttl_s=3_600.0, uses=uses, labels=LABELS))
        for device in self.devices.values():
            self._enroll(device.name)
            self._take(inputs.Opened(node=device.name, connection=1, key=signing.secret_hash(device.name)))
            self._take(inputs.Got(node=device.name, connection=1, message=device.hello()))
            self.tell(device)

    def tell(self, device: Device) -> None:
        """Let a device say how it is."""
        self._take(inputs.Got(node=device.name, connection=1, message=device.status()))

    def close(self) -> None:
        """End without a word."""
        for one in (self._timer, self._opening):
            if one is not None:
                one.cancel()
        if self._socket is not None:
            self._socket.left = True
            self._socket.abort()

    # -------------------------------------------------------------------------------------------- as a driver does

    def _take(self, given: inputs.Input) -> Effects:
        fx = self.core.handle(given, Now(time.monotonic(), time.time()))
        self._disk.commit(fx.store)
        for send in fx.send:
            self._send(send)
        for act in fx.act:
            if isinstance(act, table.Connect):
                self._connect(act)
            elif isinstance(act, table.Disconnect) and self._socket is not None:
                self._socket.leave()
                self._socket = None
        self._arm(fx.wake_at)
        return fx

    def _put(self, given: inputs.Input) -> None:
        self._take(given)

    def _arm(self, due: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due, self._put, inputs.Tick())

    def _send(self, send: effects.Send | effects.SendRows) -> None:
        message = send.message if isinstance(send, effects.Send) else self._disk.read(send)
        if send.peer == self._parent:
            if self._socket is not None and message is not None:
                self._socket.send(message)
        elif isinstance(message, messages.Desired):
            device = self.devices[send.peer]
            device.follow(message)
            asyncio.get_running_loop().call_soon(self.tell, device)

    def _connect(self, asked: table.Connect) -> None:
        session = asked.session
        self._socket = ChildSocket(
            self._context,
            hub=self._parent,
            node=self.name,
            will=messages.Bye(session=session, nonce=asked.nonce, reason="the connection broke"),
            opened=lambda: self._put(inputs.UpOpened(session=session)),
            got=lambda message: self._put(inputs.UpGot(message=message)),
            closed=lambda reason: self._put(inputs.UpClosed(session=session, reason=reason)),
        )
        self._opening = asyncio.get_running_loop().create_task(_open(self._socket, self._port))

    # -------------------------------------------------------------------------------------------- its devices

    def _ask(self, op: inputs.AnyOp) -> Effects:
        return self._take(inputs.Request(request=1, who="device", op=op))

    def _enroll(self, name: str) -> None:
        asked = inputs.Enroll(
            token="crowd", secret_hash=_SECRET, name=name, csr="CSR", key=signing.secret_hash(name), labels=LABELS
        )
        (issue,) = (one for one in self._ask(asked).act if isinstance(one, inputs.IssueCertificate))
        self._take(inputs.CertificateIssued(request=issue.request, node=name, certificate="CERT", until_ms=1))


async def _open(sock: ChildSocket, port: int) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: sock, "127.0.0.1", port)
    except OSError as error:
        sock.ended(str(error))


def _now_ms() -> int:
    return int(time.time() * 1000)
