"""A5. One transaction holds an entry's effect, the cursor and the intent to ack.

Demands, of every parent: rows are received together with the cursor that names the last of them, its hash too; a cursor
moves within an epoch only with the rows (or the bytes set aside) that it passes; the result of a task is stored with
the row that tells it.

Cannot see: what a core keeps beside the store.
"""

from __future__ import annotations

import msgspec

from hub.core.work import tasks
from protocol import effects, status
from protocol.link import parent, parent_entries
from protocol.messages import RELAYS
from tests.checkers import base
from tests.checkers.history import Stored
from tests.checkers.items import words_of

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_child = msgspec.json.Decoder(parent.Record).decode
_decode_group = msgspec.json.Decoder(tasks.Group).decode
_decode_result = msgspec.json.Decoder(tasks.Result).decode
_decode_said = msgspec.json.Decoder(status.TaskFact).decode

_Channel = tuple[str, str]


class OneTransaction(base.Checker):
    """See the module."""

    rule = "A5"

    def watch(self) -> None:
        """Ask for what is received, cursors and results."""
        self._reach: dict[_Channel, int] = {}
        self._open: dict[_Channel, tuple[int, bytes]] = {}
        self._told: list[tuple[str, str]] = []
        self.on(Stored, self._stored)
        self.on_op(effects.SetAside, self._set_aside)
        self.on_op(effects.Received, self._received)
        self.on_op(effects.Put, self._put)

    def _stored(self, fact: Stored) -> None:
        self._reach.clear()
        self._open.clear()
        self._told.clear()
        received = [op for op in fact.ops if isinstance(op, effects.Received)]
        left = {(op.node, op.stream) for op in received if not self.world.is_relayed(op)}
        for op in fact.ops:
            if isinstance(op, effects.Put) and op.space == parent_entries.CURSOR:
                node, _, stream = op.key.partition("/")
                left.discard((node, stream))
        for node, stream in left:
            raise self.broken(f"{fact.node} stores rows of {stream} of {node} without their cursor")
        if received:
            self._check_results(fact)

    def _set_aside(self, fact: Stored, op: effects.SetAside) -> None:
        where = (op.node, op.stream)
        self._reach[where] = max(op.seq, self._reach.get(where, 0))

    def _received(self, fact: Stored, op: effects.Received) -> None:
        if self.world.is_relayed(op):
            return
        where, last = (op.node, op.stream), op.rows[-1]
        self._reach[where] = max(last[0], self._reach.get(where, 0))
        self._open[where] = last[0], last[2]

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space != parent_entries.CURSOR:
            return
        node, _, stream = op.key.partition("/")
        now, before = _decode_cursor(op.value), self.machine(fact).cursors.get((node, stream))
        seq, tip = self._open.pop((node, stream), (0, b""))
        text = f"{fact.node} puts its cursor for {stream} of {node} to {now.seq}"
        if seq > now.seq or (tip and seq == now.seq and now.hash != tip.hex()):
            raise self.broken(f"{text}, and has received row {seq}")
        if stream in RELAYS:
            return  # its rows stand as their origins' (b_relay)
        child = self.machine(fact).get(parent.CHILD, node)
        if child is not None and _decode_child(child).adopted:
            return  # it comes from another hub, which has what lies between
        if before is not None and before.epoch == now.epoch and self.machine(fact).is_sure(op.space, op.key):
            reach = max(before.seq, self._reach.get((node, stream), 0))
            self.demand(now.seq <= reach, f"{text}; what came with it ends at {reach}")

    def _check_results(self, fact: Stored) -> None:
        """Compare what tasks are told to have become with what is stored of them."""
        puts = {(op.space, op.key): op.value for op in fact.ops if isinstance(op, effects.Put)}
        gone = {(op.space, op.key) for op in fact.ops if isinstance(op, effects.Delete)}
        for op in fact.ops:
            if not isinstance(op, effects.Received) or op.stream != "state":
                continue
            for _, raw, _, _, kind, task in op.rows:
                if kind == "task.ended" and (tasks.GROUPS, task) not in gone:
                    self._check_result(fact, op.node, task, raw, puts)

    def _check_result(self, fact: Stored, node: str, task: str, raw: bytes, puts: dict[tuple[str, str], bytes]) -> None:
        hub, key = self.machine(fact), f"{task}/{node}"
        group = puts.get((tasks.GROUPS, task)) or hub.get(tasks.GROUPS, task)
        if group is None or node not in _decode_group(group).nodes or not hub.is_sure(tasks.GROUPS, task):
            return
        stored = puts.get((tasks.RESULTS, key)) or hub.get(tasks.RESULTS, key)
        state = _decode_result(stored).state if stored is not None else "nothing"
        said = _decode_said(words_of(raw)[2])
        text = f"{fact.node} receives that task {task} on {node} is {said.state}, and stores {state} of it"
        self.demand(state in tasks.ENDED, text)
