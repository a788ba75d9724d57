"""Brings a plan's records about, and ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.core import inputs as device_inputs
from hub.core import inputs
from tests.checkers import history
from tests.sim import plan
from tests.sim.child import Child
from tests.sim.courier import Courier
from tests.sim.device import Device
from tests.sim.node import Node
from tests.sim.plan import AnyItem

if TYPE_CHECKING:
    from tests.sim.world import World

_STOP_WAIT_S = 0.5
_COMMIT_S = 0.004
_SILENT_S = 60.0
"""After so long a cut nothing is under way any more, however late a broker is."""


class Faults:
    """See the module. What ends by itself ends no later than `heal`."""

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, world.clock
        self._clones = 1
        self._courier = Courier(world)
        self._papers: dict[str, tuple[str, str, tuple[int, int]]] = {}

    def schedule(self, item: AnyItem) -> None:
        """Have `item` happen at its moment."""
        if isinstance(item, plan.Restore):
            self.clock.at(item.at - item.age_s, lambda: self._back_up(item))
        self.clock.at(item.at, lambda: self._bring(item))

    def _bring(self, item: AnyItem) -> None:
        if self.world.calm:
            return
        match item:
            case plan.Operate():
                self._operate(item)
            case plan.AtDevice(node=node, command=command):
                self.world.devices[node].local(command)
            case plan.Carry():
                self._courier.carry(item)
            case plan.Arrive(node=node):
                self.world.arrive(self.world.devices[node])
            case plan.Invite(node=node):
                self.world.invite(self.world.devices[node])
            case plan.Behave():
                device = self.world.devices[item.node]
                self.world.fault(f"workload {item.verb}", device, item.service)
                device.machine.behave(item.service, item.verb, self.clock.now + item.for_s)
            case plan.Cut() | plan.Flap() | plan.Clog() | plan.Slow() | plan.Bad() | plan.KillBroker():
                self._network(item)
            case plan.Reset() | plan.Forget():
                self._unplug(item)
            case plan.Kill() | plan.Stop() | plan.Reboot() | plan.SetClock():
                self._node(item)
            case _:
                self._disk(item)

    def _operate(self, item: plan.Operate) -> None:
        op = item.op
        if isinstance(op, inputs.NoteArtifact):
            self.world.hubs[item.node].folder[op.digest] = op.size  # it lies there before it is told of

        def answered(data: object, error: str) -> None:
            if not error and isinstance(op, inputs.RevokeNode):
                self.world.child(op.node).revoked = True

        self.world.hubs[item.node].ask(op, answered)

    # -------------------------------------------------------------------------------------------- the network

    def _network(self, item: AnyItem) -> None:
        world = self.world
        match item:
            case plan.Cut():
                device = world.child(item.node)
                kind = "cut" if item.up and item.down else "one-way cut"
                world.fault(kind, device, f"{item.for_s:.0f} s")
                device.path.block(item.up, item.down)
                self.clock.after(item.for_s, lambda: device.path.block(False, False))
            case plan.Flap():
                self._flap(item, item.times)
            case plan.Clog():
                world.fault("clog", None, " ".join(item.nodes))
                for number, node in enumerate(item.nodes):
                    path = world.child(node).path
                    self.clock.after(number * item.each_s, lambda path=path: self._shut(path))
                    self.clock.after((len(item.nodes) + 1) * item.each_s, lambda path=path: path.block(False, False))
            case plan.Slow():
                device = world.child(item.node)
                world.fault("slow", device, f"{item.delay_s:.1f} s, {item.bytes_per_s:.0f} B/s")
                device.path.delay_s, device.path.bytes_per_s = item.delay_s, item.bytes_per_s
                self.clock.after(item.for_s, lambda: self._quick(device))
            case plan.Bad():
                device = world.child(item.node)
                world.fault("bad broker", device)
                device.path.drop, device.path.double, device.path.late = item.drop, item.double, item.late
                self.clock.after(item.for_s, lambda: self._good(device))
            case plan.KillBroker():
                self._kill_broker(item)
            case _:
                raise AssertionError(item)

    def _unplug(self, item: plan.Reset | plan.Forget) -> None:
        node = self.world.child(item.node)
        self.world.fault("reset" if isinstance(item, plan.Reset) else "forgotten", node)
        for wire in list(node.path.wires):
            if isinstance(item, plan.Reset):
                wire.cut("connection reset")
            else:
                wire.forget_idle()

    def _shut(self, path: object) -> None:
        from tests.sim.network import Path

        assert isinstance(path, Path)
        if not self.world.calm:
            path.block(True, True)

    def _flap(self, item: plan.Flap, left: int) -> None:
        if self.world.calm or not left:
            return
        device = self.world.child(item.node)
        self.world.fault("flap", device)
        device.path.block(True, True)
        self.clock.after(item.shut_s, lambda: device.path.block(False, False))
        self.clock.after(item.shut_s + item.open_s, lambda: self._flap(item, left - 1))

    def _quick(self, device: Child) -> None:
        device.path.delay_s, device.path.bytes_per_s = 0.02, 0.0

    def _good(self, device: Child) -> None:
        device.path.drop = device.path.double = device.path.late = 0.0

    def _kill_broker(self, item: plan.KillBroker) -> None:
        broker = self.world.hubs[item.node].broker
        if broker is not None:
            self.world.fault("broker killed", self.world.hubs[item.node])
            broker.kill()
            self.clock.after(item.for_s, broker.start)

    # -------------------------------------------------------------------------------------------- nodes

    def _node(self, item: AnyItem) -> None:
        match item:
            case plan.Kill(node=name):
                node = self.world.node(name)
                if item.place:
                    node.die_at, node.die_after = item.place, item.nth
                elif node.alive:
                    self.world.fault("kill", node)
                    node.die("kill")
                    self.clock.after(item.for_s, node.boot)
            case plan.Stop(node=name):
                node = self.world.node(name)
                if node.alive:
                    self.world.fault("stop", node)
                    self.stop(node)
                    self.clock.after(_STOP_WAIT_S + item.for_s, node.boot)
            case plan.Reboot(node=name):
                self._reboot(self.world.node(name), item)
            case plan.SetClock(node=name, offset_s=offset_s):
                node = self.world.node(name)
                self.world.fault("clock", node, f"{offset_s:+.0f} s")
                node.wall_offset_s = offset_s
            case _:
                raise AssertionError(item)

    def stop(self, node: Node) -> None:
        """Stop the daemon in order: it says what it has to say, and then ends."""
        life = node.life
        node.put(device_inputs.Stopping() if isinstance(node, Device) else inputs.Stopping())
        self.clock.after(_STOP_WAIT_S, lambda: node.die("stop") if node.life == life else None)

    def _reboot(self, node: Node, item: plan.Reboot) -> None:
        kind = "absence" if item.for_s > 86_400 else "power cut" if item.power else "reboot"
        self.world.fault(kind, node, f"{item.for_s:.0f} s")
        if not item.power:
            node.die("stop")
        self.power_off(node, lossy=item.power)
        self.clock.after(item.for_s, lambda: self.power_on(node))

    def power_off(self, node: Node, *, lossy: bool) -> None:
        """The machine goes down."""
        node.die("power")
        node.powered = False
        if isinstance(node, Device):
            node.machine.down()
            node.installer.down()
        if lossy and node.disk.power_cut(node.chance) == ["telemetry.db"]:
            self.world.fault("lost", node, "what the telemetry file had not written")

    def power_on(self, node: Node) -> None:
        """The machine starts, if it is off."""
        if node.powered:
            return
        node.powered = True
        node.boots += 1
        node.booted_at = self.clock.now
        if isinstance(node, Device):
            node.machine.boots += 1
            node.installer.boot()
        node.boot()

    # -------------------------------------------------------------------------------------------- disks

    def _disk(self, item: AnyItem) -> None:
        match item:
            case plan.Full(node=name):
                node = self.world.node(name)
                self.world.fault("full", node, f"{item.for_s:.0f} s")
                node.disk.full = True
                self.clock.after(item.for_s, lambda: self._roomy(node))
            case plan.SlowDisk(node=name, commit_s=commit_s):
                node = self.world.node(name)
                self.world.fault("slow disk", node, f"{commit_s:.1f} s")
                node.commit_s = commit_s
                self.clock.after(item.for_s, lambda: self._brisk(node))
            case plan.Restore():
                self._restore(item)
            case plan.Clone():
                self._clone(item)
            case plan.Corrupt(node=name):
                self._corrupt(self.world.node(name), item)
            case plan.Poison(node=name):
                device = self.world.devices[name]
                device.path.block(True, True)
                self.clock.after(_SILENT_S, lambda: self._poison(device, item))
            case _:
                raise AssertionError(item)

    def _roomy(self, node: Node) -> None:
        node.disk.full = False

    def _brisk(self, node: Node) -> None:
        node.commit_s = _COMMIT_S

    def _back_up(self, item: plan.Restore) -> None:
        node = self.world.node(item.node)
        if node.disk.files:
            self.world.images[f"{item.node}@{item.at}"] = node.disk.image()
            if isinstance(node, Device):
                self._papers[f"{item.node}@{item.at}"] = node.parent, node.scope, node.certificate

    def _restore(self, item: plan.Restore) -> None:
        node = self.world.node(item.node)
        image = self.world.images.pop(f"{item.node}@{item.at}", None)
        if image is None or not node.powered or image.files.keys() != node.disk.files.keys():
            return
        how = ("in place" if item.in_place else "copied") + (", with the lock file" if item.lock_too else "")
        node.die("kill")
        self.world.fault("restore", node, f"{item.age_s:.0f} s old, {how}")
        node.disks += 1
        self.world.put_back.add(node.name)
        node.disk.restore(image, in_place=item.in_place, lock_too=item.lock_too)
        papers = self._papers.get(f"{item.node}@{item.at}")
        if papers is not None and item.lock_too and isinstance(node, Device):
            node.parent, node.scope, node.certificate = papers  # its whole folder comes back, with its home
        self.clock.after(1.0, node.boot)

    def _clone(self, item: plan.Clone) -> None:
        world = self.world
        original = world.devices[item.node]
        if not original.disk.files or original.revoked:
            return
        self._clones += 1
        name = f"{item.node}~{self._clones}"
        clone = world.clones[name] = Device(world, name, original.parent, original.machine.load)
        clone.certificate = original.certificate
        clone.disk.copy_of(original.disk.image())
        clone.installer.copy_of(original.installer)
        world.fault("clone", clone, f"of {item.node}, {item.for_s:.0f} s")
        clone.boot()
        self.clock.after(item.for_s, lambda: self._take_away(clone))

    def _take_away(self, clone: Device) -> None:
        if self.world.clones.pop(clone.name, None) is not None:
            self.power_off(clone, lossy=False)

    def _corrupt(self, node: Node, item: plan.Corrupt) -> None:
        file = node.disk.files.get(item.file)
        if file is None or not node.powered:
            return
        node.die("kill")
        self.world.fault("corrupt", node, item.file)
        node.disks += 1
        self.world.put_back.add(node.name)
        node.disk.corrupt(item.file, item.pages, node.chance)
        self.clock.after(1.0, node.boot)

    def _poison(self, device: Device, item: plan.Poison) -> None:
        device.path.block(False, False)
        if self.world.calm or not device.powered or not device.alive or not device.home.disk.files:
            return
        device.die("kill")
        held = device.home.disk.cursor(device.node, item.stream)
        if held is not None and device.disk.poison(item.stream, plan.POISONS[item.looks], held):
            self.world.fault("poison", device, f"{item.stream}, {item.looks}")
            device.disks += 1
        self.clock.after(1.0, device.boot)

    # -------------------------------------------------------------------------------------------- the end

    def heal(self) -> None:
        """End every fault that still lasts."""
        world = self.world
        for clone in list(world.clones.values()):
            self._take_away(clone)
        for hub in world.hubs.values():
            if hub.broker is not None:
                hub.broker.start()
        for node in world.nodes():
            node.disk.full, node.commit_s, node.die_at, node.wall_offset_s = False, _COMMIT_S, "", 0.0
            node.path.heal()
            self.power_on(node)
            node.boot()


__all__ = ["Faults", "history"]
