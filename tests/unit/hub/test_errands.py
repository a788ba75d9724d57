"""`skerry run` for devices below other hubs: one errand for each child hub, and each hub hands it on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from protocol import documents, limits, status
from protocol.effects import Effects, Rows
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import Device


@pytest.fixture
def tree() -> Tree:
    """Root `cloud`, region `eu`, hub `oslo` below it."""
    tree = Tree()
    tree.add("cloud")
    tree.add("eu", "cloud")
    tree.add("oslo", "eu")
    return tree


@pytest.fixture
def devices(tree: Tree) -> dict[str, Device]:
    """Return a device at each hub."""
    found = {
        name: tree.hubs[hub].device(name, {"site": "here"})
        for hub, name in (("cloud", "gw-c"), ("eu", "gw-e"), ("oslo", "gw-o"))
    }
    tree.later(3.0)
    return found


def run(hub: Hub, **asked: Any) -> str:
    group: str = hub.ask(inputs.CreateTasks(command=["true"], **asked))["group"]
    hub.tree.later(1.0)
    return group


def asked(hub: Hub, child: str) -> list[str]:
    """Return the ids of the tasks and errands that a hub asks of a child."""
    record = hub.store.snapshot().spaces["asked"].get(child, b'{"items":{}}')
    return sorted(item for item in msgspec.json.decode(record)["items"] if item.startswith(("task/", "errand/")))


def states(hub: Hub, group: str) -> dict[str, str]:
    return {address: result.state for address, result in hub.core.tasks.results(group).items()}


def reasons(hub: Hub, group: str) -> list[str]:
    return [result.reason for result in hub.core.tasks.results(group).values()]


def end(device: Device, group: str, state: str = "ok", **said: Any) -> None:
    fact = status.TaskFact(id=group, state=state, **said)
    device.entries(("task.ended", group, msgspec.to_builtins(fact)))


def test_a_selector_at_the_root_reaches_every_tier_and_the_answers_come_back(
    tree: Tree, devices: dict[str, Device]
) -> None:
    cloud, eu, oslo = tree.hubs["cloud"], tree.hubs["eu"], tree.hubs["oslo"]
    group = run(cloud, selector="site=here")
    assert set(cloud.core.tasks.get(group).nodes) == {"gw-c", "eu/gw-e", "eu/oslo/gw-o"}
    assert [asked(cloud, "gw-c"), asked(eu, "gw-e"), asked(oslo, "gw-o")] == [[f"task/{group}"]] * 3
    assert [asked(cloud, "eu"), asked(eu, "oslo")] == [[f"errand/{group}"]] * 2
    for device in devices.values():
        end(device, group)
    tree.later(2.0)
    assert states(cloud, group) == {"gw-c": "ok", "eu/gw-e": "ok", "eu/oslo/gw-o": "ok"}
    assert [asked(hub, child) for hub, child in ((cloud, "eu"), (eu, "oslo"), (eu, "gw-e"), (oslo, "gw-o"))] == [[]] * 4


def test_an_errand_stays_until_the_last_of_its_nodes_has_ended(tree: Tree, devices: dict[str, Device]) -> None:
    cloud = tree.hubs["cloud"]
    group = run(cloud, nodes=["eu/gw-e", "cloud/eu/oslo/gw-o"])
    end(devices["gw-e"], group)
    tree.later(2.0)
    assert states(cloud, group) == {"eu/gw-e": "ok"}
    assert asked(cloud, "eu") == [f"errand/{group}"]
    assert asked(tree.hubs["eu"], "gw-e") == []
    tree.hubs["eu"].restart()
    tree.later(2.0)
    assert asked(tree.hubs["eu"], "oslo") == [f"errand/{group}"]


def test_an_answer_comes_though_policy_holds_back_what_devices_say_with_the_ends_of_its_output(
    tree: Tree, devices: dict[str, Device]
) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    thrift = {"metadata": {"name": "thrift"}, "spec": {"forward": {"state": "summary"}}}
    cloud.ask(inputs.Apply(documents=[{"apiVersion": "skerry/v1", "kind": "Policy", **thrift}]))
    tree.later(3.0)
    group, own = run(cloud, nodes=["gw-e", "gw-o"]), run(eu, nodes=["gw-e"])
    size = limits.RESULT_CLIPPED_BYTES
    end(devices["gw-e"], group, stdout="x" + "y" * size)
    end(devices["gw-o"], group, state="failed", reason="no room", exit_code=3)
    end(devices["gw-e"], own)
    tree.later(2.0)
    assert states(cloud, group) == {"eu/gw-e": "ok", "eu/oslo/gw-o": "failed"}
    results = cloud.core.tasks.results(group)
    assert results["eu/gw-e"].stdout == "y" * size
    assert "stays at eu" in results["eu/gw-e"].reason
    assert (results["eu/oslo/gw-o"].reason, results["eu/oslo/gw-o"].exit_code) == ("no room", 3)
    assert asked(cloud, "eu") == asked(eu, "oslo") == []
    said = [raw for raw, _ in eu.store.streams["state"].rows.values() if b"errand.ended" in raw]
    assert (len(said), own.encode() in b"".join(said)) == (2, False)


def test_a_plain_name_that_only_one_node_has_is_enough_and_a_hub_runs_nothing(
    tree: Tree, devices: dict[str, Device]
) -> None:
    cloud = tree.hubs["cloud"]
    assert cloud.core.tasks.get(run(cloud, nodes=["gw-o"])).nodes == ["eu/oslo/gw-o"]
    refused = cloud.request(inputs.CreateTasks(nodes=["eu/oslo"], command=["true"]))
    assert refused is not None
    assert "is a hub: it runs nothing itself" in refused.error


def test_what_the_region_no_longer_knows_is_refused_there_and_said_above(
    tree: Tree, devices: dict[str, Device]
) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    eu.cut()
    eu.ask(inputs.RevokeNode(node="gw-e", reason="stolen"))
    group = run(cloud, nodes=["eu/gw-e"])
    eu.heal()
    assert states(cloud, group) == {"eu/gw-e": "refused"}
    assert reasons(cloud, group) == ["gw-e is revoked (stolen)"]
    assert asked(cloud, "eu") == []


def test_a_node_that_is_revoked_meanwhile_is_given_up_with_a_word_above(tree: Tree, devices: dict[str, Device]) -> None:
    cloud, oslo = tree.hubs["cloud"], tree.hubs["oslo"]
    group = run(cloud, nodes=["gw-o"])
    oslo.ask(inputs.RevokeNode(node="gw-o", reason="stolen"))
    tree.later(2.0)
    assert states(cloud, group) == {"eu/oslo/gw-o": "unknown"}
    assert reasons(cloud, group) == ["gw-o was revoked"]
    assert states(tree.hubs["eu"], group) == {"oslo/gw-o": "unknown"}


def test_a_region_that_is_revoked_answers_for_nobody(tree: Tree, devices: dict[str, Device]) -> None:
    cloud = tree.hubs["cloud"]
    group = run(cloud, nodes=["gw-e", "gw-o"])
    cloud.ask(inputs.RevokeNode(node="eu", reason="sold"))
    assert states(cloud, group) == {"eu/gw-e": "unknown", "eu/oslo/gw-o": "unknown"}


def test_an_errand_that_is_withdrawn_is_cancelled_at_every_tier(tree: Tree, devices: dict[str, Device]) -> None:
    eu, oslo = tree.hubs["eu"], tree.hubs["oslo"]
    group = run(tree.hubs["cloud"], nodes=["gw-o"])
    assert asked(oslo, "gw-o") == [f"task/{group}"]
    eu.core.errands.wanted({}, eu.now, fx := Effects())
    eu.perform(fx)
    eu.take(inputs.Tick())
    tree.later(2.0)
    assert (states(eu, group), states(oslo, group)) == ({"oslo/gw-o": "cancelled"}, {"gw-o": "cancelled"})
    assert asked(oslo, "gw-o") == []


def test_a_deadline_is_judged_by_the_clock_of_the_hub_that_asks(tree: Tree, devices: dict[str, Device]) -> None:
    cloud, eu = tree.hubs["cloud"], tree.hubs["eu"]
    assert eu.core.up is not None
    eu.core.up.child.offset_ms = -90_000  # this region is 90 s ahead of its parent
    group = run(cloud, nodes=["gw-e"], deadline_s=60.0)
    ours, theirs = (hub.core.tasks.get(group).document.deadline_ms for hub in (cloud, eu))
    assert theirs - ours == 90_000


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"no",
        b'{"is":"errand","task":{"id":"other"},"at":["x"]}',
        b'{"is":"errand","task":{"id":"t1"},"at":["../x"]}',
        b'{"is":"errand","task":{"id":"t1"},"at":[]}',
    ],
)
def test_what_is_no_errand_is_refused_and_on_record(tree: Tree, raw: bytes) -> None:
    eu, fx = tree.hubs["eu"], Effects()
    eu.core.errands.wanted({"errand/t1": raw}, eu.now, fx)
    assert "t1" not in eu.core.tasks
    assert any(b"errand.refused" in row for row in rows(fx))


def rows(fx: Effects) -> list[bytes]:
    return [row for op in fx.store if isinstance(op, Rows) for _, row, _ in op.rows]


def test_names_that_nobody_has_are_refused_one_by_one(tree: Tree, devices: dict[str, Device]) -> None:
    eu = tree.hubs["eu"]
    task = documents.Task(id="t1", command=["true"])
    errand = documents.Errand(task=task, at=["gw-e", "nobody", "oslo", "gw-e/x"])
    fx = Effects()
    eu.core.errands.wanted({"errand/t1": documents.encode(errand)}, eu.now, fx)
    eu.perform(fx)
    assert states(eu, "t1") == {"nobody": "refused", "oslo": "refused", "gw-e/x": "refused"}
    assert reasons(eu, "t1") == [
        "there is no node nobody at eu",
        "oslo is a hub: it runs nothing itself",
        "gw-e is no hub: there is nothing below it",
    ]


def test_a_group_shows_each_node_by_its_address(tree: Tree, devices: dict[str, Device]) -> None:
    cloud = tree.hubs["cloud"]
    group = run(cloud, selector="site=here")
    shown = views.task_group(cloud.core, group, cloud.now)
    assert {one["node"]: one["state"] for one in shown["tasks"]} == {
        "gw-c": "pending",
        "eu/gw-e": "pending",
        "eu/oslo/gw-o": "pending",
    }


def test_an_errand_that_is_too_large_to_hand_on_is_refused_for_its_nodes(tree: Tree) -> None:
    eu = tree.hubs["eu"]
    assert eu.core.up is not None
    eu.core.up.child.offset_ms = -(10**12)  # so far off that the deadline takes more digits here
    task = documents.Task(id="t1", command=["x"], deadline_ms=1)
    spare = limits.DOCUMENT_BYTES_MAX - len(documents.encode(documents.Errand(task=task, at=["o/x"])))
    task = msgspec.structs.replace(task, command=["x" * (spare + 1)])
    raw = documents.encode(documents.Errand(task=task, at=["o/x"]))
    assert len(raw) == limits.DOCUMENT_BYTES_MAX
    eu.core.errands.wanted({"errand/t1": raw}, eu.now, fx := Effects())
    assert "t1" not in eu.core.tasks
    assert any(b"errand.ended" in row and b"o/x" in row for row in rows(fx))
