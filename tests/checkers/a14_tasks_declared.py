"""A14. A task's delivery is declared: START is journaled before exec, and nothing runs twice that may not.

Demands, of what the machine itself saw run: a task's process begins only after START of that attempt is committed; no
instance runs twice; a second attempt begins only if the task was declared safe to repeat. And of what is journaled:
an END comes once (again only after a GAP took its row), and says ok, failed or unknown only of what was started.

Cannot see: a device whose disk came from elsewhere while a task was open (its START may be lost with the disk).
"""

from __future__ import annotations

import msgspec

from edge_agent.core import tasks
from protocol import effects, status
from tests.checkers import base
from tests.checkers.history import Ran, Stored
from tests.checkers.items import words_of
from tests.checkers.world import Machine

_decode = msgspec.json.Decoder(tasks.Record).decode
_decode_said = msgspec.json.Decoder(status.TaskFact).decode

_Task = tuple[str, str]


class TasksDeclared(base.Checker):
    """See the module."""

    rule = "A14"

    def watch(self) -> None:
        """Ask for what runs and what is journaled of tasks."""
        self._ran: set[tuple[str, str]] = set()
        self._started: set[_Task] = set()
        self._ended: dict[_Task, int] = {}
        """The row of each END."""
        self._gap: dict[str, effects.Gap] = {}
        """The last GAP of each machine's `state`."""
        self._repeatable: dict[str, bool] = {}
        self._task_of: dict[str, str] = {}
        self.on(Ran, self._run)
        self.on_op(effects.Put, self._put)
        self.on_op(effects.Rows, self._rows)
        self.on_op(effects.Gap, self._went)

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == "task":
            record = _decode(op.value)
            if record.document is not None and record.instance:
                self._repeatable[op.key] = record.document.repeatable
                self._task_of[record.instance] = op.key

    def _went(self, fact: Stored, op: effects.Gap) -> None:
        if op.stream == "state":
            self._gap[fact.node] = op

    def _rows(self, fact: Stored, op: effects.Rows) -> None:
        machine = self.machine(fact)
        if op.stream != "state" or machine.role == "hub":
            return
        for seq, raw, _ in op.rows:
            if b',"task.' in raw:
                self._journaled(machine, seq, raw)

    def _journaled(self, machine: Machine, seq: int, raw: bytes) -> None:
        kind, task, body = words_of(raw)
        if machine.foreign:
            return
        if kind == "task.started":
            self._started.add((machine.name, task))
        elif kind == "task.ended":
            said = _decode_said(body)
            text = f"{machine.name} journals that task {task} is {said.state}"
            before, gap = self._ended.get((machine.name, task)), self._gap.get(machine.name)
            lost = before is not None and gap is not None and gap.first <= before <= gap.last
            self.demand(before is None or lost, f"{text}, and it had ended already")
            self._ended[machine.name, task] = seq
            if said.state in ("failed", "unknown") and machine.sure:
                self.demand((machine.name, task) in self._started, f"{text}, and it was never started")

    def _run(self, fact: Ran) -> None:
        machine = self.machine(fact)
        if not fact.instance.startswith("t-"):
            return
        once = (fact.node, fact.instance)
        self.demand(once not in self._ran or machine.foreign, f"{fact.instance} runs a second time on {fact.node}")
        self._ran.add(once)
        task = self._task_of.get(fact.instance, fact.proof or fact.instance[2:])
        if machine.sure:
            journaled = (fact.node, task) in self._started
            self.demand(journaled, f"{fact.instance} runs on {fact.node}, and START is not in a commit")
        if fact.instance != f"t-{task}":
            repeatable = self._repeatable.get(task, False)
            self.demand(repeatable, f"{fact.instance} runs on {fact.node}: task {task} again, undeclared")
