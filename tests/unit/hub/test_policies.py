"""Policies bind what is below the hub that declares them; a hub narrows what it inherited, and never widens it."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core import inputs
from tests.support.tree import Tree
from tests.unit.hub.tiers import Tier
from tests.unit.hub.world import service, workflow


def policy(name: str = "thrift", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "skerry/v1", "kind": "Policy", "metadata": {"name": name}, "spec": spec}


def running_as(user: str, name: str = "line") -> dict[str, Any]:
    return service(name, "*", process={"command": ["x"], "user": user})


@pytest.fixture
def cloud() -> Tier:
    """A cloud over two regions, of which one has a region below it, with a device."""
    cloud = Tier()
    cloud.region("us", continent="us")
    cloud.region("eu", continent="eu").region("oslo").enroll("gw-1", {})
    return cloud


def test_a_policy_is_inherited_by_the_regions_that_it_is_for_and_all_below_them(cloud: Tier) -> None:
    (result,) = cloud.apply(policy(regions="continent=eu", forward={"metrics": "summary"}))
    assert (result["regions"], result["nodes"], result["note"]) == ({"eu": None}, [], "")
    cloud.flow()
    eu, us = cloud.regions["eu"], cloud.regions["us"]
    oslo = eu.regions["oslo"]
    extents = [hub.core.policies.forwarded("metrics") for hub in (cloud, us, eu, oslo)]
    assert extents == ["all", "all", "summary", "summary"]
    assert oslo.core.delegated.owner("policy/thrift") == "cloud"
    cloud.ask(inputs.DeleteResource(kind="policy", name="thrift"))
    cloud.flow()
    assert oslo.core.policies.forwarded("metrics") == "all"


def test_a_region_narrows_for_itself_and_below(cloud: Tier) -> None:
    cloud.apply(policy(forward={"logs": "state"}, allow={"users": ["app", "nobody"]}))
    cloud.flow()
    eu = cloud.regions["eu"]
    eu.apply(policy("tight", forward={"logs": "summary"}, allow={"users": ["app"]}))
    cloud.flow()
    assert [hub.core.policies.forwarded("logs") for hub in (cloud, cloud.regions["us"], eu, eu.regions["oslo"])] == [
        "state",
        "state",
        "summary",
        "summary",
    ]
    assert eu.regions["oslo"].core.policies.rules().users == frozenset({"app"})


def test_a_region_that_widens_is_refused_with_all_that_it_widens(cloud: Tier) -> None:
    cloud.apply(policy(forward={"metrics": "summary"}, allow={"users": ["app"], "services": 3}))
    cloud.flow()
    eu = cloud.regions["eu"]
    refused = eu.refused(
        inputs.Apply(documents=[policy("wide", forward={"metrics": "all"}, allow={"users": ["root"]})])
    )
    assert refused.error == (
        "policy/wide allows more than it inherited: forward.metrics: all (allowed: summary); allow.users: root "
        "(allowed: app): a policy only narrows; it was inherited from policy/thrift of cloud"
    )
    override = inputs.Apply(documents=[policy()], override=inputs.Override(for_s=60.0, reason="x"))
    assert "cannot be overridden: a policy only narrows" in eu.refused(override).error


def test_a_policy_above_is_not_kept_out_by_taking_its_name(cloud: Tier) -> None:
    eu = cloud.regions["eu"]
    eu.apply(policy(forward={"logs": "state"}))
    cloud.apply(policy(forward={"metrics": "summary"}))
    cloud.flow()
    assert eu.core.policies.forwarded("metrics") == "summary"
    assert eu.core.delegated.conditions() == []
    (displaced,) = [body for kind, _, body in eu.store.rows["audit"] if kind == "policy.displaced"]
    assert displaced["spec"]["spec"] == {"forward": {"logs": "state"}}


def test_a_policy_that_came_later_narrows_what_a_region_declared_before(cloud: Tier) -> None:
    eu = cloud.regions["eu"]
    eu.apply(policy("own", allow={"users": ["root", "app"]}))
    cloud.apply(policy(allow={"users": ["app"]}))
    cloud.flow()
    assert eu.core.policies.rules().users == frozenset({"app"})


def test_operators_of_a_region_do_what_the_hubs_above_let_them(cloud: Tier) -> None:
    cloud.apply(policy(may=["apply"]), running_as("app"))
    cloud.flow()
    eu = cloud.regions["eu"]
    eu.apply(running_as("app", "own"))
    oslo = eu.regions["oslo"]
    run = oslo.refused(inputs.CreateTasks(nodes=["gw-1"], command=["true"]))
    assert run.status == 403
    assert run.error == ("policy/thrift of cloud does not let operators of oslo run (it allows: apply): ask there")
    override = inputs.Apply(documents=[running_as("x")], override=inputs.Override(for_s=60.0, reason="x"))
    assert "does not let operators of eu override" in eu.refused(override).error
    cloud.apply(policy(may=[]))
    cloud.flow()
    assert "it allows: nothing" in eu.refused(inputs.Apply(documents=[running_as("app", "more")])).error
    assert "it allows: nothing" in eu.refused(inputs.DeleteResource(kind="service", name="own")).error
    cloud.apply(running_as("app", "cloud-line"))


def test_processes_run_as_whom_the_policies_name(cloud: Tier) -> None:
    cloud.enroll("own-1", {})
    cloud.apply(policy(allow={"users": ["app"]}))
    assert cloud.refused(inputs.Apply(documents=[running_as("root")])).error == (
        "service/line is to run as root, and policy/thrift of this hub allows: app"
    )
    assert "as no user that it names" in cloud.refused(inputs.Apply(documents=[workflow("report", "*")])).error
    report = workflow("report", "*")
    report["spec"] |= {
        "user": "app",
        "steps": [{"name": "a", "run": ["x"]}, {"name": "b", "run": ["x"], "user": "root"}],
    }
    assert "workflow/report is to run as root" in cloud.refused(inputs.Apply(documents=[report])).error
    report["spec"]["steps"][1]["user"] = "app"
    del report["spec"]["user"]
    assert "as no user that it names" in cloud.refused(inputs.Apply(documents=[report])).error
    report["spec"]["steps"][0]["user"] = "app"
    cloud.apply(report)
    run = inputs.CreateTasks(nodes=["own-1"], command=["true"], user="root")
    assert "the command is to run as root" in cloud.refused(run).error
    cloud.apply(running_as("app"))
    cloud.ask(inputs.CreateTasks(nodes=["own-1"], command=["true"], user="app"))


def test_what_is_delegated_keeps_to_the_regions_own_policies_too(cloud: Tier) -> None:
    eu = cloud.regions["eu"]
    eu.apply(policy("own", allow={"users": ["app"], "services": 1}))
    cloud.apply(running_as("root"), running_as("app", "one"), running_as("app", "two"))
    cloud.flow()
    assert [condition.text for condition in eu.core.delegated.conditions()] == [
        "service/line: service/line is to run as root, and policy/own of this hub allows: app",
        "service/two: 2 services, and policy/own of this hub allows 1: delete some first",
    ]
    assert eu.regions["oslo"].runs("gw-1") == ["one"]
    assert cloud.regions["us"].core.delegated.conditions() == []


def test_what_is_held_back_is_what_the_policies_in_force_say() -> None:
    tree = Tree()
    cloud, eu = tree.add("cloud"), tree.add("eu", "cloud")
    cloud.ask(inputs.Apply(documents=[policy(forward={"metrics": "summary"})]))
    assert eu.core.relay.held == {"metrics"}
    eu.ask(inputs.Apply(documents=[policy("more", forward={"logs": "state", "state": "state"})]))
    assert eu.core.relay.held == {"metrics", "logs"}
    eu.restart()
    assert eu.core.relay.held == {"metrics", "logs"}
    eu.ask(inputs.DeleteResource(kind="policy", name="more"))
    assert eu.core.relay.held == {"metrics"}
    cloud.ask(inputs.DeleteResource(kind="policy", name="thrift"))
    assert eu.core.relay.held == frozenset()


def test_a_policy_for_nobody_says_so(cloud: Tier) -> None:
    (result,) = cloud.apply(policy(regions="continent=asia"))
    assert result["note"] == 'no region matches "continent=asia" yet'
    asia = cloud.region("asia", continent="asia")
    cloud.flow()
    assert asia.core.delegated.owner("policy/thrift") == "cloud"
