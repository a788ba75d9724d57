"""One-off work: groups of tasks, one task for each node that was chosen, at whatever depth.

A node is named by its address (protocol.ids.address). What is for nodes below a child hub crosses as one errand for all
of them, which leaves the hub's manifest when the last of them has ended.

A task's id is its group's, so that all nodes of a group share one document (one digest, one body). What a task is doing
is derived: `pending` or `away` until its node says more, then what task.started and task.ended say. It stays in
the node's manifest until its terminal entry is here (DESIGN 4), also past its deadline: the device refuses it then and
says so. After limits.TASK_LINGER_S of silence the hub lets go of it and calls it unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from protocol import documents, limits, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

GROUPS = "group"
RESULTS = "result"
ENDED = frozenset({"ok", "failed", "refused", "unknown", "cancelled"})


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked, of whom. Times are milliseconds of the hub's clock; `deadline_ms` 0: none."""

    id: str
    number: int
    """Counts the groups of this hub: their order."""
    by: str
    created_ms: int
    until_ms: int
    """Then the hub lets go of it, answered or not."""
    document: documents.Task
    nodes: list[str]
    """Addresses."""
    errand: bool = False
    """A hub above asked for it."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node said of its task; `time_ms` is the hub's clock when it was heard."""

    state: str
    time_ms: int
    exit_code: int | None = None
    signal: int | None = None
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0
    reason: str = ""
    run: str = ""
    """The run that a task started, if it was to start a workflow."""

    def size(self) -> int:
        """Return how much of limits.RESULTS_BYTES_MAX it takes."""
        return len(self.stdout) + len(self.stderr)


class _Open:
    """A group with what its nodes said."""

    def __init__(self, record: Group) -> None:
        self.record = record
        self.results: dict[str, Result] = {}
        self._asked = frozenset(record.nodes)
        self.waiting = dict.fromkeys(record.nodes)
        self._of_child: dict[str, list[str]] = {}
        for address in record.nodes:
            child, _, below = address.partition("/")
            self._of_child.setdefault(child, []).append(below)
        self._left = {child: len(below) for child, below in self._of_child.items()}
        self._task = _encoded(record.document)
        self._items: dict[str, tuple[str, bytes]] = {}

    def has_asked(self, address: str) -> bool:
        return address in self._asked

    def children(self) -> list[str]:
        return list(self._of_child)

    def waits_for(self, child: str) -> bool:
        return self._left.get(child, 0) > 0

    def addresses(self, child: str) -> list[str]:
        return [f"{child}/{below}" if below else child for below in self._of_child.get(child, ())]

    def item(self, child: str) -> tuple[str, bytes]:
        """Return (document id, bytes) of what `child` is asked for: the task itself, or an errand for what is below."""
        if self._of_child[child] == [""]:
            return self._task
        if child not in self._items:
            self._items[child] = _encoded(documents.Errand(task=self.record.document, at=self._of_child[child]))
        return self._items[child]

    def take(self, address: str, result: Result) -> None:
        self.results[address] = result
        if result.state in ENDED and self.waiting.pop(address, self) is None:
            self._left[address.partition("/")[0]] -= 1


def _encoded(document: documents.Task | documents.Errand) -> tuple[str, bytes]:
    return documents.document_id(document), documents.encode(document)


class Tasks:
    """All groups that are kept, oldest first."""

    def __init__(self, snapshot: Snapshot) -> None:
        groups = msgspec.json.Decoder(Group)
        found = [groups.decode(raw) for raw in snapshot.spaces.get(GROUPS, {}).values()]
        found.sort(key=lambda group: group.number)
        self._groups = {group.id: _Open(group) for group in found}
        self._number = found[-1].number + 1 if found else 1
        self._doomed: list[str] = []
        """Keys of results whose group is gone; deleted some at a time."""
        self._size = 0
        results = msgspec.json.Decoder(Result)
        for key, raw in sorted(snapshot.spaces.get(RESULTS, {}).items()):
            group, _, node = key.partition("/")
            if group in self._groups:
                result = results.decode(raw)
                self._groups[group].take(node, result)
                self._size += result.size()
            else:
                self._doomed.append(key)
        self._next_ms = min((record.until_ms for record in self.groups()), default=math.inf)
        self._of_child: dict[str, dict[str, None]] = {}
        for open_ in self._groups.values():
            self._list(open_)

    # -------------------------------------------------------------------------------------------- reading

    def get(self, group: str) -> Group:
        """Return a group. Raises Refusal (404)."""
        return self._get(group).record

    def groups(self) -> Iterator[Group]:
        """Return the groups that are kept, oldest first."""
        return (open_.record for open_ in self._groups.values())

    def results(self, group: str) -> dict[str, Result]:
        """Return what was said, by address; a node that has said nothing is not in it. Raises Refusal (404)."""
        return self._get(group).results

    def items(self, child: str) -> dict[str, bytes]:
        """Return the documents of the tasks that `child`, or nodes below it, have not ended, by id."""
        return dict(self._groups[group].item(child) for group in self._of_child.get(child, {}))

    def open_on(self, child: str) -> list[str]:
        """Return the groups that `child`, or a node below it, has not ended its task of."""
        return list(self._of_child.get(child, {}))

    def errands(self) -> list[str]:
        """Return the ids of the groups that hubs above asked for and that have not ended."""
        return [group for group, open_ in self._groups.items() if open_.record.errand and open_.waiting]

    def __contains__(self, group: str) -> bool:
        return group in self._groups

    def _get(self, group: str) -> _Open:
        open_ = self._groups.get(group)
        if open_ is None:
            raise Refusal(f"there is no task {group[:80]!r} (the hub keeps the last {limits.GROUPS_KEPT_MAX})", 404)
        return open_

    # -------------------------------------------------------------------------------------------- asking

    def create(
        self, op: inputs.CreateTasks, group: str, nodes: list[str], who: str, now: Now, fx: Effects
    ) -> list[str]:
        """Ask `nodes` (addresses) for what `op` says, as `group`. Returns the children whose manifest changes by it.

        A node with limits.TASKS_OPEN_MAX open tasks is not asked: its task is refused at once. Raises Refusal.
        """
        _check(op)
        deadline_ms = 0 if op.deadline_s is None else int((now.wall + op.deadline_s) * 1000)
        document = _document(op, group, who, deadline_ms)
        return self._open(document, nodes, now, fx, errand=False)

    def accept(self, document: documents.Task, nodes: list[str], now: Now, fx: Effects) -> list[str]:
        """Ask `nodes` for what a hub above asks of them, under its id. Returns the children that this concerns."""
        return self._open(document, nodes, now, fx, errand=True)

    def _open(self, document: documents.Task, nodes: list[str], now: Now, fx: Effects, *, errand: bool) -> list[str]:
        now_ms = int(now.wall * 1000)
        record = Group(
            id=document.id,
            number=self._number,
            by=document.by,
            created_ms=now_ms,
            until_ms=max(now_ms, document.deadline_ms) + int(limits.TASK_LINGER_S * 1000),
            document=document,
            nodes=nodes,
            errand=errand,
        )
        open_ = _Open(record)
        size = max(len(open_.item(child)[1]) for child in open_.children())
        if size > limits.DOCUMENT_BYTES_MAX:
            text = f"the task is {size} bytes; the most is {limits.DOCUMENT_BYTES_MAX}"
            raise Refusal(f"{text}: give it fewer words, or name fewer nodes at once", 422)
        dropped = self._make_room(fx)
        self._groups[record.id] = open_
        self._number += 1
        self._next_ms = min(self._next_ms, record.until_ms)
        fx.store.append(Put(GROUPS, record.id, msgspec.json.encode(record)))
        for node in nodes:
            if "/" not in node and len(self._of_child.get(node, {})) >= limits.TASKS_OPEN_MAX:
                self.refuse(
                    record.id, node, f"{limits.TASKS_OPEN_MAX} tasks wait for {node} already, its most", now, fx
                )
        self._list(open_)
        return [*(child for child in open_.children() if open_.waits_for(child)), *dropped]

    def _list(self, open_: _Open) -> None:
        for child in open_.children():
            if open_.waits_for(child):
                self._of_child.setdefault(child, {})[open_.record.id] = None

    def _make_room(self, fx: Effects) -> list[str]:
        """Forget the oldest group that has ended; with none, the oldest of all, which cancels it on its nodes."""
        if len(self._groups) < limits.GROUPS_KEPT_MAX:
            return []
        ended = next((open_ for open_ in self._groups.values() if not open_.waiting), None)
        return self._forget(ended or next(iter(self._groups.values())), fx)

    def _forget(self, open_: _Open, fx: Effects) -> list[str]:
        group = open_.record.id
        del self._groups[group]
        fx.store.append(Delete(GROUPS, group))
        self._doomed += [f"{group}/{node}" for node in open_.results]
        self._size -= sum(result.size() for result in open_.results.values())
        return [child for child in open_.children() if self._of_child.get(child, {}).pop(group, 0) is None]

    def refuse(self, group: str, address: str, reason: str, now: Now, fx: Effects) -> None:
        """`address` is not asked."""
        result = Result(state="refused", time_ms=int(now.wall * 1000), reason=reason)
        self._put(self._groups[group], address, result, fx)

    def cancel(self, group: str, now: Now, fx: Effects) -> list[str]:
        """The hub above asks for an errand no longer: it leaves the manifests, which ends it. Returns the children."""
        open_ = self._groups[group]
        concerned = [child for child in open_.children() if open_.waits_for(child)]
        for address in list(open_.waiting):
            result = Result(state="cancelled", time_ms=int(now.wall * 1000), reason="the hub above asks no longer")
            self._put(open_, address, result, fx)
        return concerned

    # -------------------------------------------------------------------------------------------- hearing

    def asked_at(self, group: str, address: str, before: str) -> str:
        """Return where who is at `address` was asked for the task of `group`: there, or where it was `before`."""
        open_ = self._groups.get(group)
        has_moved = open_ is not None and not open_.has_asked(address) and open_.has_asked(before)
        return before if has_moved else address

    def hear(self, node: str, said: status.TaskFact, now: Now, fx: Effects) -> tuple[bool, bool]:
        """Take what `node` says of its task.

        Tells whether that is news, and whether the task has ended by it, so that it leaves the manifest.
        """
        open_ = self._groups.get(said.id)
        if open_ is None or not open_.has_asked(node) or said.state not in ENDED | {"running"}:
            return False, False
        before = open_.results.get(node)
        if before is not None and before.state in ENDED and not (before.state == "unknown" and said.state in ENDED):
            return False, False
        result = Result(
            state=said.state,
            time_ms=int(now.wall * 1000),
            exit_code=said.exit_code,
            signal=said.signal,
            stdout=said.stdout,
            stderr=said.stderr,
            duration_s=said.duration_s,
            reason=said.reason,
            run=said.run,
        )
        self._put(open_, node, self._fitted(result), fx)
        return True, said.state in ENDED

    def give_up(self, child: str, reason: str, now: Now, fx: Effects) -> list[tuple[str, str]]:
        """`child`, and all below it, is to answer here no more: end what is open. Returns (group, address)."""
        ended: list[tuple[str, str]] = []
        for group in self.open_on(child):
            open_ = self._groups[group]
            for address in open_.addresses(child):
                if address in open_.waiting:
                    self._end_unheard(open_, address, reason, now, fx)
                    ended.append((group, address))
        return ended

    def _end_unheard(self, open_: _Open, node: str, reason: str, now: Now, fx: Effects) -> None:
        self._put(open_, node, Result(state="unknown", time_ms=int(now.wall * 1000), reason=reason), fx)

    def _put(self, open_: _Open, node: str, result: Result, fx: Effects) -> None:
        before = open_.results.get(node)
        self._size += result.size() - (before.size() if before is not None else 0)
        open_.take(node, result)
        child = node.partition("/")[0]
        if not open_.waits_for(child):
            self._of_child.get(child, {}).pop(open_.record.id, None)
        fx.store.append(Put(RESULTS, f"{open_.record.id}/{node}", msgspec.json.encode(result)))

    def _fitted(self, result: Result) -> Result:
        """Return `result`, its outputs clipped to their ends when there is no more room for outputs."""
        if self._size + result.size() <= limits.RESULTS_BYTES_MAX:
            return result
        return msgspec.structs.replace(
            result,
            stdout=result.stdout[-limits.RESULT_CLIPPED_BYTES :],
            stderr=result.stderr[-limits.RESULT_CLIPPED_BYTES :],
            reason=result.reason or "the start of its output is not kept here: see `skerry events`",
        )

    # -------------------------------------------------------------------------------------------- time

    def tick(self, now: Now, fx: Effects) -> list[tuple[str, str]]:
        """Let go of what was never answered, and of what nobody keeps; returns (group, node) of what ended by it."""
        doomed, self._doomed = (
            self._doomed[: limits.FORGET_KEYS_PER_INPUT_MAX],
            self._doomed[limits.FORGET_KEYS_PER_INPUT_MAX :],
        )
        fx.store += [Delete(RESULTS, key) for key in doomed]
        if now.wall * 1000 < self._next_ms:
            return []
        ended: list[tuple[str, str]] = []
        for open_ in self._groups.values():
            if now.wall * 1000 >= open_.record.until_ms:
                for node in list(open_.waiting)[: limits.FORGET_KEYS_PER_INPUT_MAX - len(ended)]:
                    self._end_unheard(open_, node, "the node never answered, long past the deadline", now, fx)
                    ended.append((open_.record.id, node))
        waiting = (open_.record.until_ms for open_ in self._groups.values() if open_.waiting)
        self._next_ms = min(waiting, default=math.inf)
        return ended

    def next_wake(self, now: Now) -> float:
        """Return the mono time of the next thing to do."""
        if self._doomed:
            return now.mono
        return now.mono + max(0.0, self._next_ms / 1000 - now.wall)


def _check(op: inputs.CreateTasks) -> None:
    if sum(map(bool, (op.command, op.workflow, op.cancel_run))) != 1:
        raise Refusal("a task is one of: a command, the start of a workflow, the cancel of a run", 422)
    if not op.command and (op.limits, op.isolation) != (documents.Limits(), documents.Isolation()):
        raise Refusal("isolation and resources are a command's: those of a workflow stand in its document", 422)
    if not 0 < op.timeout_s <= limits.TASK_TIMEOUT_S_MAX:
        raise Refusal(f"a task's timeout is up to {limits.TASK_TIMEOUT_S_MAX:.0f} s: --timeout is {op.timeout_s}", 422)
    if op.deadline_s is not None and not 0 < op.deadline_s <= limits.TASK_LINGER_S:
        raise Refusal(f"a task's deadline is within {limits.TASK_LINGER_S:.0f} s: it is {op.deadline_s}", 422)


def _document(op: inputs.CreateTasks, group: str, who: str, deadline_ms: int) -> documents.Task:
    return documents.Task(
        id=group,
        command=op.command,
        workflow=op.workflow,
        cancel_run=op.cancel_run,
        params=op.params,
        timeout_s=op.timeout_s,
        deadline_ms=deadline_ms,
        repeatable=op.repeatable,
        user=op.user,
        limits=op.limits,
        isolation=op.isolation,
        by=who,
    )
