"""A7. Same (node, epoch, seq), same bytes: what a parent holds is what the device wrote, chained to all before it.

Demands: every chained row that a parent receives has the hash that its bytes and the row before give (computed here
anew); and some machine of that node has committed exactly that row under that number.

Cannot see: rows that a device committed and nobody noted (tests.checkers.history); what was set aside.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from protocol import effects, messages
from protocol.link import cursor
from tests.checkers import base, items, world
from tests.checkers.history import Born, Sent, Stored
from tests.checkers.world import Machine

_WIDTH = 8
_NOTHING = bytes(_WIDTH)


class _Track:
    """The rows that one disk was seen to have: eight bytes of the hash of each, by seq."""

    def __init__(self, marks: bytes = b"") -> None:
        self.marks = bytearray(marks)

    def put(self, seq: int, tip: bytes) -> None:
        at = seq * _WIDTH
        if len(self.marks) < at:
            self.marks.extend(bytes(at - len(self.marks)))
        self.marks[at : at + _WIDTH] = tip[:_WIDTH]

    def get(self, seq: int) -> bytes:
        return bytes(self.marks[seq * _WIDTH : (seq + 1) * _WIDTH]) or _NOTHING


class SameBytes(base.Checker):
    """See the module."""

    rule = "A7"

    def watch(self) -> None:
        """Ask for what is written and what is received."""
        self._tracks: defaultdict[tuple[str, str], list[_Track]] = defaultdict(list)
        self._now: dict[tuple[str, str], _Track] = {}
        self._aside: set[tuple[str, str]] = set()
        self.on(Born, self._born)
        self.on(Stored, self._stored)
        self.on_sent(messages.Entries, self._sent)
        self.on_op(effects.Rows, self._appended)
        self.on_op(effects.SetAside, self._set_aside)
        self.on_op(effects.Received, self._received)

    def _born(self, fact: Born) -> None:
        machine = self.machine(fact)
        if machine.doubtful or machine.disk != fact.disk:
            for where in [where for where in self._now if where[0] == fact.node]:
                del self._now[where]

    def _track(self, machine: Machine, stream: str) -> _Track:
        where = (machine.name, stream)
        if where not in self._now:
            self._now[where] = _Track()
            self._tracks[machine.node, stream].append(self._now[where])
        return self._now[where]

    def _stored(self, fact: Stored) -> None:
        self._aside.clear()

    def _set_aside(self, fact: Stored, op: effects.SetAside) -> None:
        self._aside.add((op.node, op.stream))

    def _appended(self, fact: Stored, op: effects.Rows) -> None:
        if world.is_chained(op.stream):
            track = self._track(self.machine(fact), op.stream)
            for seq, _, tip in op.rows:
                track.put(seq, tip)

    def _sent(self, fact: Sent, message: messages.Entries) -> None:
        machine = self.machine(fact)
        if not message.hash or not message.rows or machine.own(message.stream).sure:
            return
        track, last = self._track(machine, message.stream), items.last_seq(message)
        if track.get(last) == _NOTHING:
            track.put(last, bytes.fromhex(message.hash))

    def _received(self, fact: Stored, op: effects.Received) -> None:
        if not world.is_chained(op.stream):
            return
        hub = self.machine(fact)
        relayed = self.world.is_relayed(op)
        held = None if relayed else hub.cursors.get((op.node, op.stream))
        known = held is not None and hub.is_sure("cursor", f"{op.node}/{op.stream}")
        whole = known and (op.node, op.stream) not in self._aside
        tip = b""
        if whole and held is not None:
            tip = bytes.fromhex(held.hash)
        tracks = self._tracks[op.node, op.stream]
        guess = any(not one.sure for one in self.world.machines.values() if one.node == op.node)
        sha256 = hashlib.sha256
        for seq, raw, hash_, _, kind, _ in op.rows:
            if kind == cursor.GAP:
                tip = hash_
                continue
            if tip:
                tip = sha256(tip + raw).digest()
                if tip != hash_:
                    raise self.broken(f"row {seq} of {op.stream} of {op.node} does not follow from the row before it")
            mark = hash_[:_WIDTH]
            marks = [track.get(seq) for track in tracks]
            if mark not in marks and not (guess and (not marks or _NOTHING in marks)):
                raise self.broken(
                    f"{fact.node} holds row {seq} of {op.stream} of {op.node}, which was never written so"
                )
        self.judged += len(op.rows)
