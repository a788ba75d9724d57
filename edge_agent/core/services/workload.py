"""One service on this device: from what is wanted to a process that runs, and back.

    stage      means                                    a restart of the agent in it
    RESTING    nothing runs                             decided anew: run, wait or rest
    STARTING   stored as started, Launch emitted        same boot: the same Launch again (it finds what it did before);
                                                        after a boot: lost, started anew
    RUNNING    the shim reported a pid                  found alive: adopted; found ended: as if Ended came now
    STOPPING   Stop emitted, Ended expected             Stop again

Never a second copy: an instance is stored before its Launch, and the next one is minted only after its end was stored.
What is in force stays until what replaces it can run: a new version waits for its artifact, the old one goes on.
"""

from __future__ import annotations

import enum

import msgspec

from edge_agent.core import context, inputs, isolation
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.services import cut, health, reconcile
from edge_agent.core.services.overrides import Overrides
from edge_agent.core.upward.absence import Absence
from protocol import documents, limits, status
from protocol.effects import Effects, Now, Put


class Stage(enum.StrEnum):
    """See the table above."""

    RESTING = "resting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a service. `process` names the runtime part that `instance` was launched with."""

    stage: Stage = Stage.RESTING
    instance: str = ""
    process: str = ""
    pid: int = 0
    launched_mono: float = 0.0
    since_ms: int = 0
    cause: str = ""
    """Why it is being stopped: changed, stopped, restarted, unhealthy, deleted, lease or cut off."""
    failures: int = 0
    restarts: int = 0
    last_exit: str = ""
    last_exit_ms: int = 0
    healthy: bool | None = None
    done: bool = False
    failed: bool = False
    """The last attempt ended badly."""
    reason: str = ""


class Workload:
    """One service. Every method may append to `fx`; `settle` makes what is there follow what is wanted."""

    def __init__(
        self,
        name: str,
        record: Record,
        ctx: Context,
        artifacts: Artifacts,
        overrides: Overrides,
        absence: Absence,
    ) -> None:
        self.name = name
        self.record = record
        self.known = False
        """A complete manifest was seen in this life."""
        self.wanted: documents.Assignment | None = None
        self.force: documents.Assignment | None = None
        """The assignment in force, `digest` names it; the wanted one as soon as its artifact is here."""
        self.digest = ""
        self.fence: documents.Fence | None = None
        """The term of the copy that is asked for here."""
        self.cut = cut.Cut(absence)
        self.health: health.Health | None = None
        self._wanted_raw = b""
        self._wanted_digest = ""
        self._process = ""
        self._wait_until = 0.0
        self._ctx = ctx
        self._artifacts = artifacts
        self._overrides = overrides

    # ---------------------------------------------------------------------------------------- what is wanted

    def restore(self, raw: bytes) -> None:
        """Take the assignment that was in force in the last life."""
        document = documents.decode(raw)
        assert isinstance(document, documents.Assignment)
        self._enforce(document, documents.digest_of(raw))

    def want(self, assignment: documents.Assignment | None, digest: str, raw: bytes) -> None:
        """Take what the manifest says; None when it does not name this service any more."""
        self.wanted, self._wanted_digest, self._wanted_raw = assignment, digest, raw

    def _take(self, now: Now, fx: Effects) -> None:
        """Put the wanted assignment into force, once its artifact is here."""
        if self.wanted is None or self._wanted_digest == self.digest:
            return
        if not self._artifacts.has(self.wanted.process.artifact):
            self._artifacts.want(self.wanted.process.artifact, now, fx)
            return
        if self._ctx.able.waits or self.refusal():
            return
        before = self._process
        self._enforce(self.wanted, self._wanted_digest)
        if self.record.stage is Stage.RUNNING and not self.record.process:  # see `take_in`
            self.record.process = self._process
            self._keep(fx)
        fx.store.append(Put("assignment", self.name, self._wanted_raw))
        self._artifacts.used(f"service/{self.name}", self.wanted.process.artifact, fx)
        goes_on = self.record.done and not reconcile.is_done(self._restart(), failed=self.record.failed)
        if before != self._process or goes_on:  # it stays ended no longer
            self.fresh(fx)
        if self.record.stage is Stage.RUNNING:
            self._watch(now, self.record.healthy)

    def _enforce(self, assignment: documents.Assignment, digest: str) -> None:
        self.force, self.digest = assignment, digest
        self._process = reconcile.process_digest(assignment.process)

    def fresh(self, fx: Effects) -> None:
        """Let it start at once: what failed before counts no more."""
        record = self.record
        record.done = record.failed = False
        record.failures, record.reason = 0, ""
        self._wait_until = 0.0
        self._keep(fx)

    # ---------------------------------------------------------------------------------------- settle

    def aim(self) -> reconcile.Aim:
        """Return what should become of it."""
        return reconcile.aim(
            wanted=self.wanted is not None,
            known=self.known,
            override=self._overrides.decision(self.name),
            done=self.record.done,
            cut=bool(self.cut.why),
        )

    def settle(self, now: Now, fx: Effects) -> None:
        """Do the next thing that makes what is there follow what is wanted; nothing, when it does."""
        self._take(now, fx)
        self.cut.judge(self._lease(), self._overrides.decision(self.name), now, runs=self._runs())
        aim = self.aim()
        match self.record.stage:
            case Stage.RESTING if aim is reconcile.Aim.RUN:
                self._start_when_possible(now, fx)
            case Stage.RUNNING:
                cause = self._cause_to_stop(aim)
                if cause:
                    self.stop(cause, now, fx)
                else:
                    self._extend(now, fx)
            case _:
                pass

    def _extend(self, now: Now, fx: Effects) -> None:
        until = self.cut.extension(self._lease(), now)
        if until is not None:
            fx.act.append(inputs.Extend(instance=self.record.instance, until=until))

    def _lease(self) -> documents.Lease:
        return self.force.lease if self.force is not None else documents.Lease()

    def _runs(self) -> bool:
        return self.record.stage in (Stage.STARTING, Stage.RUNNING)

    def leased(self, until: float, now: Now, fx: Effects) -> None:
        """The parent lets it run until `until` (mono)."""
        self.cut.granted(until)
        self.settle(now, fx)

    def wants_lease(self) -> bool:
        """Tell whether it needs a lease for what it is to do now, or soon."""
        asked = [one.lease.at_most_one for one in (self.force, self.wanted) if one is not None]
        rests = self._overrides.decision(self.name) == "stop" or self.record.done
        return any(asked) and (self.record.stage is not Stage.RESTING or (self.wanted is not None and not rests))

    def _cause_to_stop(self, aim: reconcile.Aim) -> str:
        if aim is reconcile.Aim.GONE:
            return "deleted"
        if aim is reconcile.Aim.REST:
            return self.cut.why.value or "stopped"
        if self.force is None:
            return ""  # it was lost with a damaged store
        return "changed" if self.record.process != self._process else ""

    def _start_when_possible(self, now: Now, fx: Effects) -> None:
        able = self._ctx.able
        if (
            self.force is None
            or now.mono < self._wait_until
            or able.waits
            or isolation.refusal(self.force.process, able)
        ):
            return
        if self._artifacts.has(self.force.process.artifact):
            self._launch(self.force, now, fx)
        else:
            self._artifacts.want(self.force.process.artifact, now, fx)

    def _launch(self, force: documents.Assignment, now: Now, fx: Effects) -> None:
        record = self.record
        record.restarts += bool(record.process)
        record.instance = self._ctx.next_instance(self.name, fx)
        record.process, record.healthy, record.cause, record.pid = self._process, None, "", 0
        record.launched_mono = now.mono
        self._enter(Stage.STARTING, now, fx)
        self._note("starting", status.ServiceFact(instance=record.instance, digest=self.digest), now, fx)
        fx.act.append(self._launch_action(force))

    def _launch_action(self, force: documents.Assignment) -> inputs.Launch:
        return inputs.Launch(
            instance=self.record.instance,
            process=isolation.enforceable(force.process, self._ctx.able),
            key=force.service,
            stop_grace_s=force.stop_grace_s,
            lease_until=self.cut.launch() if force.lease.at_most_one else 0.0,
            fence=self.fence.text if self.fence is not None else "",
        )

    def stop(self, cause: str, now: Now, fx: Effects) -> None:
        """Stop what runs, for `cause`."""
        self.record.cause = cause
        self.health = None
        self._enter(Stage.STOPPING, now, fx)
        fx.act.append(inputs.Stop(instance=self.record.instance, grace_s=self._grace_s()))

    # ---------------------------------------------------------------------------------------- what happened

    def adopt(self, found: inputs.Found | None, now: Now, fx: Effects) -> None:
        """At start: meet again what the last life left behind (see the table above)."""
        if found is not None and not self._ctx.rebooted:
            self.cut.found(found.lease_until)
        if self.record.stage is Stage.RESTING:
            self._resume_waiting(now)
        elif found is not None and found.exit is not None:
            self.ended(found.exit, now, fx, booted=self._ctx.rebooted)
        elif found is not None and self.record.stage is Stage.STOPPING:
            fx.act.append(inputs.Stop(instance=found.instance, grace_s=self._grace_s()))
        elif found is not None:
            self._running(found.pid, now, fx)
        elif self._ctx.rebooted or self.force is None:
            self.ended(inputs.Exit(), now, fx, booted=self._ctx.rebooted)
        elif self.force.lease.at_most_one or self._ctx.able.waits:
            self._rest(now, fx)  # it never ran, and whether it may now is to be asked
            self.settle(now, fx)
        else:
            self._enter(Stage.STARTING, now, fx)
            fx.act.append(self._launch_action(self.force))

    def take_in(self, found: inputs.Found, now: Now, fx: Effects) -> None:
        """At start, when the record of what runs was lost: it runs on, as what is wanted (nobody knows better)."""
        self.record.instance, self.record.pid = found.instance, found.pid
        self._enter(Stage.RUNNING, now, fx)
        self._watch(now, None)

    def _resume_waiting(self, now: Now) -> None:
        """A wait is not kept: it begins again, except after a boot."""
        if self._ctx.rebooted:
            self.record.failures = 0
        elif self.record.failures and self.force is not None:
            backoff = self.force.backoff
            self._wait_until = now.mono + self._ctx.backoff_s(self.record.failures, backoff.min_s, backoff.max_s)

    def launched(self, pid: int, now: Now, fx: Effects) -> None:
        """Its shim reported a pid (again, when a Launch was repeated)."""
        if self.record.stage is Stage.STARTING:
            self._running(pid, now, fx)
            self.settle(now, fx)

    def _running(self, pid: int, now: Now, fx: Effects) -> None:
        new = self.record.stage is Stage.STARTING
        self.record.pid = pid
        if new:
            self._enter(Stage.RUNNING, now, fx)
            self._note("started", status.ServiceFact(instance=self.record.instance, pid=pid), now, fx)
        self._watch(now, self.record.healthy)

    def launch_failed(self, error: str, now: Now, fx: Effects) -> None:
        """It could not be started; nothing runs."""
        instance = self._rest(now, fx)
        self.record.failed, self.record.reason = True, error
        self._after_failure(reconcile.is_done(self._restart(), failed=True), now, fx)
        self._note("failed", status.ServiceFact(instance=instance, error=error), now, fx)
        fx.act.append(inputs.Forget(instance=instance))
        self.settle(now, fx)

    def ended(self, exit_: inputs.Exit, now: Now, fx: Effects, *, booted: bool = False) -> None:
        """Its process ended: journal how, then decide what follows. `booted`: before the device booted."""
        record = self.record
        ran_s = 0.0 if booted else max(0.0, now.mono - record.launched_mono)
        asked = record.stage is Stage.STOPPING
        if exit_.expired and not asked:
            asked, record.cause = True, cut.Why.LEASE.value
        instance = self._rest(now, fx)
        record.last_exit, record.last_exit_ms = reconcile.exit_text(exit_), exit_.time_ms or context.ms(now)
        record.failed = not asked and exit_.code != 0
        if asked and record.cause != "unhealthy":
            record.failures, self._wait_until = 0, 0.0
        elif booted:
            record.failures, record.done = 0, reconcile.is_done(self._restart(), failed=record.failed)
        else:
            if ran_s >= limits.RESTART_RESET_S:
                record.failures = 0
            self._after_failure(not asked and reconcile.is_done(self._restart(), failed=record.failed), now, fx)
        fact = status.ServiceFact(
            instance=instance,
            code=exit_.code,
            signal=exit_.signal,
            lost=exit_.code is None and exit_.signal is None,
            after_s=round(ran_s, 3),
            cause=record.cause,
        )
        self._keep(fx)
        self._note("stopped" if asked else "exited", fact, now, fx)
        fx.act.append(inputs.Forget(instance=instance))
        self.settle(now, fx)

    def _after_failure(self, done: bool, now: Now, fx: Effects) -> None:
        record = self.record
        record.done = done
        record.failures += 1
        backoff = self.force.backoff if self.force else documents.Backoff()
        self._wait_until = now.mono + self._ctx.backoff_s(record.failures, backoff.min_s, backoff.max_s)
        self._keep(fx)

    def restart(self, now: Now, fx: Effects) -> None:
        """A person wants it to start anew, now."""
        self.fresh(fx)
        if self.record.stage is Stage.RUNNING:
            self.stop("restarted", now, fx)
        self.settle(now, fx)

    # ---------------------------------------------------------------------------------------- health and time

    def probed(self, probed: inputs.Probed, now: Now, fx: Effects) -> None:
        """A probe answered."""
        if self.health is None or probed.instance != self.record.instance:
            return
        if not self.health.answered(probed.ok, probed.text, now.mono):
            return
        self.record.healthy = self.health.healthy
        self._keep(fx)
        kind = "healthy" if self.record.healthy else "unhealthy"
        self._note(kind, status.ServiceFact(instance=probed.instance, error="" if probed.ok else probed.text), now, fx)
        if self.record.healthy is False and self.force is not None and self.force.restart_unhealthy:
            self.stop("unhealthy", now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due: the start after a wait, the next probe."""
        if self.health is not None and self.force is not None and self.health.due <= now.mono:
            self.health.begin(now.mono)
            if not self._ctx.able.waits:
                fx.act.append(self._probe(self.health.probe, self.force))
        cut_at = self.cut.next_wake(self._lease(), now)
        if (self._waits() and self._wait_until <= now.mono) or (cut_at is not None and cut_at <= now.mono):
            self.settle(now, fx)

    def _probe(self, probe: documents.Probe, force: documents.Assignment) -> inputs.RunProbe:
        process = isolation.enforceable(force.process, self._ctx.able)
        return inputs.RunProbe(service=self.name, instance=self.record.instance, probe=probe, process=process)

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) something is due."""
        probe = self.health.due if self.health is not None else None
        cut_at = self.cut.next_wake(self._lease(), now) if self.record.stage is not Stage.STOPPING else None
        return context.soonest(probe, cut_at, self._wait_until if self._waits() else None)

    def retry_s(self, now: Now) -> float | None:
        """Return in how many seconds it starts again by itself; None when it does not wait for that."""
        return max(0.0, self._wait_until - now.mono) if self._waits() else None

    def _waits(self) -> bool:
        waits = self._wait_until > 0.0 and self.record.stage is Stage.RESTING and self.aim() is reconcile.Aim.RUN
        return waits and not self._ctx.able.waits and not self.refusal()

    def _watch(self, now: Now, healthy: bool | None) -> None:
        probe = self.force.health if self.force else None
        self.health = health.Health(probe, healthy, now.mono) if probe is not None else None

    # ---------------------------------------------------------------------------------------- what is kept and told

    def forget(self, fx: Effects) -> None:
        """Drop all that is kept: the service is deleted and nothing of it runs."""
        self._ctx.drop("service", self.name, fx)
        self._ctx.drop("assignment", self.name, fx)
        self._artifacts.gone(f"service/{self.name}", fx)

    def is_gone(self) -> bool:
        """Tell whether it is deleted and nothing of it runs any more."""
        return self.record.stage is Stage.RESTING and self.aim() is reconcile.Aim.GONE

    def artifacts_wanted(self) -> list[str]:
        """Return the artifacts it needs."""
        return [a.process.artifact for a in (self.force, self.wanted) if a is not None and a.process.artifact]

    def report(self) -> status.ServiceReport:
        """Return the service as the report shows it."""
        record = self.record
        return status.ServiceReport(
            state=self._state(),
            digest=self.digest,
            healthy=record.healthy if record.stage is Stage.RUNNING else None,
            pid=record.pid if record.stage in (Stage.RUNNING, Stage.STOPPING) else 0,
            since_ms=record.since_ms,
            restarts=record.restarts,
            last_exit=record.last_exit,
            reason=self._reason(),
            override=self._overrides.report(self.name),
            fence=self.fence.fence if self.fence is not None else 0,
        )

    def _state(self) -> str:
        if self.record.stage is not Stage.RESTING:
            return self.record.stage.value
        if self._overrides.decision(self.name) == "stop":
            return "stopped"
        if self.record.done:
            return "failed" if self.record.failed else "exited"
        if self.cut.why or self._ctx.able.waits:
            return "waiting"
        if self.refusal():
            return "failed"
        if self.force is None or not self._artifacts.has(self.force.process.artifact):
            return "fetching"
        return "backoff" if self.record.failures else "starting"

    def _reason(self) -> str:
        if self.cut.why:
            return cut.TEXTS[self.cut.why]
        if self._ctx.able.waits and self._state() == "waiting":
            return self._ctx.able.waits
        if self.refusal():
            return self.refusal()
        wanted = self.wanted.process.artifact if self.wanted else ""
        error = self._artifacts.error(wanted)
        if error:
            return f"the artifact is not here yet: {error}"
        if self.health is not None and self.record.healthy is False:
            return self.health.text
        return self.record.reason or self.unconfined()

    def refusal(self) -> str:
        """Return why what is asked for may not run on this device; empty: it may."""
        asked = self.wanted or self.force
        return isolation.refusal(asked.process, self._ctx.able) if asked is not None else ""

    def unconfined(self) -> str:
        """Return what is to be known of a service that runs here without all that it declares; empty: nothing."""
        return isolation.told(self.force.process, self._ctx.able) if self.force is not None else ""

    def _rest(self, now: Now, fx: Effects) -> str:
        instance, self.health = self.record.instance, None
        self.record.instance, self.record.pid, self.record.healthy = "", 0, None
        self._enter(Stage.RESTING, now, fx)
        return instance

    def _enter(self, stage: Stage, now: Now, fx: Effects) -> None:
        if stage is Stage.RUNNING:
            self.record.reason, self.record.failed = "", False
        self.record.stage, self.record.since_ms = stage, context.ms(now)
        self._keep(fx)

    def _keep(self, fx: Effects) -> None:
        self._ctx.put("service", self.name, self.record, fx)

    def _note(self, kind: str, fact: status.ServiceFact, now: Now, fx: Effects) -> None:
        self._ctx.note("state", f"service.{kind}", self.name, fact, now, fx)

    def _restart(self) -> str:
        return self.force.restart if self.force else "always"

    def _grace_s(self) -> float:
        return min(self.force.stop_grace_s if self.force else limits.STOP_GRACE_S, limits.STOP_GRACE_S_MAX)
