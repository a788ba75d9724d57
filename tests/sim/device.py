"""A device: its machine, its agent's daemon around the real core, its link, its certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from edge_agent.core import inputs
from edge_agent.core.agent import STREAMS, AgentConfig, AgentCore
from hub.core import inputs as hub
from protocol import limits, status
from protocol.aio.journal import Journal
from protocol.effects import Action
from protocol.messages import AnyMessage
from tests.sim import moving
from tests.sim.child import Child
from tests.sim.installer import PLATFORM, Installer, behaviour
from tests.sim.machine import Load, Machine
from tests.sim.node import Core

if TYPE_CHECKING:
    from tests.sim.world import World

_STOP_S = 0.5
_END_S = 0.05
"""A version that ends does so before it has said anything."""
_CUT_S = 0.5

Answer = Callable[[bytes, str], None]
"""Gets the JSON of a reply, or the error."""


class Device(Child):
    """One device. A clone is another device with the same node id and key."""

    role = "agent"
    tick = inputs.Tick()

    def __init__(self, world: World, name: str, parent: str, load: Load) -> None:
        super().__init__(world, name, parent)
        self.machine = Machine(name, world.clock, self.note, load)
        self.machine.mono = lambda: self.now().mono
        self.path.contact_s = world.plan.metered.get(self.node, 0.0)
        self.artifacts: dict[str, None] = {}
        self.installer = Installer(self)
        self._requests = 0
        self._waiting: dict[int, Answer] = {}

    @property
    def agent(self) -> AgentCore:
        """The core of now."""
        return cast("AgentCore", self.core)

    # -------------------------------------------------------------------------------------------- a life

    def open_journal(self) -> Journal:
        """As the agent's app opens its journal."""
        return self.disk.open(
            node=self.node,
            streams=STREAMS,
            telemetry=True,
            mint=lambda: self.chance.randbytes(8).hex(),
            boot=self._boot_id(),
        )

    def boot(self) -> None:
        """Begin a life of the version that root has put in place, if it is well."""
        self.installer.start()
        how = behaviour(self.installer.current, self.node)
        if how == "sick" and not self.alive:
            self.machine.lose_one()
        if how == "cuts" and self.powered:
            self.clock.after(_CUT_S, lambda: self.world.cycle(self) if self.powered else None)
        if how in ("mute", "cuts"):
            return
        was_alive = self.alive
        super().boot()
        if how == "ends" and self.alive and not was_alive:
            life = self.life
            self.clock.after(_END_S, lambda: self._end() if life == self.life else None)

    def _end(self) -> None:
        self.die("kill")
        self.world.restart_later(self)

    def restart(self) -> None:
        """As systemd, when root asks: the daemon is stopped in order, and begins anew."""
        life = self.life
        self.put(inputs.Stopping())
        self.clock.after(_STOP_S, lambda: self.die("stop") if life == self.life else None)
        self.clock.after(2 * _STOP_S, self.boot)

    def make_core(self) -> Core:
        """The real core, with the real anchor that has proven the hub's signing key."""
        config = AgentConfig(
            node=self.node,
            parent=self.parent,
            trust=self.trust(),
            labels=self.world.labels_of(self),
            quota_bytes=self.world.plan.quota_bytes,
            contact_s=self.path.contact_s,
        )
        return cast("Core", AgentCore(self.journal.snapshot(), config))

    def started(self) -> inputs.Started:
        """As the agent's app: what is found, then watched."""
        from_ms, until_ms = self.certificate
        started = inputs.Started(
            boot_id=self._boot_id(),
            entropy=self.chance.randbytes(32),
            version=self.installer.current.partition("+")[0],
            found=self.machine.found(),
            artifacts=list(self.artifacts),
            platform=PLATFORM,
            slots=self.installer.slots(),
            certificate_from_ms=from_ms,
            certificate_until_ms=until_ms,
        )
        self.started_to_pull()
        self.machine.leave()
        life = self.life
        self.clock.after(0.001, lambda: self._watch(life))
        return started

    def _watch(self, life: int) -> None:
        if life == self.life:
            self.machine.watch(self._report)
            self._measure(life)

    def _report(self, event: inputs.Input) -> None:
        self.put(event)

    def _measure(self, life: int) -> None:
        if life == self.life and not self.machine.quiet:  # what a region holds back comes to an end, too
            self.put(inputs.Sampled(vitals=status.Vitals()))
            self.clock.after(limits.VITALS_EVERY_S, lambda: self._measure(life))

    def _boot_id(self) -> str:
        return f"{self.name}/boot-{self.boots}"

    def ended(self, how: str) -> None:
        """The process is gone, its workloads are not."""
        self._turn_away()
        self.machine.leave()
        self.hang_up(how)
        self.installer.ends += how == "kill"

    def dropped(self) -> None:
        """As the agent's app: the callers are told."""
        self._turn_away()
        self.machine.lost()

    def _turn_away(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer(b"null", "the agent is away")

    def local(self, command: inputs.LocalCommand, answer: Answer | None = None) -> None:
        """A person at the device asks."""
        if not self.alive:
            if answer is not None:
                answer(b"null", "the agent is away")
            return
        self._requests += 1
        if answer is not None:
            self._waiting[self._requests] = answer
        self.put(inputs.Local(request=self._requests, user="ada", uid=1001, command=command))

    # -------------------------------------------------------------------------------------------- the link

    def dial(self, session: int, nonce: str) -> None:
        """As the agent's app: who has no certificate enrolls, once the hub is there."""
        if not self.invited:
            super().dial(session, nonce)
            return
        life = self.life

        def tried(reason: str) -> None:
            if life == self.life and reason:
                self.put(inputs.Closed(session=session, reason=reason))
            elif life == self.life:
                self._live_again()

        if self.path.is_open and self.home.alive:
            self.world.enroll_invited(self, tried)
        else:
            self.clock.after(1.0, lambda: tried("nobody is there"))

    def transport(self, peer: str, message: AnyMessage) -> None:
        """As protocol.aio.mqtt."""
        self.send_up(message)

    def opened(self, session: int) -> inputs.Opened:
        """As the agent's app."""
        return inputs.Opened(session=session)

    def closed(self, session: int, reason: str) -> inputs.Closed:
        """As the agent's app."""
        return inputs.Closed(session=session, reason=reason)

    def got(self, message: AnyMessage) -> inputs.Got:
        """As the agent's app."""
        return inputs.Got(message=message)

    # -------------------------------------------------------------------------------------------- actions

    def perform(self, action: Action) -> None:
        """As the agent's app."""
        machine = self.machine
        match action:
            case inputs.EmitAck():
                machine.acked(action)
            case inputs.Launch():
                machine.launch(action)
            case inputs.Extend():
                machine.extend(action)
            case inputs.Stop():
                machine.stop(action)
            case inputs.Forget(instance=instance):
                machine.forget(instance)
            case inputs.RunProbe():
                machine.probe(action)
            case inputs.Fetch():
                self._fetch(action)
            case inputs.Collect():
                self.artifacts = {one: None for one in self.artifacts if one in action.keep}
            case inputs.ReadLogs(ask=ask):
                self.put(inputs.LogRead(ask=ask, part=0, last=True, lines=["a line"]))
            case inputs.LocalReply(request=request, data=data, error=error):
                self._waiting.pop(request, _unheard)(data, error)
            case _:
                self._perform_for_link(action)

    def _perform_for_link(self, action: Action) -> None:
        match action:
            case inputs.Connect():
                self.dial(action.session, action.nonce)
            case inputs.Disconnect(reason=reason):
                self.leave(reason)
            case inputs.StopPulling(reason=reason):
                self.stop_pulling(reason)
            case inputs.MakeCsr():
                self.put(inputs.CsrMade(csr=self.csr))
            case inputs.AskApart():
                self.apart(self._told_apart)
            case inputs.CheckMove():
                self.put(moving.checked(self, action))
            case inputs.Install():
                self.installer.install(action)
            case inputs.Vouch():
                self.installer.vouch(action)
            case inputs.AwaitInstalled():
                self.installer.settle()
            case inputs.LookForHaven():
                life = self.life
                found = moving.found(self, action)
                self.clock.after(1.0, lambda: self.put(found) if life == self.life else None)
            case inputs.Turn(to=to):
                self._turn_to(to.id)
            case inputs.Seek():
                life = self.life
                nobody = inputs.Sought(reason="nobody announces it")
                self.clock.after(1.0, lambda: self.put(nobody) if life == self.life else None)
            case inputs.StoreCertificate(certificate=certificate):
                self.hold(certificate)
                from_ms, until_ms = self.certificate
                self.put(inputs.CertificateStored(from_ms=from_ms, until_ms=until_ms))
            case _:
                raise AssertionError(f"nobody performs {action}")

    def _turn_to(self, to: str) -> None:
        """As the agent's app: what it looks up to is stored, then a life ends in order, and one begins."""
        self.parent = to
        self._live_again()

    def _live_again(self) -> None:
        life = self.life

        def again() -> None:
            if life == self.life:
                self.die("stop")
                self.clock.after(1.0, self.boot)

        self.clock.after(0.1, again)

    def _told_apart(self, standing: hub.Standing) -> None:
        if standing.revoked is not None:
            self.put(inputs.Got(message=standing.revoked))
        self.put(inputs.AnsweredApart(certificate=standing.certificate))

    def _fetch(self, action: inputs.Fetch) -> None:
        life = self.life

        def fetched() -> None:
            if life != self.life:
                return
            home = self.home
            if not self.path.is_open or not home.alive:
                self.put(inputs.Fetched(digest=action.digest, error="no route to the hub"))
            elif not home.serves(action.ticket, action.digest):
                self.put(inputs.Fetched(digest=action.digest, error="refused", ticket_refused=True))
            else:
                self.artifacts[action.digest] = None
                self.put(inputs.Fetched(digest=action.digest))

        self.clock.after(self.chance.uniform(0.1, 5.0), fetched)


def _unheard(data: bytes, error: str) -> None:
    """Nobody waits for this answer."""
