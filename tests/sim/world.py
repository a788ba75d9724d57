"""One simulated world: a hub, its devices, the network between, and what happens in it, noted as facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from edge_agent.core import inputs as device_inputs
from hub.core import inputs
from protocol.trust import signing
from tests.checkers import history
from tests.sim import chances, rest
from tests.sim.broker import Broker
from tests.sim.clockwork import Clockwork
from tests.sim.device import Device
from tests.sim.disk import Image
from tests.sim.doors import Door, FrontDoor
from tests.sim.faults import Faults
from tests.sim.hub import Hub
from tests.sim.machine import Load
from tests.sim.node import Node
from tests.sim.plan import HUB, Plan

SETTLED_WITHIN_S = 7_200.0
"""The bound of A19 here: 20 minutes of a refused child's patience, backoffs, leases, a few rounds of each."""
_LOOK_S = 5.0
_SECRET = "s3cret"
FIRST_FAULT_S = 30.0


class World:
    """`run` lets it all happen. The history is a function of (seed, agents, plan) alone."""

    def __init__(
        self, seed: int, *, agents: int = 3, plan: Plan | None = None, hours: float = 0.5, record: bool = True
    ) -> None:
        self.seed = seed
        self.clock = Clockwork(seed)
        self.plan = plan if plan is not None else chances.make(seed, agents, hours)
        self.history = history.History()
        self.listeners: list[Callable[[history.AnyFact], None]] = [self.history.note] if record else []
        self.faults: Counter[str] = Counter()
        self.calm = False
        self.hub = Hub(self, HUB)
        self.broker = Broker(self.hub) if self.plan.external else None
        self.door: Door = self.broker or FrontDoor(self.hub)
        load = Load(every_s=self.plan.say_every_s, burst=self.plan.say_burst)
        self.devices = {f"gw-{number}": Device(self, f"gw-{number}", load) for number in range(1, agents + 1)}
        self.clones: dict[str, Device] = {}
        self.images: dict[str, Image] = {}
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
        return self.hub if name == HUB else self.devices[name]

    def nodes(self) -> list[Node]:
        """Return all that are part of the fleet."""
        return [self.hub, *self.devices.values()]

    def site_of(self, node: str) -> str:
        """Return the device's site: two of them."""
        return "oslo" if int(node.rpartition("-")[2]) % 2 else "bergen"

    def is_parted(self, node: Node) -> bool:
        """Tell whether a clone was taken away."""
        return "~" in node.name and node.name not in self.clones

    def restart_later(self, node: Node) -> None:
        """What died by itself is started again, as systemd does."""
        self.clock.after(node.chance.uniform(0.5, 5.0), node.boot)

    # -------------------------------------------------------------------------------------------- the story

    def run(self) -> history.History:
        """Let all of the plan happen, heal, wait for rest, and note what stands on the disks."""
        self.hub.boot()
        self.clock.at(0.1, self._enroll)
        for item in self.plan.items:
            self._faults.schedule(item)
        self.clock.run(self.plan.seconds)
        self._heal()
        deadline = self.clock.now + SETTLED_WITHIN_S
        while self.rest_at is None and self.clock.now < deadline:
            self.clock.run(self.clock.now + _LOOK_S)
            if rest.unsettled(self) == "":
                self.rest_at = self.clock.now
            else:
                rest.operate(self)
        self._close()
        return self.history

    def _enroll(self) -> None:
        token = inputs.CreateToken(
            id="tok", secret_hash=signing.secret_hash(_SECRET), ttl_s=86_400.0, uses=1_000, labels={"fleet": "sim"}
        )
        self.hub.ask(token)
        for device in self.devices.values():
            self._enroll_one(device)

    def _enroll_one(self, device: Device) -> None:
        op = inputs.Enroll(
            token="tok",
            secret_hash=signing.secret_hash(_SECRET),
            name=device.node,
            csr=f"CSR {device.node} {device.key}",
            key=device.key,
            labels={"site": self.site_of(device.node)},
        )
        self.hub.ask(op, lambda data, error: self._enrolled(device, data, error))

    def _enrolled(self, device: Device, data: dict[str, str], error: str) -> None:
        if error:
            self.clock.after(5.0, lambda: self._enroll_one(device))
            return
        _, from_ms, until_ms = data["certificate"].split()
        device.certificate = (int(from_ms), int(until_ms))
        device.boot()

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
            entries = node.disk.entries() if node is self.hub else []
            self.note(history.Disk(at=at, node=node.name, own=own, heads=heads, spaces=spaces, entries=entries))

    def ask_device(self, name: str, command: device_inputs.LocalCommand) -> None:
        """A person asks at a device."""
        self.devices[name].local(command)
