"""One simulated world: hubs, their devices, the network between, and what happens in it, noted as facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from edge_agent.core import inputs as device_inputs
from hub.core import inputs
from protocol.trust import signing
from tests.checkers import history
from tests.checkers.a19_convergence import CONTACTS
from tests.sim import chances, rest
from tests.sim import plan as plans
from tests.sim.child import Child
from tests.sim.clockwork import Clockwork
from tests.sim.device import Device
from tests.sim.disk import Image
from tests.sim.faults import Faults
from tests.sim.hub import Hub
from tests.sim.machine import Load
from tests.sim.node import Node
from tests.sim.plan import HUB, Plan

SETTLED_WITHIN_S = 7_200.0
"""The bound of A19 here: 20 minutes of a refused child's patience, backoffs, leases, a few rounds of each."""
_LOOK_S = 5.0
_SOON_S = 600.0
"""Who is not at rest by then waits for long: it is looked at more seldom."""
_SECRET = "s3cret"
FIRST_FAULT_S = 30.0


class World:
    """`run` lets it all happen. The history is a function of (seed, agents, plan) alone."""

    def __init__(
        self,
        seed: int,
        *,
        agents: int = 3,
        plan: Plan | None = None,
        hours: float = 0.5,
        tiers: int = 0,
        record: bool = True,
    ) -> None:
        self.seed = seed
        self.clock = Clockwork(seed)
        self.plan = plan if plan is not None else chances.make(seed, agents, hours, tiers=tiers)
        self.history = history.History()
        self.listeners: list[Callable[[history.AnyFact], None]] = [self.history.note] if record else []
        self.faults: Counter[str] = Counter()
        self.calm = False
        self.hub = Hub(self, HUB)
        """The root."""
        self.hubs = {HUB: self.hub, **{name: Hub(self, name, parent) for name, parent in self.plan.hubs.items()}}
        load = Load(every_s=self.plan.say_every_s, burst=self.plan.say_burst, mostly=self.plan.say_mostly)
        names = [f"gw-{number}" for number in range(1, agents + 1)]
        self.devices = {name: Device(self, name, self.plan.homes.get(name, HUB), load) for name in names}
        self.clones: dict[str, Device] = {}
        self.images: dict[str, Image] = {}
        self.late = {item.node for item in self.plan.items if isinstance(item, plans.Arrive | plans.Invite)}
        """Who comes in the course of the plan."""
        self.put_back: set[str] = set()
        """Machines whose store came from a backup, or from what damage left of it."""
        self._asking: set[str] = set()
        self.rest_at: float | None = None
        self._faults = Faults(self)

    def note(self, fact: history.AnyFact) -> None:
        """Note what happened now."""
        for listen in self.listeners:
            listen(fact)

    def fault(self, kind: str, node: Node | None, note: str = "") -> None:
        """Note a fault."""
        self.faults[kind] += 1
        self.note(history.Fault(at=self.clock.now, node=node.name if node is not None else "", kind=kind, note=note))

    # -------------------------------------------------------------------------------------------- who is there

    def node(self, name: str) -> Node:
        """Return a node by its machine's name."""
        return self.hubs.get(name) or self.devices[name]

    def child(self, name: str) -> Child:
        """Return a node that looks up, by its machine's name."""
        return self.hubs[name] if name in self.plan.hubs else self.devices[name]

    def nodes(self) -> list[Child]:
        """Return all that are part of the fleet, parents first."""
        return [*self.hubs.values(), *self.devices.values()]

    def children(self, hub: Hub) -> list[Child]:
        """Return who is directly below `hub`."""
        return [node for node in self.nodes() if node.parent == hub.name]

    def labels_of(self, node: Child) -> dict[str, str]:
        """Return what a node says of itself: a device its site, one of two; a hub where it is."""
        if isinstance(node, Hub):
            return {"continent": node.name.partition("-")[0]}
        return {"site": "oslo" if int(node.node.rpartition("-")[2]) % 2 else "bergen"}

    def is_parted(self, node: Node) -> bool:
        """Tell whether a clone was taken away."""
        return "~" in node.name and node.name not in self.clones

    def restart_later(self, node: Node) -> None:
        """What died by itself is started again, as systemd does."""
        self.clock.after(node.chance.uniform(0.5, 5.0), node.boot)

    def cycle(self, device: Device) -> None:
        """The device's power goes, and comes again."""
        self.fault("power cut", device, "by what runs on it")
        self._faults.power_off(device, lossy=True)
        self.clock.after(5.0, lambda: self._faults.power_on(device))

    # -------------------------------------------------------------------------------------------- the story

    def run(self) -> history.History:
        """Let all of the plan happen, heal, wait for rest, and note what stands on the disks."""
        self.hub.boot()
        self.clock.at(0.1, lambda: self._enroll(self.hub))
        for item in self.plan.items:
            self._faults.schedule(item)
        self.clock.run(self.plan.seconds)
        self._heal()
        calm_at = self.clock.now
        deadline = calm_at + SETTLED_WITHIN_S + CONTACTS * max(self.plan.metered.values(), default=0.0)
        while self.rest_at is None and self.clock.now < deadline:
            self.clock.run(self.clock.now + (_LOOK_S if self.clock.now < calm_at + _SOON_S else 6 * _LOOK_S))
            if rest.unsettled(self) == "":
                self.rest_at = self.clock.now
            else:
                rest.operate(self)
        self._close()
        return self.history

    def _enroll(self, hub: Hub) -> None:
        """Let in all that are below `hub`, level by level."""
        for kind in ("agent", "hub"):
            self._invite(hub, kind, f"tok-{kind}")
        for child in self.children(hub):
            if child.name not in self.late:
                self.arrive(child)

    def _invite(self, hub: Hub, kind: str, token: str) -> None:
        """An operator of `hub` makes a token that lets in nodes of `kind`, for a day."""
        made = inputs.CreateToken(
            id=token,
            secret_hash=signing.secret_hash(_SECRET),
            ttl_s=86_400.0,
            uses=1_000,
            labels={"fleet": "sim"},
            kind=kind,
        )
        hub.ask(made)

    def arrive(self, child: Child) -> None:
        """Have a node ask to be let in, until it is; harmless when it does so already."""
        if child.name not in self._asking:
            self._asking.add(child.name)
            self._ask(child, f"tok-{child.role}")

    def _ask(self, child: Child, token: str) -> None:
        op = self.enrolling(child, token)
        child.home.ask(op, lambda data, error: self._enrolled(child, op.token, data, error))

    def enrolling(self, child: Child, token: str) -> inputs.Enroll:
        """Return what `child` says to be let in with `token`."""
        return inputs.Enroll(
            token=token,
            secret_hash=signing.secret_hash(_SECRET),
            name=child.node,
            csr=child.csr,
            key=child.key,
            ca=child.ca_csr,
            ca_key=child.ca_key,
            labels=self.labels_of(child),
        )

    def invite(self, device: Device) -> None:
        """An operator makes the stick that a device is made from; again when its token is of no use any more."""
        token = f"stick-{device.node}-{self.clock.now:.0f}"
        op = inputs.ReserveNode(
            node=device.node,
            token=token,
            secret_hash=signing.secret_hash(_SECRET),
            ttl_s=30 * 86_400.0,
            labels={"fleet": "sim", **self.labels_of(device)},
        )

        def kept(data: object, error: str) -> None:
            if not error:
                device.invited = token
                device.boot()
            elif "is a" in error:
                self.arrive(device)  # it is known by now, and its stick is not
            else:
                self.clock.after(5.0, lambda: self.invite(device))

        device.home.ask(op, kept)

    def enroll_invited(self, device: Device, tried: Callable[[str], None]) -> None:
        """A device that was made from a stick has come to its hub."""

        def answered(data: dict[str, str] | None, error: str) -> None:
            if data is not None and not error:
                device.hold(data["certificate"])
            elif "expired" in error or "knows no token" in error:
                self.invite(device)
            tried(error)

        device.home.ask(self.enrolling(device, device.invited), answered)

    def _enrolled(self, child: Child, token: str, data: dict[str, str], error: str) -> None:
        if error:
            is_unknown = "knows no token" in error and child.parent in self.put_back  # it was made after the backup
            if "has expired" in error or is_unknown:  # an operator makes another one, as the word says
                token = f"tok-{child.role}-{self.clock.now:.0f}"
                self._invite(child.home, child.role, token)
            self.clock.after(5.0, lambda: self._ask(child, token))
            return
        self._asking.discard(child.name)
        child.hold(data["certificate"])
        if child.alive:
            child.die("stop")  # it lived without, or is let in anew
        child.boot()
        if isinstance(child, Hub):
            self.clock.after(0.1, lambda: self._enroll(child))

    def _heal(self) -> None:
        """The last fault is over."""
        self.calm = True
        self._faults.heal()
        self.note(history.Calm(at=self.clock.now))
        for device in self.devices.values():
            device.machine.quiet = True
            device.machine.behaviour.clear()

    def _close(self) -> None:
        """Note what stands on the disks."""
        at = self.clock.now
        for node in self.nodes():
            if not node.disk.files:
                continue
            own, heads, spaces = node.disk.own_rows(node.node), node.disk.heads(), node.disk.spaces()
            entries = node.disk.entries() if isinstance(node, Hub) else []
            self.note(history.Disk(at=at, node=node.name, own=own, heads=heads, spaces=spaces, entries=entries))

    def ask_device(self, name: str, command: device_inputs.LocalCommand) -> None:
        """A person asks at a device."""
        self.devices[name].local(command)
