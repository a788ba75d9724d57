"""What a producer was told is kept reaches the hub: nothing acknowledged is lost, except what a GAP declares.

Demands, of the hub's disk after Calm: every item that a producer heard is kept is there, was received before and let go
by retention, or lies in the range of a GAP that the hub holds. Counted from the producers' own ledgers.

Cannot see: nodes that are revoked or quarantined; what a device held when its own disk was taken from it (restored,
damaged, lost) and no parent had received: no promise covers that, and the hub shows the change of epoch.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from protocol import effects
from protocol.link import cursor, parent
from tests.checkers import base
from tests.checkers.history import Born, Disk, Kept, Stored, identity
from tests.checkers.items import item_of

_decode_child = msgspec.json.Decoder(parent.Record).decode


class NothingLost(base.Checker):
    """See the module."""

    rule = "nothing lost"

    def watch(self) -> None:
        """Ask for what is kept, received, and there at the end."""
        self._owed: dict[str, str] = {}
        self._early: set[str] = set()
        self._done: dict[str, str] = {}
        self._hub: Disk | None = None
        self.on(Born, self._born)
        self.on(Kept, self._kept)
        self.on(Disk, self._disk)
        self.on_op(effects.Received, self._receive)

    def _kept(self, fact: Kept) -> None:
        if fact.item in self._early:
            self._early.discard(fact.item)
            self._done[fact.item] = fact.node
        else:
            self._owed[fact.item] = fact.node

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if fact.role == "hub" and (machine.doubtful or machine.disk not in ("", fact.disk)):
            self._owed |= self._done  # a restored hub is to be refilled
            self._done = {}

    def _receive(self, fact: Stored, op: effects.Received) -> None:
        if op.stream == "relay":
            return
        for row in op.rows:
            item = item_of(op.node, row[1])
            if not item:
                continue
            node = self._owed.pop(item, "")
            if node:
                self._done[item] = node
            else:
                self._early.add(item)

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role == "hub" and self.world.calm_at is not None:
            self._hub = fact

    def end(self) -> None:
        """Compare what is owed with what is there."""
        hub = self._hub
        if hub is None:
            return
        self.judged += len(self._done)
        there, gaps = _found(hub)
        served = {node for node, raw in hub.spaces.get(parent.CHILD, {}).items() if _is_served(raw)}
        for item, machine in self._owed.items():
            node, stream, seq = self.world.items[item]
            if identity(machine) not in served or self.world.machine(machine).foreign or "~" in machine:
                continue
            declared = any(first <= seq <= last for first, last in gaps[node, stream])
            text = f"{item} was kept on {node} ({stream} {seq}); {hub.node} has neither it nor a gap"
            self.demand(item in there or declared, text)


def _is_served(raw: bytes) -> bool:
    record = _decode_child(raw)
    return not record.revoked and not record.quarantined


def _found(hub: Disk) -> tuple[set[str], defaultdict[tuple[str, str], list[tuple[int, int]]]]:
    """Return the items that a hub holds, and the gaps of each (node, stream)."""
    there: set[str] = set()
    gaps: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row in hub.entries:
        gap = cursor.decode_gap(row.raw) if b',"gap",' in row.raw else None
        if gap is not None:
            gaps[row.node, row.stream].append((gap.first, gap.last))
        there.add(item_of(row.node, row.raw))
    return there, gaps
