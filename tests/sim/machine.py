"""A device's machine: its processes, which outlive the agent, what they do, and what they say.

A process's program stands in its command: `sim VERB [SECONDS]`. The plan may change for a while what a service does
(`behave`). Every process draws from a source named after its instance, so that what one does changes no other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from edge_agent.core import inputs
from tests.checkers import history
from tests.sim.clockwork import Clockwork

_SPAWN_S = 0.02
_TERM_S = 0.3
_SAY_AGAIN_S = 1.0
_UNACKED_MAX = 512

Report = Callable[[inputs.Input], None]
Note = Callable[[history.AnyFact], None]


_OTHER = {"state": "metrics", "metrics": "state"}
"""What a process says seldom, by what it says mostly."""


@dataclass(frozen=True)
class Load:
    """What a service's process says: `burst` items every `every_s` seconds, mostly on `mostly`, state or metrics."""

    every_s: float = 10.0
    burst: int = 1
    mostly: str = "state"
    plain: bool = False
    """All on `state`, numbered; for measurements."""


@dataclass
class Process:
    """One process, living or ended, with the folder that tells of it."""

    instance: str
    key: str
    verb: str
    seconds: float
    timeout_s: float
    capture: bool
    pid: int
    exit: inputs.Exit | None = None
    lost: bool = False
    """Its machine went down under it: nobody knows how it ended."""
    stop_by: float | None = None
    lease_until: float = 0.0
    """Of the clock of this boot; 0.0: it needs none."""
    expired: bool = False
    said: int = 0
    connection: int = 0
    unsent: list[tuple[inputs.Item, str]] = field(default_factory=list[tuple[inputs.Item, str]])
    sent: deque[list[tuple[inputs.Item, str]]] = field(default_factory=deque[list[tuple[inputs.Item, str]]])

    @property
    def runs(self) -> bool:
        """Tell whether it is there."""
        return self.exit is None and not self.lost


class Machine:
    """See the module. `report` is where the living agent hears of things; None while none lives."""

    def __init__(self, name: str, clock: Clockwork, note: Note, load: Load) -> None:
        self.name, self.clock, self.load = name, clock, load
        self._note = note
        self._report: Report | None = None
        self.folders: dict[str, Process] = {}
        self.behaviour: dict[str, tuple[str, float]] = {}
        """Service -> (verb, until)."""
        self.mono: Callable[[], float] = lambda: clock.now
        """The clock of its boot, which leases are measured by."""
        self.quiet = False
        """Producers say nothing new."""
        self.boots = 0
        self._pids = 100
        self._connections = 0
        self._doors: dict[int, Process] = {}

    # -------------------------------------------------------------------------------------------- the agent

    def watch(self, report: Report) -> None:
        """An agent lives from now on, and has taken what `found` says."""
        self._report = report
        for process in list(self.folders.values()):
            if process.runs:
                self._arm_timeout(process)
                self._connect(process)

    def leave(self) -> None:
        """The agent is gone; processes stay."""
        self._report = None
        for process in self._doors.values():
            _take_back(process)
        self._doors.clear()

    def found(self) -> list[inputs.Found]:
        """Return what the folders tell."""
        found: list[inputs.Found] = []
        for name in sorted(self.folders):
            process = self.folders[name]
            exit_ = inputs.Exit() if process.lost else process.exit
            out = "done\n" if process.capture and exit_ is not None else ""
            until = process.lease_until
            found.append(inputs.Found(instance=name, pid=process.pid, exit=exit_, stdout=out, lease_until=until))
        return found

    def down(self) -> None:
        """The machine goes down: all processes with it."""
        self.leave()
        for process in self.folders.values():
            if process.runs:
                process.lost = True
                self._note(history.Gone(at=self.clock.now, node=self.name, instance=process.instance))

    def lose_one(self) -> None:
        """A service that ran is left behind, and nothing tells of it any more."""
        for name, process in list(self.folders.items()):
            if process.runs and name.startswith("s-"):
                process.lost = True
                del self.folders[name]
                self._note(history.Gone(at=self.clock.now, node=self.name, instance=name))
                return

    def _tell(self, event: inputs.Input) -> None:
        if self._report is not None:
            self._report(event)

    # -------------------------------------------------------------------------------------------- actions

    def launch(self, action: inputs.Launch) -> None:
        """As the runner: a second Launch only reports what it finds."""
        known = self.folders.get(action.instance)
        if known is not None:
            if known.runs:
                self._tell(inputs.Launched(instance=known.instance, pid=known.pid))
            else:
                self._tell(self._ended(known))
            return
        command = action.process.command
        if command[0] != "sim":
            self.clock.after(_SPAWN_S, lambda: self._fail(action.instance, f"no such command: {command[0]}"))
            return
        self._pids += 1
        verb, until = self.behaviour.get(action.key, ("", 0.0))
        overridden = verb and self.clock.now < until
        process = self.folders[action.instance] = Process(
            instance=action.instance,
            key=action.key,
            verb=verb if overridden else command[1],
            seconds=float(command[2]) if len(command) > 2 else 0.0,
            timeout_s=action.timeout_s,
            capture=action.capture,
            pid=self._pids,
            lease_until=action.lease_until,
        )
        self.clock.after(_SPAWN_S, lambda: self._begin(process, action.key))

    def _fail(self, instance: str, error: str) -> None:
        self._tell(inputs.LaunchFailed(instance=instance, error=error))

    def _begin(self, process: Process, proof: str) -> None:
        if not process.runs:
            return
        self._note(history.Ran(at=self.clock.now, node=self.name, instance=process.instance, proof=proof))
        self._tell(inputs.Launched(instance=process.instance, pid=process.pid))
        self._connect(process)
        self._live(process)
        self._arm_timeout(process)
        self._guard(process)
        if process.stop_by is not None:
            self._terminate(process)

    def _live(self, process: Process) -> None:
        chance = self.clock.chance("process", self.name, process.instance)
        span = process.seconds or 5.0
        match process.verb:
            case "crash":
                self._later(process, chance.uniform(0.1, span), inputs.Exit(code=1))
            case "oom":
                self._later(process, chance.uniform(0.5, 2 * span), inputs.Exit(signal=9))
            case "exit":
                self._later(process, chance.uniform(0.1, span), inputs.Exit(code=0))
            case "fail":
                self._later(process, chance.uniform(0.05, span), inputs.Exit(code=chance.choice((1, 2, 17))))
            case "ok":
                self._later(process, chance.uniform(0.05, span), inputs.Exit(code=0))
            case _:
                pass  # steady, sick, hang: they run on
        if process.instance.startswith("s-") and process.verb in ("steady", "sick", "hang"):
            self.clock.after(chance.uniform(0.0, self.load.every_s), lambda: self._produce(process))

    def _later(self, process: Process, delay_s: float, exit_: inputs.Exit) -> None:
        self.clock.after(delay_s, lambda: self._end(process, exit_))

    def _end(self, process: Process, exit_: inputs.Exit) -> None:
        if not process.runs:
            return
        process.exit = msgspec.structs.replace(exit_, expired=process.expired)
        self._doors.pop(process.connection, None)
        self._note(history.Gone(at=self.clock.now, node=self.name, instance=process.instance))
        self._tell(self._ended(process))

    def _ended(self, process: Process) -> inputs.Ended:
        out = "done\n" if process.capture else ""
        exit_ = process.exit if process.exit is not None else inputs.Exit()
        return inputs.Ended(instance=process.instance, exit=exit_, stdout=out)

    def _arm_timeout(self, process: Process) -> None:
        if process.timeout_s > 0:
            self.clock.after(process.timeout_s, lambda: self._time_out(process))

    def _time_out(self, process: Process) -> None:
        if self._report is not None and process.runs:
            self._stop(process, 1.0)

    def extend(self, action: inputs.Extend) -> None:
        """As the runner: the warden lets it run until then."""
        process = self.folders.get(action.instance)
        if process is not None and process.runs:
            process.lease_until = action.until
            self._guard(process)

    def _guard(self, process: Process) -> None:
        """As the warden: whether or not an agent lives."""
        if 0.0 < process.lease_until < math.inf:
            self.clock.after(max(0.0, process.lease_until - self.mono()), lambda: self._expire(process))

    def _expire(self, process: Process) -> None:
        if process.runs and not process.expired and self.mono() >= process.lease_until:
            process.expired = True
            self._stop(process, 1.0)

    def stop(self, action: inputs.Stop) -> None:
        """As the runner: SIGTERM, and SIGKILL after the grace."""
        process = self.folders.get(action.instance)
        if process is not None and process.runs:
            self._stop(process, action.grace_s)

    def _stop(self, process: Process, grace_s: float) -> None:
        at = self.clock.now + grace_s
        process.stop_by = at if process.stop_by is None else min(at, process.stop_by)
        self._terminate(process)

    def _terminate(self, process: Process) -> None:
        assert process.stop_by is not None
        if process.verb != "hang":
            self._later(process, _TERM_S, inputs.Exit(signal=15))
        self.clock.at(process.stop_by, lambda: self._end(process, inputs.Exit(signal=9)))

    def forget(self, instance: str) -> None:
        """As the runner: the folder goes, if nothing runs in it."""
        process = self.folders.get(instance)
        if process is not None and not process.runs:
            del self.folders[instance]

    def probe(self, action: inputs.RunProbe) -> None:
        """Probe once; what is `sick` does not answer well."""
        process = self.folders.get(action.instance)
        verb, until = self.behaviour.get(action.service, ("", 0.0))
        sick = verb == "sick" and self.clock.now < until
        is_ok = process is not None and process.runs and process.verb != "sick" and not sick
        answer = inputs.Probed(service=action.service, instance=action.instance, ok=is_ok, text="" if is_ok else "sick")
        self.clock.after(0.05, lambda: self._tell(answer))

    def behave(self, service: str, verb: str, until: float) -> None:
        """Let `service` do something else for a while: what runs of it ends in a way that fits."""
        self.behaviour[service] = (verb, until)
        exits = {"oom": inputs.Exit(signal=9), "crash": inputs.Exit(code=1), "exit": inputs.Exit(code=0)}
        for process in list(self.folders.values()):
            if process.key == service and process.runs:
                if verb in exits:
                    self._end(process, exits[verb])
                elif verb == "hang":
                    process.verb = "hang"

    # -------------------------------------------------------------------------------------------- what is said

    def _produce(self, process: Process) -> None:
        if not process.runs:
            return
        if not self.quiet and len(process.unsent) + sum(map(len, process.sent)) < _UNACKED_MAX:
            for _ in range(self.load.burst):
                self._say(process)
            self._flush(process)
        self.clock.after(self.load.every_s, lambda: self._produce(process))

    def _say(self, process: Process) -> None:
        process.said += 1
        item = f"{self.name}/{process.pid}/{process.said}"
        to = "state"
        if not self.load.plain:
            mostly = self.load.mostly
            to = "audit" if process.said % 7 == 3 else _OTHER[mostly] if process.said % 5 == 4 else mostly
        body = msgspec.Raw(msgspec.json.encode({"item": item}))
        process.unsent.append((inputs.Item(kind="measured", body=body, to=to, id=process.said), item))
        self._note(history.Tried(at=self.clock.now, node=self.name, stream=to, item=item))

    def _connect(self, process: Process) -> None:
        if self._report is None:
            return
        _take_back(process)
        self._doors.pop(process.connection, None)  # who comes again has closed it: its answers reach nobody
        self._connections += 1
        process.connection = self._connections
        self._doors[self._connections] = process
        self._flush(process)

    def _flush(self, process: Process) -> None:
        if self._report is None or not process.unsent or process.connection not in self._doors:
            return
        batch, process.unsent = process.unsent, []
        process.sent.append(batch)
        items = [item for item, _ in batch]
        self._report(inputs.Emitted(connection=process.connection, instance=process.instance, items=items))

    def acked(self, action: inputs.EmitAck) -> None:
        """The agent answers the oldest batch of a connection."""
        process = self._doors.get(action.connection)
        if process is None or not process.sent:
            return
        batch = process.sent.popleft()
        if action.error:
            return  # refused: it was said, and is not kept
        assert action.count == len(batch), "a batch is answered whole"
        for _, item in batch:
            self._note(history.Kept(at=self.clock.now, node=self.name, item=item))

    def lost(self) -> None:
        """The agent's store failed: every caller whose items were under way is told, and comes again."""
        for connection, process in list(self._doors.items()):
            if process.sent:
                del self._doors[connection]
                self.clock.after(_SAY_AGAIN_S, lambda one=process: self._connect(one) if one.runs else None)


def _take_back(process: Process) -> None:
    """What was not answered is said again, under its number."""
    process.unsent = [*(one for batch in process.sent for one in batch), *process.unsent]
    process.sent.clear()
