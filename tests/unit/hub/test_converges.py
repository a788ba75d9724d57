"""Whatever operators and links do, in whatever order, with the hub killed in between: all ask for the right thing."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.core import inputs, views
from protocol.effects import Effects
from tests.unit.hub.world import Device, World, service

NAMES = ("n1", "n2", "n3")
SELECTORS = ("a", "b", "!a", "*", "")
SERVICES = ("s1", "s2")

names = st.sampled_from(NAMES)
services = st.sampled_from(SERVICES)
steps = st.one_of(
    st.tuples(st.just("apply"), services, st.sampled_from(SELECTORS), st.sampled_from(["all", 1, 2])),
    st.tuples(st.just("delete"), services),
    st.tuples(st.just("label"), names, st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("cordon"), names, st.booleans()),
    st.tuples(st.just("drain"), names),
    st.tuples(st.just("task"), st.sampled_from(SELECTORS)),
    st.tuples(st.just("end"), names),
    st.tuples(st.just("connect"), names),
    st.tuples(st.just("leave"), names),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.1, 300.0])),
    st.tuples(st.just("kill")),
)


class Present(Device):
    """A device that hears what any other one brings about."""

    fleet: "Fleet"

    def see(self, fx: Effects) -> None:
        self.fleet.see(fx)


class Fleet:
    """Three devices, and what may happen to them."""

    def __init__(self) -> None:
        self.world = World()
        self.world.token()
        self.devices = {name: Present(self.world, name) for name in NAMES}
        for name, device in self.devices.items():
            device.fleet = self
            self.world.enroll(name, {"a": ""})

    def see(self, fx: Effects) -> None:
        for device in self.devices.values():
            Device.see(device, fx)

    def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("apply", name, selector, count):
                self.ask(inputs.Apply(documents=[service(name, selector, count=count)]))
            case ("delete", name):
                self.ask(inputs.DeleteResource(kind="service", name=name))
            case ("label", node, label, True):
                self.ask(inputs.LabelNode(node=node, set={label: ""}))
            case ("label", node, label, _):
                self.ask(inputs.LabelNode(node=node, remove=[label]))
            case ("cordon", node, cordoned):
                self.ask(inputs.CordonNode(node=node, cordoned=cordoned))
            case ("drain", node):
                self.ask(inputs.DrainNode(node=node))
            case ("task", selector):
                self.ask(inputs.CreateTasks(selector=selector, command=["true"]))
            case ("end", node):
                self.end(self.devices[node])
            case ("connect", node):
                self.devices[node].connect()
            case ("leave", node):
                self.devices[node].leave()
            case ("wait", seconds):
                self.see(self.world.later(seconds))
            case _:
                self.see(self.world.restart())

    def ask(self, op: inputs.AnyOp) -> None:
        self.see(self.world.request(op))

    def end(self, device: Device) -> None:
        """The device does the first task it is asked for, if it is connected."""
        task = next((item for item in device.items if item.startswith("task/")), None)
        if task is not None and self.world.core.rollup.is_online(device.name):
            group = task.removeprefix("task/")
            device.entries(("task.ended", group, {"id": group, "state": "ok"}))

    def expected(self, node: str) -> set[str]:
        """Return what `node` should be asked for, told from what the operators see."""
        on = [
            f"assignment/{one['name']}"
            for one in views.resources(self.world.core, "service")
            if node in one["placement"]["nodes"]
        ]
        waits = [
            f"task/{group.id}"
            for group in self.world.core.tasks.groups()
            for task in views.task_group(self.world.core, group.id, self.world.now)["tasks"]
            if task["node"] == node and task["state"] in ("pending", "away", "running")
        ]
        return {*on, *waits}


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, max_size=25))
@example([("task", "a"), ("connect", "n3"), ("end", "n3"), ("connect", "n1"), ("task", "a")])
def test_devices_end_up_with_exactly_what_operators_see_placed(story: list[tuple[Any, ...]]) -> None:
    fleet = Fleet()
    for step in story:
        fleet.do(step)
    for device in fleet.devices.values():
        device.connect()
    for name, device in fleet.devices.items():
        assert set(device.items) == fleet.expected(name)
        node = fleet.world.node(name)
        assert node["settled"]
        assert device.held.generation == node["desired_generation"]


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, max_size=20), st.sampled_from([1, 2]))
def test_what_is_counted_is_never_on_more_nodes_than_asked_for(story: list[tuple[Any, ...]], count: int) -> None:
    fleet = Fleet()
    for step in story:
        fleet.do(step)
    fleet.ask(inputs.Apply(documents=[service("counted", "*", count=count)]))
    for step in story:
        fleet.do(step)
        on = views.resource(fleet.world.core, "service", "counted")["placement"]["nodes"]
        assert len(on) <= count
