"""Somebody who carries sticks between devices and hubs: what is on one is bytes, and may come late, again, or in part.

As the commands `skerry bundle export`, `skerry import` and their twins at the device do it, over the real cores; but
what is half copied is refused there before any core sees it: here the cores have to refuse it (decision 0050).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.core import inputs as agent
from edge_agent.core.upward.courier import Opened
from edge_agent.core.upward.courier import Plan as Said
from hub.core import inputs as hub
from protocol import codec, limits
from protocol.aio.driver import message_of
from protocol.bundle import head
from protocol.effects import SendRows
from protocol.link import cursor
from tests.sim import plan
from tests.sim.disk import done
from tests.sim.hub import Hub

if TYPE_CHECKING:
    from tests.sim.device import Device
    from tests.sim.world import World

_AGAIN_S = 20.0
_TRIES_MAX = 5


@dataclass(frozen=True)
class Stick:
    """`bundle.json`, and the parts by name, in their order. `hub` and `node` are whom it is between."""

    hub: str
    node: str
    raw: bytes
    parts: dict[str, bytes]

    def half(self) -> Stick:
        """Return what can be read of it when half of it cannot."""
        kept = list(self.parts.items())[: len(self.parts) // 2]
        return Stick(self.hub, self.node, self.raw, dict(kept))


class Courier:
    """See the module."""

    def __init__(self, world: World) -> None:
        self._world, self._clock = world, world.clock

    def carry(self, item: plan.Carry) -> None:
        """Export now, and bring it later."""
        device = self._world.devices[item.node]
        if item.way == "up":
            device.local(agent.LocalBundleExport(), lambda data, error: self._exported(item, device, data, error))
        else:
            home = device.home
            ask = hub.ExportBundle(node=device.node)
            home.ask(ask, lambda data, error: self._handed_out(item, home.name, data, error))

    def _later(self, item: plan.Carry, stick: Stick) -> None:
        kind = "stick half" if item.half else "stick astray" if item.to else "stick again" if item.again_s else "stick"
        self._world.fault(kind, self._world.devices[item.node], f"{item.way}, after {item.after_s:.0f} s")
        first = stick.half() if item.half else stick
        self._clock.after(item.after_s, lambda: self._bring(item, first, 1))
        if item.again_s:
            self._clock.after(item.after_s + item.again_s, lambda: self._bring(item, stick, 1))

    def _bring(self, item: plan.Carry, stick: Stick, tries: int) -> None:
        """Import it; who finds nobody there comes again, a few times."""
        at = self._world.node(item.to or (stick.hub if item.way == "up" else item.node))
        if self._world.calm or tries > _TRIES_MAX:
            return
        if not at.alive:
            self._clock.after(_AGAIN_S, lambda: self._bring(item, stick, tries + 1))
        elif isinstance(at, Hub):
            self._bring_up(at, stick)
        else:
            self._bring_down(self._world.devices[at.name], stick)

    # -------------------------------------------------------------------------------------------- up

    def _exported(self, item: plan.Carry, device: Device, data: bytes, error: str) -> None:
        if error:
            return
        said = msgspec.json.decode(data, type=Said)
        parts: dict[str, bytes] = {}
        for send in said.rows:
            found = _messages(device, send)
            if found is None:
                return
            parts |= {hashlib.sha256(raw).hexdigest(): raw for raw in found}
        up = head.Up(
            hub=said.hub,
            node=said.node,
            time_ms=said.time_ms,
            parts={name: len(raw) for name, raw in parts.items()},
            hello=said.hello,
            status=said.status,
            rows=list(parts),
            join=head.Join(token=device.invited, csr=device.csr) if device.invited else None,
        )
        body = head.encode(up)
        proof = device.sign("up", up.hub, head.hash_of(body))
        self._later(item, Stick(said.hub, said.node, head.join(body, proof), parts))

    def _bring_up(self, at: Hub, stick: Stick) -> None:
        """A device that was invited, and that its hub has not met, is enrolled first (skerry import)."""
        up, *_ = head.read(stick.raw, head.Up)

        def taken(data: dict[str, Any] | None, error: str) -> None:
            if data is not None and not error:
                self._next(at, stick, list(data["rows"]))
            elif up.join is not None and "has not enrolled yet" in error:
                op = self._world.enrolling(self._world.devices[up.node], up.join.token)
                at.ask(op, lambda _, error: None if error else self._bring_up(at, stick))

        at.ask(hub.TakeBundle(head=stick.raw), taken)

    def _next(self, at: Hub, stick: Stick, left: list[str]) -> None:
        """Send one part after the other, those that can be read."""
        while left and left[0] not in stick.parts:
            left.pop(0)
        if left:
            part = hub.TakePart(node=stick.node, raw=stick.parts[left.pop(0)])
            at.ask(part, lambda _, error: None if error else self._next(at, stick, left))

    # -------------------------------------------------------------------------------------------- down

    def _handed_out(self, item: plan.Carry, home: str, data: dict[str, Any] | None, error: str) -> None:
        if error or data is None:
            return
        core, parts = self._world.hubs[home].hub_core, dict[str, bytes]()
        for name in data["parts"]:
            parts[name] = core.parent.couriers.part(data["node"], name) or b""
        self._later(item, Stick(home, data["node"], data["head"].encode(), parts))

    def _bring_down(self, device: Device, stick: Stick) -> None:
        def opened(data: bytes, error: str) -> None:
            if error:
                return
            wanted = msgspec.json.decode(data, type=Opened)
            names = [name for name in wanted.documents if name in stick.parts]
            artifacts = [head.digest_of(name) for name in stick.parts if name not in wanted.documents]
            device.artifacts.update(dict.fromkeys(artifacts))
            documents = [stick.parts[name] for name in names]
            device.local(agent.LocalBundleTake(head=stick.raw, documents=documents, artifacts=artifacts))

        device.local(agent.LocalBundleOpen(head=stick.raw), opened)


def _messages(device: Device, send: SendRows) -> list[bytes] | None:
    """Return what the rows of a plan are on the wire; None when the journal went on meanwhile."""
    found: list[bytes] = []
    while send.after < send.upto:
        rows = done(device.journal.rows(send.stream, send.epoch, send.after, send.upto, limits.ENTRIES_BYTES_MAX))
        message = message_of(send, rows)
        if message is None or (rows[0][0] != send.after + 1 and cursor.decode_gap(rows[0][1]) is None):
            return None
        found.append(codec.encode(message))
        send = msgspec.structs.replace(send, after=rows[len(message.rows) - 1][0])
    return found
