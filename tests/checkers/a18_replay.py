"""A18. Compaction equals replay: what stands on a disk at the end is what its commits make of it.

Demands, of every disk that is read: each value that was committed last stands there, and nothing else; the
heads are those of the commits; own chained rows follow each other, by number and hash, up to the head; and a hub's rows
of a child end where its cursor stands.

Cannot see: what was on a disk that came from elsewhere before it was written anew.
"""

from __future__ import annotations

import hashlib
from operator import attrgetter

from protocol.link import cursor
from tests.checkers import base, world
from tests.checkers.history import Disk, Row
from tests.checkers.world import Machine


class Replay(base.Checker):
    """See the module."""

    rule = "A18"

    def watch(self) -> None:
        """Ask for the disks."""
        self.on(Disk, self._disk)

    def _disk(self, fact: Disk) -> None:
        machine = self.machine(fact)
        if machine.doubtful:
            return
        self._values(machine, fact)
        self._heads(machine, fact)
        self._own(fact)
        if machine.role == "hub":
            self._entries(machine, fact)

    def _values(self, machine: Machine, fact: Disk) -> None:
        for space, values in machine.spaces.items():
            for key, value in values.items():
                if machine.is_sure(space, key):
                    text = f"{space} {key} on the disk of {fact.node} is not what was committed last"
                    self.demand(fact.spaces.get(space, {}).get(key) == value, text)
        if not (machine.sure and self.world.exact):
            return  # a real daemon's disk was made before its history begins
        for space, values in fact.spaces.items():
            for key in values:
                known = key in machine.values(space)
                self.demand(known, f"{space} {key} stands on the disk of {fact.node}, and was never committed")

    def _heads(self, machine: Machine, fact: Disk) -> None:
        for name, own in machine.streams.items():
            if world.is_chained(name) and own.placed and own.sure:
                epoch, last, tip, _ = fact.heads.get(name, ("", 0, b"", 0))
                text = f"the head of {name} of {fact.node} is {epoch}/{last}; its commits end at {own.epoch}/{own.last}"
                self.demand((epoch, last) == (own.epoch, own.last) and tip == (own.hash or tip), text)

    def _own(self, fact: Disk) -> None:
        before: dict[str, Row] = {}
        for row in fact.own:
            last = before.get(row.stream)
            before[row.stream] = row
            if last is None or not world.is_chained(row.stream):
                continue
            follows = row.seq == last.seq + 1 and row.hash == hashlib.sha256(last.hash + row.raw).digest()
            gap = cursor.decode_gap(row.raw)
            self.demand(
                follows or gap is not None, f"row {row.seq} of {row.stream} of {fact.node} follows from nothing"
            )
        for stream, row in before.items():
            if world.is_chained(stream):
                last = fact.heads[stream][1]
                self.demand(
                    row.seq == last, f"{stream} of {fact.node} ends at {row.seq} on the disk, its head is {last}"
                )

    def _entries(self, hub: Machine, fact: Disk) -> None:
        ends: dict[tuple[str, str, str], int] = {}
        # A store that lost rows is filled in again: what was left stands before what came anew, as it arrived.
        rows = sorted(fact.entries, key=attrgetter("seq")) if hub.foreign else fact.entries
        for row in rows:
            where = (row.node, row.stream, row.epoch)
            if (row.node, row.epoch, row.stream) in hub.origins:
                continue  # what was missing may come late
            if row.seq <= ends.get(where, 0):
                raise self.broken(f"{fact.node} keeps row {row.seq} of {row.stream} of {row.node} out of its order")
            ends[where] = row.seq
        for (node, stream), held in hub.cursors.items():
            last = ends.get((node, stream, held.epoch), 0)
            text = f"{fact.node} keeps {stream} of {node} up to {last}; its cursor is at {held.seq}"
            if hub.is_sure("cursor", f"{node}/{stream}"):
                self.demand(last <= held.seq, text)
