"""What a producer was told is kept reaches the hubs above it: nothing acknowledged is lost, except what is declared.

Demands, of each hub's disk after Calm, of every device below it at any depth: every item that a producer heard is kept
is there, was received before and let go by retention, or is declared: in the range of a GAP that the hub holds, or
listed as missing of a device that a hub below relays, or held back at that hub, which has still to tell it
(limits.HELD_EVERY_S). Counted from the producers' own ledgers.

Cannot see: nodes that are revoked or quarantined, and all below them; at a hub that is not above all the hubs that a
device has belonged to, what it said to those; what a device held when its own disk was taken
from it (restored, damaged, lost) and no parent had received: no promise covers that, and the hub shows the change of
epoch; what a hub on the way lost with its disk, if it is listed as a hole above.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from hub.core.up import held
from protocol import effects
from protocol.link import cursor
from protocol.link.relay import records
from protocol.link.relay.missing import Why
from tests.checkers import base, served, world
from tests.checkers.history import Born, Disk, Kept, Stored, identity
from tests.checkers.items import item_of

_Ranges = defaultdict[tuple[str, str], list[tuple[int, int]]]

_decode_range = msgspec.json.Decoder(held.Range).decode
_decode_origin = msgspec.json.Decoder(records.Record).decode


class NothingLost(base.Checker):
    """See the module."""

    rule = "nothing lost"

    def watch(self) -> None:
        """Ask for what is kept, received, and there at the end."""
        self._owed: dict[str, str] = {}
        self._got: defaultdict[str, set[str]] = defaultdict(set)
        """Hub -> items that it has received on its present disk."""
        self._disks: dict[str, Disk] = {}
        self.on(Born, self._born)
        self.on(Kept, self._kept)
        self.on(Disk, self._disk)
        self.on_op(effects.Received, self._receive)

    def _kept(self, fact: Kept) -> None:
        self._owed[fact.item] = fact.node

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if fact.role == "hub" and (machine.doubtful or machine.disk not in ("", fact.disk)):
            self._got[fact.node].clear()  # a restored hub is to be refilled

    def _receive(self, fact: Stored, op: effects.Received) -> None:
        got = self._got[fact.node]
        for row in op.rows:
            item = item_of(op.node, row[1])
            if item:
                got.add(item)

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role == "hub" and self.world.calm_at is not None:
            self._disks[fact.node] = fact

    def end(self) -> None:
        """Compare what is owed with what is there, at each hub."""
        for hub in self._disks.values():
            self._hub(hub)

    def _hub(self, hub: Disk) -> None:
        there, gaps = _found(hub)
        there |= self._got[hub.node]
        for key, ranges in self._missing(hub).items():
            gaps[key] += ranges
        below = self._below(hub)
        for one in (self._disks[node] for node in below if node in self._disks):
            for back in map(_decode_range, one.spaces.get(held.SPACE, {}).values()):
                gaps[back.at.rpartition("/")[2], back.stream].append((back.first, back.last))
        elsewhere = {node for node, homes in self.world.homes.items() if homes - below - {hub.node}}
        for item, machine in self._owed.items():
            node, stream, seq = self.world.items[item]
            if identity(machine) not in below - elsewhere or self.world.machine(machine).foreign or "~" in machine:
                continue
            declared = any(first <= seq <= last for first, last in gaps[node, stream])
            text = f"{item} was kept on {node} ({stream} {seq}); {hub.node} has neither it nor a gap"
            self.demand(item in there or declared, text)

    def _below(self, hub: Disk) -> set[str]:
        """Return who is served below `hub`, at any depth."""
        below = set(served.by(hub, self._disks, self.world.revoked))
        for node in list(below):
            if node in self._disks and node != hub.node:
                below |= self._below(self._disks[node])
        return below

    def _missing(self, hub: Disk) -> _Ranges:
        """Return what is listed as missing; a hole counts only where a disk below this hub was taken from it."""
        found: _Ranges = defaultdict(list)
        is_lost = any(one.foreign for one in self.world.machines.values() if one.role == "hub")
        for key, raw in hub.spaces.get(records.ORIGIN, {}).items():
            node, _, stream = world.origin(key)
            for one in _decode_origin(raw).missing:
                if one.why is not Why.HOLE or is_lost:
                    found[node, stream].append((one.first, one.last))
        return found


def _found(hub: Disk) -> tuple[set[str], _Ranges]:
    """Return the items that a hub holds, and the gaps of each (node, stream)."""
    there: set[str] = set()
    gaps: _Ranges = defaultdict(list)
    for row in hub.entries:
        gap = cursor.decode_gap(row.raw) if b',"gap",' in row.raw else None
        if gap is not None:
            gaps[row.node, row.stream].append((gap.first, gap.last))
        there.add(item_of(row.node, row.raw))
    return there, gaps
