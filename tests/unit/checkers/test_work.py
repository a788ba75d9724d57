"""The checkers of what runs on a device, and of what producers were told."""

from __future__ import annotations

from edge_agent.core import inputs, tasks
from edge_agent.core.services import overrides, workload
from protocol import documents, effects, limits
from tests.checkers import history
from tests.checkers.a14_tasks_declared import TasksDeclared
from tests.checkers.a20_no_waiting import SLACK_S, NoWaiting
from tests.checkers.b_deleted_lives import DeletedLives
from tests.checkers.b_needless_restart import NeedlessRestart
from tests.checkers.b_nothing_lost import NothingLost
from tests.checkers.b_nothing_twice import NothingTwice
from tests.checkers.b_override_kept import OverrideKept
from tests.checkers.b_two_copies import TwoCopies
from tests.support import single
from tests.unit.checkers import telling
from tests.unit.checkers.telling import EPOCH, HUB, NODE, Tale, manifest, received, rows

EYE = documents.Assignment(
    service="eye", process=documents.Process(command=["eye"]), backoff=documents.Backoff(max_s=9)
)
DIGEST = documents.digest_of(documents.encode(EYE))
WANTED = (
    effects.Put("document", DIGEST, documents.encode(EYE)),
    manifest(1, {"assignment/eye": DIGEST}),
)
LONG_S = 9 + limits.STOP_GRACE_S + SLACK_S + 1


class Work(Tale):
    """A tale of processes."""

    def ran(self, instance: str, proof: str = "") -> None:
        """A process begins."""
        self.tell(history.Ran(at=self.at, node=NODE, instance=instance, proof=proof))

    def gone(self, instance: str) -> None:
        """A process is no more."""
        self.tell(history.Gone(at=self.at, node=NODE, instance=instance))

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.at += seconds
        self.took(inputs.Tick())

    def started(self, task: str = "t1", attempt: int = 1, *, repeatable: bool = False) -> None:
        """START is committed."""
        instance = f"t-{task}" if attempt == 1 else f"t-{task}-{attempt}"
        document = documents.Task(id=task, command=["true"], repeatable=repeatable)
        record = telling.put("task", task, tasks.Record(instance=instance, attempt=attempt, document=document))
        self.stored(record, fact(attempt, "task.started", task, {"id": task}))

    def ended(self, state: str, seq: int, task: str = "t1") -> None:
        """END is committed."""
        self.stored(fact(seq, "task.ended", task, {"id": task, "state": state}))


def fact(seq: int, kind: str, key: str, body: dict[str, str]) -> effects.Rows:
    """A row of a device's own."""
    raw = single.row(seq, 0, kind, key, telling.encoded(body))
    return effects.Rows("state", EPOCH, [(seq, raw, b"")])


class TestTasksDeclared:
    def test_start_run_end(self) -> None:
        tale = Work()
        tale.started()
        tale.ran("t-t1", "t1")
        tale.ended("ok", 2)
        assert tale.judged(TasksDeclared) == 3

    def test_a_run_before_start(self) -> None:
        tale = Work()
        tale.ran("t-t1", "t1")
        tale.breaks(TasksDeclared, "t-t1 runs on oslo, and START is not in a commit")

    def test_a_second_run(self) -> None:
        tale = Work()
        tale.started()
        tale.ran("t-t1")
        tale.gone("t-t1")
        tale.ran("t-t1")
        tale.breaks(TasksDeclared, "runs a second time")

    def test_another_attempt(self) -> None:
        for repeatable in (True, False):
            tale = Work()
            tale.started(repeatable=repeatable)
            tale.ran("t-t1")
            tale.started(attempt=2, repeatable=repeatable)
            tale.ran("t-t1-2")
            if repeatable:
                assert tale.judged(TasksDeclared) == 5
            else:
                tale.breaks(TasksDeclared, "task t1 again, undeclared")

    def test_two_ends(self) -> None:
        tale = Work()
        tale.started()
        tale.ended("ok", 2)
        tale.ended("failed", 3)
        tale.breaks(TasksDeclared, "is failed, and it had ended already")

    def test_an_end_comes_again_after_a_gap_took_it(self) -> None:
        tale = Work()
        tale.started()
        tale.ended("ok", 2)
        tale.stored(effects.Gap("state", EPOCH, 1, 2, b"", b""))
        tale.ended("ok", 3)
        assert tale.judged(TasksDeclared) == 2
        tale.ended("ok", 4)
        tale.breaks(TasksDeclared, "is ok, and it had ended already")

    def test_unknown_without_a_start(self) -> None:
        tale = Work()
        tale.ended("unknown", 1)
        tale.breaks(TasksDeclared, "is unknown, and it was never started")


class TestNoWaiting:
    def test_it_runs_again(self) -> None:
        tale = Work()
        tale.stored(*WANTED)
        tale.ran("s-eye-1")
        tale.gone("s-eye-1")
        tale.ran("s-eye-2")
        tale.later(LONG_S)
        assert tale.judged(NoWaiting) == 1

    def test_it_does_not_run_again(self) -> None:
        tale = Work()
        tale.stored(*WANTED)
        tale.ran("s-eye-1")
        tale.gone("s-eye-1")
        tale.later(LONG_S)
        tale.breaks(NoWaiting, "eye should run on oslo since .* and does not")

    def test_it_does_not_run_after_a_boot(self) -> None:
        tale = Work()
        tale.stored(*WANTED)
        tale.ran("s-eye-1")
        tale.died(how="power")
        tale.gone("s-eye-1")
        tale.born()
        tale.later(LONG_S)
        tale.breaks(NoWaiting, "eye should run on oslo")

    def test_a_person_has_stopped_it(self) -> None:
        tale = Work()
        tale.stored(*WANTED, effects.Put("override", "eye", b'{"decision":"stop"}'))
        tale.ran("s-eye-1")
        tale.gone("s-eye-1")
        tale.later(LONG_S)
        assert tale.judged(NoWaiting) == 0


class TestDeletedLives:
    def test_it_goes(self) -> None:
        tale = Work()
        tale.stored(*WANTED)
        tale.ran("s-eye-1")
        tale.stored(manifest(2))
        tale.gone("s-eye-1")
        assert tale.judged(DeletedLives) == 1

    def test_it_stays(self) -> None:
        tale = Work()
        tale.stored(*WANTED)
        tale.acted(inputs.Launch(instance="s-eye-1", process=EYE.process, key="eye"))
        tale.ran("s-eye-1")
        tale.stored(manifest(2))
        tale.later(LONG_S)
        tale.breaks(DeletedLives, "s-eye-1 lives on on oslo")


class TestOverrideKept:
    def stopped(self, *, running: bool) -> Work:
        """A person stops a service."""
        tale = Work()
        tale.stored(*WANTED)
        if running:
            tale.acted(inputs.Launch(instance="s-eye-1", process=EYE.process, key="eye"))
            tale.ran("s-eye-1")
        tale.stored(telling.put("override", "eye", overrides.Override(decision="stop", user="ada", uid=1)))
        return tale

    def test_it_ends(self) -> None:
        tale = self.stopped(running=True)
        tale.gone("s-eye-1")
        tale.later(LONG_S)
        assert tale.judged(OverrideKept) == 1

    def test_it_lives_on(self) -> None:
        tale = self.stopped(running=True)
        tale.later(LONG_S)
        tale.breaks(OverrideKept, "s-eye-1 lives on on oslo, though a person there has stopped eye")

    def test_it_begins_again(self) -> None:
        tale = self.stopped(running=False)
        tale.stored(telling.put("service", "eye", workload.Record(instance="s-eye-2")))
        tale.breaks(OverrideKept, "begins s-eye-2, though a person there has stopped eye")

    def test_it_begins_when_the_decision_is_over(self) -> None:
        tale = self.stopped(running=False)
        tale.stored(effects.Delete("override", "eye"))
        tale.stored(telling.put("service", "eye", workload.Record(instance="s-eye-2")))
        assert tale.judged(OverrideKept) == 0


class TestNeedlessRestart:
    def stopped(self, cause: str, *ops: effects.Store, process: documents.Process = EYE.process) -> Work:
        """A running service is stopped for `cause`."""
        tale = Work()
        tale.stored(*WANTED)
        tale.acted(inputs.Launch(instance="s-eye-1", process=process, key="eye"))
        tale.stored(*ops, telling.put("service", "eye", workload.Record(instance="s-eye-1", cause=cause)))
        tale.acted(inputs.Stop(instance="s-eye-1", grace_s=1))
        return tale

    def test_true_causes(self) -> None:
        assert self.stopped("deleted", manifest(2)).judged(NeedlessRestart) == 1
        assert self.stopped("changed", process=documents.Process(command=["old"])).judged(NeedlessRestart) == 1
        override = effects.Put("override", "eye", b'{"decision":"stop"}')
        assert self.stopped("stopped", override).judged(NeedlessRestart) == 1

    def test_false_causes(self) -> None:
        for cause in ("deleted", "changed", "stopped", "restarted", "unhealthy", ""):
            self.stopped(cause).breaks(NeedlessRestart, f"because it was {cause or 'nothing'}, which is not so")


class TestTwoCopies:
    def test_one_after_the_other(self) -> None:
        tale = Work()
        tale.ran("s-eye-1")
        tale.gone("s-eye-1")
        tale.ran("s-eye-2")
        assert tale.judged(TwoCopies) == 2

    def test_two_at_once(self) -> None:
        tale = Work()
        tale.ran("s-eye-1")
        tale.ran("s-eye-2")
        tale.breaks(TwoCopies, "s-eye-2 begins on oslo while s-eye-1 runs")


class TestProducers:
    def tale(self, *, arrives: bool = True) -> Tale:
        """One item is kept, and may arrive."""
        tale = Tale()
        own = rows(1, body='"first"')
        tale.tell(history.Tried(at=1, node=NODE, stream="state", item="first"))
        tale.stored(own)
        tale.tell(history.Kept(at=2, node=NODE, item="first"))
        if arrives:
            tale.stored(received(own), node=HUB)
        tale.tell(history.Calm(at=3))
        return tale

    def test_nothing_is_lost(self) -> None:
        tale = self.tale()
        tale.tell(telling.disk(HUB, telling.greeted()))
        assert tale.judged(NothingLost) == 1

    def test_something_is_lost(self) -> None:
        tale = self.tale(arrives=False)
        tale.tell(telling.disk(HUB, telling.greeted()))
        tale.breaks(NothingLost, "first was kept on oslo .state 1.; hub has neither it nor a gap")

    def test_a_restored_hub_is_not_refilled(self) -> None:
        tale = self.tale()
        tale.died(HUB)
        tale.born(HUB, role="hub", disk="backup")
        tale.tell(telling.disk(HUB, telling.greeted()))
        tale.breaks(NothingLost, "first was kept")

    def test_nothing_is_doubled(self) -> None:
        tale = self.tale()
        tale.tell(telling.disk(HUB, entries=(1,), body='"first"'))
        assert tale.judged(NothingTwice) == 2

    def test_something_is_doubled(self) -> None:
        tale = self.tale()
        tale.tell(telling.disk(HUB, entries=(1, 2), body='"first"'))
        tale.breaks(NothingTwice, "first stands a second time, in row 2 of state of oslo")

    def test_something_came_from_nowhere(self) -> None:
        tale = Tale()
        tale.tell(telling.disk(HUB, entries=(1,), body='"first"'))
        tale.breaks(NothingTwice, "nobody ever said it")
