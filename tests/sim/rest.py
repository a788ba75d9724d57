"""Whether a healed world is at rest: what A19 asks for, looked at from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core import inputs
from hub.core.work.tasks import ENDED
from tests.checkers import followed
from tests.sim.child import Child
from tests.sim.device import Device
from tests.sim.hub import Hub

if TYPE_CHECKING:
    from tests.sim.world import World


def unsettled(world: World) -> str:
    """Return what is not at rest yet, "" when all is."""
    for node in world.nodes():
        if not node.alive:
            return f"{node.name} is down"
        if node.is_busy:
            return f"{node.name} is at work"
    for node in world.nodes():
        if node.parent and not node.revoked:
            found = _child(node) or (_workloads(node) if isinstance(node, Device) else "")
            if found:
                return f"{node.name}: {found}"
    return _moves(world) or _tasks(world)


def _tasks(world: World) -> str:
    for hub in world.hubs.values():
        tasks = hub.hub_core.tasks
        for group in tasks.groups():
            results = tasks.results(group.id)
            for address in group.nodes:
                if address not in results or results[address].state not in ENDED:
                    return f"task {group.id} of {hub.name} on {address} has not ended"
    return ""


def _moves(world: World) -> str:
    gone = {node.node for node in world.nodes() if node.revoked}
    for hub in world.hubs.values():
        for node in world.devices:
            order = hub.hub_core.orders.find(node)
            if order is not None and order.is_open and not gone & {node, order.move.former, order.move.to.id}:
                return f"{hub.name} still says that {node} belongs to {order.move.to.id}"
    return ""


def _child(node: Child) -> str:
    core = node.home.hub_core
    known = core.registry.find(node.node)
    if known is None:
        return f"{node.parent} does not know it"
    if known.moved or known.lodger:
        return f"{node.parent} says that it belongs to {known.moved or known.lodger}"
    view = core.parent.view(node.node)
    if view.quarantined or view.blocked:
        return "waits for an operator"
    if not view.live:
        return "is not live"
    if not core.delegate.is_settled(node.node):
        return "what it is asked for is to be made anew"
    if (view.held.term, view.held.generation, view.held.digest) != (view.term, view.generation, view.digest):
        return "holds another manifest than it is asked for"
    told = node.hub_core.relay.next_wake() if isinstance(node, Hub) else None
    if told is not None and told <= node.now().mono:  # of what goes on for ever there are always some
        return "holds rows back, and has not told it yet"
    for stream, (epoch, last, _, _) in node.disk.heads().items():
        cursor = view.cursors.get(stream)
        if last and (cursor is None or (cursor.epoch, cursor.seq) != (epoch, last)):
            return f"its {stream} is at {last}, {node.parent}'s cursor at {cursor.seq if cursor else 0}"
    return ""


def _workloads(device: Device) -> str:
    if device.installer.is_at_it:
        return "root puts another version in place"
    spaces = device.disk.spaces()
    items = followed.items(spaces)
    for name in spaces.get("service", {}):
        if f"assignment/{name}" not in items:
            return f"it still keeps {name}"
    if any(process.unsent or process.sent for process in device.machine.folders.values() if process.runs):
        return "a producer waits for an answer"
    stopping = [name for name, process in device.machine.folders.items() if process.runs and name.startswith("t-")]
    return f"it still runs {stopping[0]}" if stopping else ""


def operate(world: World) -> None:
    """The operators look at alarms and accept them, one look after the other.

    Who came after a backup was made, by a move too (decision 0038), is enrolled again, as the alarm of a restored hub
    asks; whom a hub that was never put back does not know, nobody brings back. So is who came to a hub by a grant, once
    the hub above, which revoked it, will not say where he belongs (decision 0054).
    """
    for hub in world.hubs.values():
        if not hub.alive:
            continue
        if hub.hub_core.restore.waits:
            hub.ask(inputs.AcceptRestore(reason="we know"))
        for child in world.children(hub):
            found = hub.hub_core.registry.find(child.node)
            is_waiting = found is not None and found.lodger != "" and hub.revoked
            if is_waiting or (found is None and hub.name in world.put_back):
                world.arrive(child)
            if found is None or found.revoked_ms:
                continue
            view = hub.hub_core.parent.view(child.node)
            if view.quarantined or view.blocked:
                hub.ask(inputs.AcceptNode(node=child.node))
