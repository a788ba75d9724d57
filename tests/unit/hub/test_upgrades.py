"""An Upgrade at a hub: signed by the root alone, handed down as it was signed, given wave by wave, and shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from protocol import documents, limits, messages, status
from protocol.bundle import head
from protocol.effects import Effects
from protocol.errors import Refused
from protocol.spec.fleet import upgrade
from protocol.trust import releases
from tests.unit.hub.tiers import Tier
from tests.unit.hub.world import World, only

PACKAGE, OTHER = "sha256:" + 64 * "c", "sha256:" + 64 * "d"
HERES, OTHERS = upgrade.placed("12", "amd64", PACKAGE), upgrade.placed("13", "arm64", OTHER)
HERE = {"os": "Debian GNU/Linux 12 (bookworm)", "arch": "x86_64"}


def wished(version: str = "0.2.0", **spec: Any) -> dict[str, Any]:
    made = {"packages": [HERES], "version": version, "confirm": "10s", **spec}
    placed = made | {"placement": {"selector": "site=oslo"}}
    return {"apiVersion": "skerry/v1", "kind": "Upgrade", "metadata": {"name": "agents"}, "spec": placed}


class Fleet:
    """Four devices of one site, of Debian 12 on amd64, each of which tells how its upgrade is."""

    def __init__(self, *, rebuild: bool = True) -> None:
        self.world = World(rebuild=rebuild)
        self.devices = self.world.fleet(a={"site": "oslo"}, b={"site": "oslo"}, c={"site": "oslo"}, d={"site": "oslo"})
        for name in self.devices:
            self.say(name)
        for digest in (PACKAGE, OTHER):
            self.world.ask(inputs.NoteArtifact(digest=digest, size=9))

    def apply(self, **spec: Any) -> documents.Upgrade:
        self.do(inputs.Apply(documents=[wished(**spec)]))
        return self.document

    def do(self, op: inputs.AnyOp) -> None:
        fx = self.world.request(op)
        assert not only(fx, inputs.Reply).error
        self.see(fx)
        self.settle()

    def see(self, fx: Effects) -> None:
        for device in self.devices.values():
            device.see(fx)

    @property
    def document(self) -> documents.Upgrade:
        found = self.world.core.resources.compiled("upgrade/agents")
        assert isinstance(found, documents.Upgrade)
        return found

    def say(self, name: str, state: str = "", reason: str = "", **more: Any) -> None:
        upgrade = None
        if state:
            document = self.document
            upgrade = status.UpgradeReport(
                number=document.number, version=document.full("12"), running="0.1.0+deb12", state=state, reason=reason
            )
        self.devices[name].report(status.Report(platform=more.pop("platform", HERE), upgrade=upgrade, **more))
        self.settle()

    def settle(self) -> None:
        for fx in [self.world.later(limits.UPGRADE_SETTLE_S), *self.world.settle()]:
            self.see(fx)

    def given(self) -> list[str]:
        return sorted(name for name, device in self.devices.items() if "upgrade/agents" in device.items)

    def shown(self) -> dict[str, Any]:
        return views.upgrade(self.world.core, "agents", self.world.now)

    def state(self, name: str) -> tuple[str, str]:
        (found,) = [one for one in self.shown()["on"] if one["node"] == name]
        return found["state"], found["reason"]


def test_each_wave_waits_for_the_one_before_and_a_crash_between_forgets_nothing() -> None:
    fleet = Fleet()
    document = fleet.apply(waves=[1, "all"])
    assert (document.by, document.signature != "", document.number > 0) == ("cloud", True, True)
    (first,) = fleet.given()
    for state in ("fetching", "asked", "trying"):
        fleet.say(first, state)
        assert (fleet.given(), fleet.state(first)[0]) == ([first], state)
    fleet.world.restart()
    for device in fleet.devices.values():
        device.connect()
    fleet.settle()
    assert fleet.given() == [first]
    fleet.say(first, "running")
    assert fleet.given() == ["a", "b", "c", "d"]
    assert (fleet.shown()["state"], fleet.shown()["wave"]) == ("going on", 2)
    for name in fleet.devices:
        fleet.say(name, "running")
    assert (fleet.shown()["state"], fleet.shown()["counts"]["running"]) == ("done", 4)
    kinds = [kind for kind, _, _ in fleet.world.store.rows["audit"] if kind.startswith("upgrade.")]
    assert kinds == ["upgrade.wave", "upgrade.wave"]


def test_too_many_that_went_back_stop_it_and_another_version_begins_anew() -> None:
    fleet = Fleet()
    former = fleet.apply(waves=[1, "all"])
    (first,) = fleet.given()
    fleet.say(first, "back", "it ended 3 times by itself")
    assert fleet.given() == [first]
    assert (fleet.shown()["state"], fleet.shown()["reason"]) == ("stopped", f"{first} went back; 0 may")
    assert fleet.state(first) == ("back", "it ended 3 times by itself")
    (kind, _, told) = fleet.world.store.rows["audit"][-1]
    assert (kind, told["why"]) == ("upgrade.stopped", f"{first} went back; 0 may")
    assert fleet.apply(version="0.2.1", waves=[1, "all"]).number > former.number
    assert fleet.given() == [first]
    assert fleet.shown()["state"] == "going on"


def test_who_falls_silent_on_trial_is_as_bad_as_gone_back_and_who_was_away_before_holds_up_nobody() -> None:
    fleet = Fleet()
    fleet.devices["a"].leave()
    fleet.apply(waves=[1, 2, "all"])
    (first,) = fleet.given()
    assert first != "a"
    fleet.say(first, "running")
    (second,) = {*fleet.given()} - {first}
    fleet.say(second, "trying")
    fleet.devices[second].leave()
    fleet.settle()
    assert fleet.shown()["state"] == "going on", "it restarts: that takes a moment"
    fleet.world.later(10.0 + limits.UPGRADE_SILENT_S)
    fleet.settle()
    assert fleet.shown()["reason"] == f"{second} fell silent; 0 may"
    assert fleet.state(second)[0] == "silent"
    assert fleet.state("a")[0] == "away"


def test_the_held_are_shown_with_who_holds_them_and_others_go_first() -> None:
    fleet = Fleet()
    fleet.apply(waves=[1, "all"])
    (first,) = fleet.given()
    fleet.say(first, hold=status.HoldReport(user="ada", uid=7, reason="night shift"))
    assert fleet.state(first) == ("held", "held at the device by ada: night shift")
    assert len(fleet.given()) == 2
    fleet.say(first, "fetching", hold=status.HoldReport(user="ada", uid=7, reason="night shift"))
    assert fleet.state(first) == ("held", "held at the device by ada: night shift"), "it was held in the middle"
    assert len(fleet.given()) == 2
    (second,) = {*fleet.given()} - {first}
    fleet.say(second, "running")
    assert fleet.given() == ["a", "b", "c", "d"]


def test_each_machine_has_its_own_package_and_one_that_none_is_for_is_shown_and_counts_in_no_wave() -> None:
    fleet = Fleet()
    trixie = {"os": "Debian GNU/Linux 13 (trixie)", "arch": "aarch64"}
    fleet.say("a", platform=trixie)
    fleet.say("b", platform=HERE | {"arch": "aarch64"})
    fleet.say("c", platform={})
    fleet.apply(packages=[HERES, OTHERS], waves=["50%", "all"])
    (first,) = fleet.given()
    fleet.say(first, "running", platform=trixie if first == "a" else HERE)
    assert fleet.given() == ["a", "d"]
    said = {one["node"]: (one["state"], one["wanted"], one["reason"]) for one in fleet.shown()["on"]}
    assert said["b"] == ("unfit", "", "it is Debian GNU/Linux 12 (bookworm) on aarch64")
    assert said["c"] == ("unfit", "", "it is not known yet what it is")
    assert (fleet.shown()["nodes"], fleet.shown()["unfit"]) == (2, 2)
    assert fleet.shown()["packages"] == ["deb12 amd64", "deb13 arm64"]
    assert {said["a"][1], said["d"][1]} == {"0.2.0+deb13", "0.2.0+deb12"}


def test_named_nodes_alone_have_it_when_it_says_so() -> None:
    fleet = Fleet()
    document = fleet.apply(only=["c", "z"])
    assert (document.only, fleet.given(), fleet.shown()["only"]) == (["c", "z"], ["c"], ["c", "z"])
    assert [one["node"] for one in fleet.shown()["on"]] == ["c"]
    fleet.apply()
    assert fleet.given() == ["a", "b", "c", "d"]


def test_a_bundle_carries_the_package_that_is_for_the_device_and_no_other() -> None:
    fleet = Fleet()
    fleet.apply(packages=[HERES, OTHERS])
    told = fleet.world.ask(inputs.ExportBundle(node="a"))
    assert head.name_of(PACKAGE) in told["parts"]
    assert head.name_of(OTHER) not in told["parts"]
    fleet.say("b", platform={})
    assert (
        not {head.name_of(PACKAGE), head.name_of(OTHER)}
        & fleet.world.ask(inputs.ExportBundle(node="b"))["parts"].keys()
    )


def test_a_ticket_for_the_package_is_given_to_whom_it_is_asked_of_alone() -> None:
    fleet = Fleet()
    fleet.apply(waves=[1, "all"])
    (first,) = fleet.given()
    other = next(name for name in fleet.devices if name != first)
    for name, is_given in ((first, True), (other, False)):
        fx = fleet.devices[name].got(messages.Need(session=fleet.devices[name].session, tickets=[PACKAGE]))
        tickets = [
            ticket for send in fx.send for ticket in getattr(getattr(send, "message", None), "tickets", {}).values()
        ]
        assert bool(any(tickets)) is is_given


def test_deleted_it_is_asked_of_nobody_and_declared_anew_it_has_a_higher_number() -> None:
    fleet = Fleet()
    former = fleet.apply()
    assert fleet.given() == ["a", "b", "c", "d"]
    fleet.do(inputs.DeleteResource(kind="upgrade", name="agents"))
    assert fleet.given() == []
    assert views.upgrades(fleet.world.core, fleet.world.now) == []
    assert fleet.apply().number > former.number


def test_what_is_declared_must_be_whole() -> None:
    world = World()
    assert "upload it first" in world.refused(inputs.Apply(documents=[wished()])).error
    with pytest.raises(AssertionError, match="no wave"):
        world.ask(inputs.Apply(documents=[wished(waves=["half"])]))
    with pytest.raises(AssertionError, match="two packages are for deb12 on amd64: keep one"):
        world.ask(inputs.Apply(documents=[wished(packages=[HERES, upgrade.placed("12", "amd64", OTHER)])]))
    unread = world.refused(inputs.Apply(documents=[wished(packages=["./agent.deb"])])).error
    assert "its artifact ./agent.deb is not at the hub" in unread
    with pytest.raises(AssertionError, match="no version"):
        world.ask(inputs.Apply(documents=[wished(version="../../etc")]))


def test_when_it_stops_it_is_taken_from_the_held_and_the_absent_too() -> None:
    fleet = Fleet()
    fleet.apply()
    assert fleet.given() == ["a", "b", "c", "d"]
    fleet.say("a", hold=status.HoldReport(user="ada", uid=7, reason="night shift"))
    fleet.devices["b"].leave()
    fleet.say("c", "back", "it ended 3 times by itself")
    assert fleet.shown()["state"] == "stopped"
    fleet.see(fleet.devices["b"].connect())
    assert fleet.given() == ["c"], "neither of them begins with what somebody went back from"


def test_one_that_no_node_is_for_is_not_done_and_says_so() -> None:
    fleet = Fleet()
    fleet.apply(packages=[OTHERS])
    assert (fleet.shown()["state"], fleet.shown()["reason"]) == (
        "no node here",
        "no package is for any of the 4 that it selects",
    )
    slip = wished()
    slip["spec"]["placement"]["selector"] = "site=olso"
    fleet.do(inputs.Apply(documents=[slip]))
    assert (fleet.shown()["state"], fleet.shown()["reason"]) == ("no node here", "it selects none")


def test_what_was_altered_on_its_way_down_is_refused() -> None:
    package = documents.Package(release="12", arch="amd64", artifact=PACKAGE)
    document = documents.Upgrade(name="agents", version="0.2.0", packages=[package])
    signed = msgspec.structs.replace(document, number=4, by="cloud", chain="C", signature="S")
    assert releases.said(document, documents.encode(signed).decode()) == signed
    other = msgspec.structs.replace(signed, version="0.3.0")
    with pytest.raises(Refused, match="not what was signed"):
        releases.said(document, documents.encode(other).decode())


def test_a_region_hands_on_the_very_document_that_the_root_signed_to_whom_it_fits() -> None:
    root = Tier()
    region = root.region("eu")
    devices = region.fleet(a={"site": "oslo"}, b={"site": "oslo"}, c={"site": "oslo"})
    for name, arch in (("a", "x86_64"), ("b", "aarch64"), ("c", "x86_64")):
        devices[name].report(status.Report(platform=HERE | {"arch": arch}))
    for hub in (root, region):
        for digest in (PACKAGE, OTHER):
            hub.ask(inputs.NoteArtifact(digest=digest, size=9))
    root.ask(inputs.Apply(documents=[wished(packages=[HERES, OTHERS], only=["a", "b"])]))
    root.flow()
    region.later(limits.UPGRADE_SETTLE_S)
    region.settle()
    assert [name for name in devices if "upgrade/agents" in region.items(name)] == ["a"]
    above = views.upgrade(root.core, "agents", root.now)
    assert (above["state"], above["reason"]) == ("no node here", "its regions give it to theirs, each by itself")
    signed = root.core.resources.compiled("upgrade/agents")
    given = documents.decode(region.items("a")["upgrade/agents"])
    assert given == signed
    assert isinstance(given, documents.Upgrade)
    assert (given.by, given.signature != "") == ("cloud", True)
    shown = {one["node"]: one["state"] for one in views.upgrade(region.core, "agents", region.now)["on"]}
    assert shown == {"a": "waiting", "b": "unfit"}
