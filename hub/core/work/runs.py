"""Executions of workflows, as far as the nodes have told: one record for each (node, run).

Two sources feed a record: the entries of the node's `state` stream (history, in order) and the last run in a Status
(live, ahead of the history). A record knows up to which seq of which epoch it is true; what is older changes nothing,
so that history never overwrites live (INVARIANTS A12). Of limits.RUNS_KEPT_AT_HUB_MAX records the oldest of who
has most goes first (protocol.link.room.shares), and of a node with limits.RUNS_KEPT_OF_NODE_MAX its own oldest.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hub.core.registry import Refusal
from protocol import limits, status
from protocol.effects import Delete, Effects, Put
from protocol.link.room.shares import Shares
from protocol.messages import Moment
from protocol.snapshot import Snapshot

SPACE = "run"
STEP_KINDS = {"step.started": "running", "step.ended": "", "step.retrying": "waiting", "step.asking": "interrupted"}
"""What a step is after such an entry, unless the entry itself says."""

KINDS = frozenset({"run.started", "run.ended", *STEP_KINDS})


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run; true up to `seq` of `epoch` of the node's state stream. Times are the device's clock, milliseconds."""

    id: str
    node: str
    workflow: str
    state: str
    started_ms: int
    ended_ms: int = 0
    trigger: str = ""
    params: dict[str, str] = {}
    steps: dict[str, status.StepReport] = {}
    epoch: str = ""
    seq: int = 0

    @property
    def place(self) -> str:
        """The key it is stored under: a device can only name its own runs."""
        return f"{self.node}/{self.id}"


class RunSaid(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a run.started or run.ended entry."""

    id: str = ""
    workflow: str = ""
    trigger: str = ""
    params: dict[str, str] = {}
    state: str = "running"
    started_ms: Moment = 0
    ended_ms: Moment = 0
    steps: list[status.StepReport] = []


_run_said = msgspec.json.Decoder(RunSaid)
_step_said = msgspec.json.Decoder(status.StepFact)


class Runs:
    """All runs that are kept, in the order in which the hub first heard of them."""

    def __init__(self, snapshot: Snapshot) -> None:
        decoder = msgspec.json.Decoder(Run)
        found = [decoder.decode(raw) for raw in snapshot.spaces.get(SPACE, {}).values()]
        found.sort(key=lambda run: (run.started_ms, run.node, run.id))
        self._runs: dict[str, Run] = {}
        self._of_node: dict[str, dict[str, None]] = {}
        self._shares = Shares()
        self._forgotten: list[str] = []
        self._touched: dict[str, None] = {}
        for run in found:
            self._keep(run)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs.values())

    def get(self, run: str) -> Run:
        """Return the run with id `run`, or `NODE/RUN`. Raises Refusal (404)."""
        found = self._runs.get(run) or next((one for one in self._runs.values() if one.id == run), None)
        if found is None:
            raise Refusal(f"there is no run {run[:80]!r} (the hub keeps the last {limits.RUNS_KEPT_AT_HUB_MAX})", 404)
        return found

    # -------------------------------------------------------------------------------------------- hearing

    def entry(self, node: str, epoch: str, seq: int, time_ms: int, kind: str, key: str, body: bytes) -> None:
        """Take one entry of KINDS; flush stores what changed. Raises DecodeError or ValueError when it is odd."""
        if kind.startswith("run."):
            self._run(node, epoch, seq, time_ms, key, _run_said.decode(body))
        else:
            self._step(node, epoch, seq, time_ms, kind, _step_said.decode(body))

    def _run(self, node: str, epoch: str, seq: int, time_ms: int, key: str, said: RunSaid) -> None:
        _check_names(said.id or key, said.workflow, said.state, said.trigger)
        before = self._runs.get(f"{node}/{said.id or key}")
        if _is_older(before, epoch, seq):
            return
        ended = said.state != "running"
        self._take(
            Run(
                id=said.id or key,
                node=node,
                workflow=said.workflow or (before.workflow if before else ""),
                state=said.state,
                started_ms=said.started_ms or (before.started_ms if before else time_ms),
                ended_ms=(said.ended_ms or time_ms) if ended else 0,
                trigger=said.trigger or (before.trigger if before else ""),
                params=said.params or (before.params if before else {}),
                steps=_by_name(said.steps) or (before.steps if before else {}),
                epoch=epoch,
                seq=seq,
            )
        )

    def _step(self, node: str, epoch: str, seq: int, time_ms: int, kind: str, said: status.StepFact) -> None:
        _check_names(said.run, said.step, said.state)
        run = self._runs.get(f"{node}/{said.run}")
        if _is_older(run, epoch, seq):
            return
        if run is not None and said.step not in run.steps and len(run.steps) >= limits.STEPS_MAX:
            raise ValueError(f"run {run.id} has {limits.STEPS_MAX} steps already, its most")
        run = run or Run(id=said.run, node=node, workflow="", state="running", started_ms=time_ms)
        state = said.state or STEP_KINDS[kind]
        run.steps[said.step] = status.StepReport(
            name=said.step, state=state, attempts=said.attempt, exit_code=said.exit_code
        )
        if kind == "step.asking":
            run.state = "asking"
        elif run.state == "asking" and not any(step.state == "interrupted" for step in run.steps.values()):
            run.state = "running"
        run.epoch, run.seq = epoch, seq
        self._take(run)

    def report(self, node: str, epoch: str, seq: int, report: status.RunReport) -> None:
        """Take the last run that a Status names, true up to `seq` of `epoch`."""
        before = self._runs.get(f"{node}/{report.id}")
        if _is_older(before, epoch, seq) or _is_long(report.id, report.workflow, report.state, report.trigger):
            return
        self._take(
            Run(
                id=report.id,
                node=node,
                workflow=report.workflow,
                state=report.state,
                started_ms=report.started_ms,
                ended_ms=report.ended_ms,
                trigger=report.trigger,
                params=before.params if before else {},
                steps=_by_name(report.steps[: limits.REPORT_STEPS_MAX]),
                epoch=epoch,
                seq=seq,
            )
        )

    def _take(self, run: Run) -> None:
        self._keep(run)
        self._touched[run.place] = None

    def _keep(self, run: Run) -> None:
        own = self._of_node.setdefault(run.node, {})
        self._shares.add(run.node, 0 if run.place in own else 1)
        self._runs[run.place] = run
        own[run.place] = None
        if len(own) > limits.RUNS_KEPT_OF_NODE_MAX:
            self._forget(next(iter(own)))
        elif len(self._runs) > limits.RUNS_KEPT_AT_HUB_MAX:
            self._forget(next(iter(self._of_node[self._shares.most("")])))

    def _forget(self, place: str) -> None:
        gone = self._runs.pop(place)
        del self._of_node[gone.node][place]
        if not self._of_node[gone.node]:
            del self._of_node[gone.node]
        self._shares.add(gone.node, -1)
        self._touched.pop(place, None)
        self._forgotten.append(place)

    def flush(self, fx: Effects) -> list[str]:
        """Store what this input changed, once for each run, and forget the oldest; returns the ids."""
        touched = [self._runs[place] for place in self._touched]
        self._touched.clear()
        for run in touched:
            fx.store.append(Put(SPACE, run.place, msgspec.json.encode(run)))
        fx.store += [Delete(SPACE, place) for place in self._forgotten if place not in self._runs]
        self._forgotten.clear()
        return [run.id for run in touched]


def _is_older(before: Run | None, epoch: str, seq: int) -> bool:
    """Tell whether (epoch, seq) is no news for a record; an epoch that the link lets through succeeds the former."""
    return before is not None and before.epoch == epoch and seq <= before.seq


def _is_long(*names: str) -> bool:
    return any(len(name) > limits.WORD_CHARS_MAX for name in names)


def _check_names(*names: str) -> None:
    if _is_long(*names):
        raise ValueError(f"a name in it is over {limits.WORD_CHARS_MAX} characters")


def _by_name(steps: list[status.StepReport]) -> dict[str, status.StepReport]:
    return {step.name: step for step in steps}
