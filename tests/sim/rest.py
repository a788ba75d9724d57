"""Whether a healed world is at rest: what A19 asks for, looked at from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.work.tasks import ENDED
from tests.sim.device import Device
from tests.sim.plan import HUB

if TYPE_CHECKING:
    from tests.sim.world import World


def unsettled(world: World) -> str:
    """Return what is not at rest yet, "" when all is."""
    hub = world.hub
    if not hub.alive:
        return "the hub is down"
    if hub.is_busy:
        return "the hub is at work"
    for device in world.devices.values():
        if not device.alive:
            return f"{device.name} is down"
        if device.is_busy:
            return f"{device.name} is at work"
        if not device.revoked:
            found = _device(world, device)
            if found:
                return f"{device.name}: {found}"
    return ""


def _device(world: World, device: Device) -> str:
    core = world.hub.hub_core
    if core.registry.find(device.node) is None:
        return "the hub does not know it"
    view = core.parent.view(device.node)
    if view.quarantined or view.blocked:
        return "waits for an operator"
    if not view.live:
        return "is not live"
    if not core.delegate.is_settled(device.node):
        return "what it is asked for is to be made anew"
    if (view.held.term, view.held.generation, view.held.digest) != (view.term, view.generation, view.digest):
        return "holds another manifest than it is asked for"
    for stream, (epoch, last, _, _) in device.disk.heads().items():
        cursor = view.cursors.get(stream)
        if last and (cursor is None or (cursor.epoch, cursor.seq) != (epoch, last)):
            return f"its {stream} is at {last}, the hub's cursor at {cursor.seq if cursor else 0}"
    for group in core.tasks.open_on(device.node):
        result = core.tasks.results(group).get(device.node)
        if result is None or result.state not in ENDED:
            return f"its task {group} has not ended"
    return _workloads(device)


def _workloads(device: Device) -> str:
    spaces = device.disk.spaces()
    raw = spaces.get("manifest", {}).get(HUB)
    items: dict[str, str] = msgspec.json.decode(raw)["items"] if raw is not None else {}
    for name in spaces.get("service", {}):
        if f"assignment/{name}" not in items:
            return f"it still keeps {name}"
    if any(process.unsent or process.sent for process in device.machine.folders.values() if process.runs):
        return "a producer waits for an answer"
    return ""


def operate(world: World) -> None:
    """The operator looks at alarms and accepts them, one look after the other."""
    hub = world.hub
    if not hub.alive:
        return
    if hub.hub_core.restore.waits:
        hub.ask(inputs.AcceptRestore(reason="we know"))
    for device in world.devices.values():
        found = hub.hub_core.registry.find(device.node)
        if found is None or found.revoked_ms:
            continue
        view = hub.hub_core.parent.view(device.node)
        if view.quarantined or view.blocked:
            hub.ask(inputs.AcceptNode(node=device.node))
