"""A device that belongs to another hub than before: that one asks it from then on, and its former hub is nobody to it.

Demands: what a device says in the lives after it has turned goes to the hub that it turned to; the first manifest that
it holds of that hub has a higher term than what its former hub asked, which is in force until then, and alarms nobody.
And of the disks that are read after Calm: of all hubs only the one that it looks up to serves it, and no order to move
it is open.

Cannot see: devices whose disk came from elsewhere, revoked ones. What it runs, and its rows, are judged at every hub by
the rules for these (needless restart, nothing lost, nothing twice, relay).
"""

from __future__ import annotations

import msgspec

from edge_agent.core.upward import home
from hub.core import registry
from hub.core.rehome import orders
from protocol import effects
from protocol.link import child_desired
from tests.checkers import base, served
from tests.checkers.history import Disk, Sent, Stored

_ALARM = b'"restored-parent"'
_decode_home = msgspec.json.Decoder(home.Kept).decode
_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode
_decode_order = msgspec.json.Decoder(orders.Record).decode


class Moves(base.Checker):
    """See the module."""

    rule = "moves"

    def watch(self) -> None:
        """Ask for turns, what is said and asked afterwards, and the disks."""
        self._home: dict[str, tuple[str, int]] = {}
        """Machine -> the hub that it turned to, and in which life."""
        self._before: dict[str, tuple[int, int]] = {}
        """Machine -> what it held when it turned, until its new hub asks."""
        self._disks: dict[str, Disk] = {}
        self.on(Sent, self._sent)
        self.on(Disk, self._disk)
        self.on_op(effects.Put, self._put)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        machine = self.machine(fact)
        if machine.role != "hub" and op.space == home.SPACE and op.key == "home":
            to = _decode_home(op.value).to
            if to is not None and to.id != self._home.get(fact.node, ("", 0))[0]:
                self._home[fact.node] = to.id, machine.life
                held = [_version(raw) for raw in machine.values(child_desired.MANIFEST).values()]
                self._before[fact.node] = max(held, default=(0, 0))
        elif op.space == child_desired.MANIFEST and op.key == self._home.get(fact.node, ("", 0))[0]:
            self._asked(fact, op)
        elif op.space == registry.SPACE and self._home.get(op.key, ("", 0))[0] == fact.node:
            self._alarmed(fact, op)

    def _alarmed(self, fact: Stored, op: effects.Put) -> None:
        """That it holds more than its new hub ever asked is no sign of a hub that was restored."""
        hub = self.machine(fact)
        if op.key in self._before and not (hub.foreign or self.world.machine(op.key).foreign):
            is_new = _ALARM in op.value and _ALARM not in (hub.get(op.space, op.key) or b"")
            self.demand(not is_new, f"{fact.node} takes what {op.key} holds of its former hub for its own past")

    def _asked(self, fact: Stored, op: effects.Put) -> None:
        before, now = self._before.get(fact.node), _version(op.value)
        if before is None or now == before:
            return  # handed over with the turn
        text = f"{fact.node} takes generation {now[1]} of term {now[0]} of {op.key}"
        sure = self.machine(fact).sure and before != (0, 0)
        self.demand(now[0] > before[0] or not sure, f"{text}, and held {before[1]} of {before[0]} of its former hub")
        del self._before[fact.node]

    def _sent(self, fact: Sent) -> None:
        found = self._home.get(fact.node)
        if found is not None and self.machine(fact).life > found[1] and not self.machine(fact).foreign:
            to = f"{fact.node} says {type(fact.message).__name__} to {fact.peer}"
            self.demand(fact.peer == found[0], f"{to}, and belongs to {found[0]}")

    # -------------------------------------------------------------------------------------------- at the end

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role == "hub" and self.world.calm_at is not None:
            self._disks[fact.node] = fact

    def end(self) -> None:
        """Look who serves it, and whether somebody still says that it is to move."""
        gone = self.world.revoked
        hubs = [hub for hub in self._disks.values() if hub.node not in gone]
        for machine, (to, _) in self._home.items() if hubs else ():
            node = self.world.machine(machine).node
            if node in gone or to in gone or self.world.machine(machine).foreign:
                continue
            serving = [hub.node for hub in hubs if node in served.by(hub, self._disks, gone)]
            self.demand(not set(serving) - {to}, f"{node} belongs to {to}, and is served by {' and '.join(serving)}")
            for hub in hubs if self.world.exact else ():
                raw = hub.spaces.get(orders.ORDER, {}).get(node)
                order = _decode_order(raw) if raw is not None else None
                is_open = order is not None and order.is_open and order.move.former not in gone
                self.demand(not is_open, f"{hub.node} still says that {node} is to move to {to}")


def _version(raw: bytes) -> tuple[int, int]:
    signed = _decode_manifest(raw).signed
    return signed.term, signed.generation
