"""The device dies at every input, before or after its commit: nothing finished runs again, nothing runs twice."""

from __future__ import annotations

import enum

import hypothesis
import pytest
from hypothesis import strategies as st

from edge_agent.core import inputs
from protocol import documents, limits
from protocol.effects import Effects
from tests.unit.agent.world import World, body, service

STEPS = [
    documents.Step(name="collect", run=["./collect"], retry=documents.Retry(attempts=3, min_s=1, max_s=2)),
    documents.Step(name="note", needs=["collect"], set={"at": "noon"}),
    documents.Step(name="left", needs=["note"], run=["./left"], interrupted="retry"),
    documents.Step(name="right", needs=["note"], run=["./right"], interrupted="retry"),
    documents.Step(name="publish", needs=["left", "right"], run=["./publish"], interrupted="retry"),
]
WANTED = (
    service("web", backoff=documents.Backoff(min_s=1, max_s=2)),
    service("db"),
    documents.Task(id="df", command=["df"]),
    documents.Task(id="sync", command=["sync"], repeatable=True),
    documents.Task(id="shift", workflow="flow"),
    documents.Workflow(workflow="flow", steps=STEPS),
)
LATER = (service("web", "./serve", "--fast", backoff=documents.Backoff(min_s=1, max_s=2)), WANTED[-1])
"""The second manifest: `db` is deleted, `web` is another version, the tasks are over."""


class When(enum.Enum):
    """Where in the driver's round the power (or only the agent) goes."""

    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit, before anything was sent or done"
    AFTER_ACTIONS = "after the actions"


class Process:
    """A folder of the shim: what was launched, once."""

    def __init__(self, instance: str, fate: int) -> None:
        self.instance = instance
        self.exit: inputs.Exit | None = None
        self.fate = fate
        """The exit code it will end with; -1: it runs on."""
        self.told = False
        self.command: list[str] = []


class Device(World):
    """A world whose processes are real enough to be counted, and that dies on demand."""

    def __init__(self, crashes: dict[int, tuple[When, bool]]) -> None:
        self.folders: dict[str, Process] = {}
        self.runs_of: dict[str, int] = {}
        """How often the process of each step, task or service began."""
        self.count = 0
        self.crashes = crashes
        super().__init__()

    def do(self, event: inputs.Input) -> Effects:
        self.count += 1
        crash = self.crashes.get(self.count)
        if crash is None:
            fx = super().do(event)
            self.perform(fx)
            return fx
        when, reboot = crash
        fx = self.core.handle(event, self.now())
        if when is not When.BEFORE_COMMIT:
            self.store.apply(fx)
        if when is When.AFTER_ACTIONS:
            self.perform(fx)
        self.die(reboot)
        return fx

    def die(self, reboot: bool) -> None:
        if reboot:
            for process in self.folders.values():
                process.exit = process.exit or inputs.Exit()
        for process in self.folders.values():
            process.told = process.exit is None
        found = [inputs.Found(instance=one.instance, pid=9, exit=one.exit) for one in self.folders.values()]
        self.mono += 0.5
        self.start(*found, reboot=reboot)

    def perform(self, fx: Effects) -> None:
        for act in fx.act:
            if isinstance(act, inputs.Launch):
                self.launch(act.instance)
                self.folders[act.instance].command = act.process.command
                assert not (act.instance.startswith("s-db-") and self.is_deleted), "db was deleted"
            elif isinstance(act, inputs.Stop) and act.instance in self.folders:
                process = self.folders[act.instance]
                process.exit = process.exit or inputs.Exit(signal=15)
            elif isinstance(act, inputs.Forget):
                self.folders.pop(act.instance, None)

    def launch(self, instance: str) -> None:
        if instance in self.folders:
            self.folders[instance].told = False
            return
        owner = instance.rpartition("-")[0] if instance[0] in "rs" else instance
        self.runs_of[owner] = self.runs_of.get(owner, 0) + 1
        fails_first = owner.endswith("collect") or owner == "s-web"
        fate = 1 if fails_first and self.runs_of[owner] == 1 else -1 if instance.startswith("s-") else 0
        self.folders[instance] = Process(instance, fate)
        finished = {body(entry)["step"] for entry in self.entries(kind="step.ended")}
        assert not (instance.startswith("r-") and owner.split("-")[2] in finished), f"{instance} had finished"
        alive = [one for one in self.folders.values() if one.exit is None and one.instance.startswith(owner + "-")]
        assert len(alive) <= 1, f"two of {owner}: {[one.instance for one in alive]}"

    # ------------------------------------------------------------------------------------------ the surroundings

    def go_on(self) -> bool:
        """Do the next thing the surroundings would do; return whether there was one."""
        link = self.core.status(self.now()).link
        if link.state != "live":
            self.online()
            return True
        self.generation = link.held.generation
        if self.generation == 0:
            self.desire(*WANTED)
            return True
        if self.generation == 1 and self.is_done():
            self.desire(*LATER)
            return True
        for process in list(self.folders.values()):
            if not process.told:
                process.told = True
                self.do(inputs.Launched(instance=process.instance, pid=9))
                return True
            if process.exit is None and process.fate >= 0:
                process.exit = inputs.Exit(code=process.fate)
            if process.exit is not None:
                self.do(inputs.Ended(instance=process.instance, exit=process.exit))
                return True
        if self.generation == 2 and list(self.core.status(self.now()).services) == ["web"] and self.is_done():
            return False
        self.mono, self.wall = self.mono + 0.5, self.wall + 0.5
        self.do(inputs.Tick())
        return True

    @property
    def is_deleted(self) -> bool:
        return self.core.status(self.now()).link.held.generation == 2

    def is_done(self) -> bool:
        ended = {entry.key for entry in self.entries(kind="task.ended")}
        states = [report.state for report in self.core.status(self.now()).services.values()]
        return ended == {"df", "sync", "shift"} and all(state == "running" for state in states)


def live(crashes: dict[int, tuple[When, bool]]) -> Device:
    device = Device(crashes)
    device.start()
    for _ in range(600):
        if not device.go_on():
            return device
    raise AssertionError("it never came to rest")


def check(device: Device) -> None:
    steps = [(body(entry)["run"], body(entry)["step"]) for entry in device.entries(kind="step.ended")]
    assert len(steps) == len(set(steps)) == len(STEPS)
    assert {body(entry)["state"] for entry in device.entries(kind="step.ended")} <= {"ok", "failed", "skipped"}
    ended = [entry.key for entry in device.entries(kind="task.ended")]
    assert sorted(ended) == ["df", "shift", "sync"]
    assert device.kinds().count("run.started") == device.kinds().count("run.ended") == 1
    assert device.runs_of.get("t-df", 0) <= 1
    alive = sorted(one.instance[:5] for one in device.folders.values() if one.exit is None)
    assert alive == ["s-web"]
    assert [one.command for one in device.folders.values()] == [["./serve", "--fast"]]
    assert not device.store.spaces["step"]


WHOLE = live({})
POINTS = range(1, WHOLE.count + 1)


def test_without_a_crash_everything_ends_well() -> None:
    check(WHOLE)
    assert {body(entry)["state"] for entry in WHOLE.entries(kind="task.ended")} == {"ok"}
    assert WHOLE.count > limits.PARALLEL_STEPS_MAX


@pytest.mark.parametrize("reboot", [False, True], ids=["agent", "device"])
@pytest.mark.parametrize("when", When, ids=lambda when: when.name.lower())
def test_a_crash_at_every_input_ends_as_declared(when: When, reboot: bool) -> None:
    for point in POINTS:
        device = live({point: (when, reboot)})
        check(device)
        if not reboot:
            assert {body(entry)["state"] for entry in device.entries(kind="task.ended")} == {"ok"}, point


CRASHES = st.dictionaries(st.integers(1, WHOLE.count + 40), st.tuples(st.sampled_from(When), st.booleans()), max_size=8)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(CRASHES)
def test_many_crashes_end_as_declared(crashes: dict[int, tuple[When, bool]]) -> None:
    check(live(crashes))
