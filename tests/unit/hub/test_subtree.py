"""What is below a hub, at any depth: known by rosters, summed up, found by name, and never shown as more than it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from hub.core import inputs, views
from hub.core.down.known.names import Names
from hub.core.registry import Refusal
from protocol import limits, selector, status
from protocol.link.roster import brief as briefs
from protocol.link.roster.brief import Brief, Offender, RegionReport, Tally
from tests.support.tree import Hub, Tree
from tests.unit.hub import world
from tests.unit.hub.world import Device


@dataclass
class Three:
    """cloud -> eu-north -> (oslo-gw-1, oslo-gw-2, oslo -> gw-7), cloud -> eu-south -> gw-7, and cloud -> own-1."""

    tree: Tree
    cloud: Hub
    north: Hub
    oslo: Hub
    south: Hub
    devices: dict[str, Device]

    def know(self) -> dict[str, str]:
        """Return the state of every node below the root, by address."""
        return {spot.address: spot.state for spot in self.cloud.core.subtree.spots()}

    def sum(self) -> RegionReport:
        return self.cloud.core.subtree.sum()


@pytest.fixture
def three() -> Three:
    tree = Tree()
    cloud = tree.add("cloud")
    north = tree.add("eu-north", "cloud", {"continent": "eu"})
    oslo = tree.add("oslo", "eu-north")
    south = tree.add("eu-south", "cloud", {"continent": "eu"})
    devices = {
        "eu-north/oslo-gw-1": north.device("oslo-gw-1", {"site": "oslo", "gpu": ""}),
        "eu-north/oslo-gw-2": north.device("oslo-gw-2", {"site": "oslo"}),
        "eu-north/oslo/gw-7": oslo.device("gw-7", {"site": "oslo"}),
        "eu-south/gw-7": south.device("gw-7", {"site": "rome"}),
        "own-1": cloud.device("own-1", {"site": "hq"}),
    }
    tree.later(2.0)
    return Three(tree, cloud, north, oslo, south, devices)


def service(state: str = "running", **more: Any) -> status.Report:
    return status.Report(services={"vision": status.ServiceReport(state=state, **more)})


def test_the_root_knows_every_node_by_its_path(three: Three) -> None:
    assert three.know() == {
        "eu-north": "online",
        "eu-north/oslo-gw-1": "online",
        "eu-north/oslo-gw-2": "online",
        "eu-north/oslo": "online",
        "eu-north/oslo/gw-7": "online",
        "eu-south": "online",
        "eu-south/gw-7": "online",
        "own-1": "online",
    }
    found = three.cloud.core.subtree.find("eu-north/oslo/gw-7")
    assert found is not None
    assert (found.name, found.through, found.brief.labels) == ("gw-7", "eu-north", {"site": "oslo"})
    assert found.brief.key == world.key_of("gw-7")
    assert found.brief.epoch == "a" * 16


def test_a_change_two_tiers_down_reaches_the_root(three: Three) -> None:
    three.devices["eu-north/oslo/gw-7"].report(service(restarts=1))
    three.tree.later(1.0)
    found = three.cloud.core.subtree.find("eu-north/oslo/gw-7")
    assert found is not None
    assert found.brief.services == {"vision": briefs.ServiceBrief("running", restarts=1)}
    three.devices["eu-north/oslo/gw-7"].leave()
    three.tree.later(1.0)
    assert three.know()["eu-north/oslo/gw-7"] == "away"


def test_what_is_below_a_hub_that_is_away_is_unheard_and_not_online(three: Three) -> None:
    three.north.cut()
    before = three.tree.wall
    three.tree.later(30.0)
    known = three.know()
    assert known["eu-north"] == "away"
    assert known["eu-north/oslo-gw-1"] == known["eu-north/oslo"] == known["eu-north/oslo/gw-7"] == "unheard"
    assert known["eu-south/gw-7"] == "online"
    found = three.cloud.core.subtree.find("eu-north/oslo/gw-7")
    assert found is not None
    assert (found.silent, found.through, found.brief.state) == ("eu-north", "eu-north", "online")
    assert found.since_ms == pytest.approx(before * 1000, abs=1)
    assert three.sum().nodes == {"online": 2, "unheard": 3}
    assert three.sum().hubs == {"away": 1, "online": 1, "unheard": 1}


def test_a_hub_further_down_that_is_away_hides_what_is_below_it(three: Three) -> None:
    three.oslo.cut()
    three.tree.later(1.0)
    known = three.know()
    assert (known["eu-north"], known["eu-north/oslo"], known["eu-north/oslo/gw-7"]) == ("online", "away", "unheard")
    found = three.cloud.core.subtree.find("eu-north/oslo/gw-7")
    assert found is not None
    assert found.silent == "eu-north/oslo"
    three.oslo.heal()
    assert set(three.know().values()) == {"online"}


def test_a_root_that_restarts_shows_what_was_last_known_and_as_of_when(three: Three) -> None:
    three.devices["eu-north/oslo-gw-1"].report(service())
    three.tree.later(5.0)
    before = three.cloud.core.subtree.find("eu-north/oslo-gw-1")
    assert before is not None
    three.north.is_cut = three.south.is_cut = True
    three.cloud.restart()
    after = three.cloud.core.subtree.find("eu-north/oslo-gw-1")
    assert after is not None
    assert after.state == "unheard"
    assert after.brief == before.brief
    assert after.brief.as_of_ms > 0


def test_what_changed_while_a_region_was_cut_off_is_known_when_it_is_back(three: Three) -> None:
    three.north.cut()
    three.devices["eu-north/oslo-gw-2"].leave()
    three.north.ask(inputs.RevokeNode(node="oslo-gw-1", reason="stolen"))
    three.north.device("oslo-gw-9", {"site": "oslo"})
    three.tree.later(10.0)
    assert "eu-north/oslo-gw-9" not in three.know()
    three.north.heal()
    known = three.know()
    assert known["eu-north/oslo-gw-9"] == "online"
    assert known["eu-north/oslo-gw-2"] == "away"
    assert known["eu-north/oslo-gw-1"] == "revoked"


def test_a_revoked_region_takes_all_that_it_told_with_it(three: Three) -> None:
    three.cloud.ask(inputs.RevokeNode(node="eu-north", reason="sold"))
    three.tree.later(2.0)
    assert set(three.know()) == {"eu-north", "eu-south", "eu-south/gw-7", "own-1"}
    assert three.sum().nodes == {"online": 2}
    assert not [key for key in three.cloud.store.spaces.get("roster", {}) if key.startswith("eu-north/")]


def test_what_was_below_a_hub_that_is_revoked_in_the_middle_is_gone_above_too(three: Three) -> None:
    three.north.ask(inputs.RevokeNode(node="oslo", reason="sold"))
    three.tree.later(2.0)
    assert "eu-north/oslo/gw-7" not in three.know()
    assert three.know()["eu-north/oslo"] == "revoked"


def test_what_a_region_without_a_device_declares_or_refuses_is_known_above_at_once(three: Three) -> None:
    region = three.tree.add("eu-west", "cloud", {"continent": "eu"})
    three.tree.later(2.0)
    region.ask(inputs.Apply(documents=[world.service("own", "gpu")]))
    three.tree.later(1.0)
    assert "service/own" in three.cloud.core.subtree.region("eu-west").tallies
    three.cloud.ask(inputs.Apply(documents=[world.service("own", "gpu")]))
    three.tree.later(1.0)
    said = three.cloud.core.subtree.region("eu-west").conditions
    assert [one.what for one in said] == ["delegation-refused"]


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("eu-north/oslo/gw-7", "eu-north/oslo/gw-7"),
        ("cloud/eu-north/oslo/gw-7", "eu-north/oslo/gw-7"),
        ("oslo-gw-1", "eu-north/oslo-gw-1"),
        ("own-1", "own-1"),
        ("cloud/own-1", "own-1"),
        ("oslo", "eu-north/oslo"),
    ],
)
def test_a_node_is_named_by_address_path_or_a_name_that_is_its_own(three: Three, text: str, address: str) -> None:
    assert three.cloud.core.subtree.resolve(text) == address


def test_a_name_of_several_nodes_is_refused_with_their_paths(three: Three) -> None:
    with pytest.raises(Refusal) as refused:
        three.cloud.core.subtree.resolve("gw-7")
    assert refused.value.status == 409
    assert "2 nodes" in str(refused.value)
    assert "cloud/eu-north/oslo/gw-7, cloud/eu-south/gw-7" in str(refused.value)


def test_names_are_known_however_many_nodes_have_them() -> None:
    names = Names()
    for address in ("a/gw", "b/gw", "c/gw", "b/gw", "a/other"):
        names.put(address)
    assert sorted(names.get("gw")) == ["a/gw", "b/gw", "c/gw"]
    for address in ("b/gw", "b/gw", "x/gw"):
        names.drop(address)
    assert sorted(names.get("gw")) == ["a/gw", "c/gw"]
    names.drop("a/gw")
    assert names.get("gw") == ["c/gw"]
    names.drop("c/gw")
    assert (names.get("gw"), names.get("other")) == ([], ["a/other"])


def test_a_wrong_address_is_told_where_that_name_stands(three: Three) -> None:
    with pytest.raises(Refusal, match="write cloud/eu-north/oslo-gw-1"):
        three.cloud.core.subtree.resolve("eu-south/oslo-gw-1")
    with pytest.raises(Refusal, match="write cloud/own-1"):
        three.cloud.core.subtree.resolve("world/cloud/own-1")
    with pytest.raises(Refusal, match="see `skerry get nodes`") as refused:
        three.cloud.core.subtree.resolve("nobody")
    assert refused.value.status == 404


def test_a_selector_selects_in_the_whole_subtree(three: Three) -> None:
    def select(text: str, **more: Any) -> list[str]:
        return three.cloud.core.subtree.select(selector.parse(text), **more)

    assert select("site=oslo") == ["eu-north/oslo-gw-1", "eu-north/oslo-gw-2", "eu-north/oslo/gw-7"]
    assert select("node=gw-7") == ["eu-north/oslo/gw-7", "eu-south/gw-7"]
    assert select("continent=eu") == []
    assert select("continent=eu", kind="hub") == ["eu-north", "eu-south"]
    assert select("") == []
    three.north.ask(inputs.RevokeNode(node="oslo-gw-1", reason="stolen"))
    three.tree.later(1.0)
    assert select("gpu") == []


# ------------------------------------------------------------------------------------------------ the sum


def test_counts_of_all_tiers_come_together(three: Three) -> None:
    assert three.sum().nodes == {"online": 5}
    assert three.sum().hubs == {"online": 3}
    three.devices["eu-north/oslo/gw-7"].leave()
    three.devices["own-1"].leave()
    three.tree.later(1.0)
    assert three.sum().nodes == {"away": 2, "online": 3}


def test_a_service_is_counted_over_all_regions(three: Three) -> None:
    document = world.service("vision", "site=oslo")
    for hub in (three.north, three.oslo):
        hub.ask(inputs.Apply(documents=[document]))
    three.tree.later(1.0)
    digest = three.north.core.resources.document("service/vision")[2]
    three.devices["eu-north/oslo-gw-1"].report(service(digest=digest, healthy=True))
    three.devices["eu-north/oslo-gw-2"].report(service("backoff", digest=digest, restarts=9, last_exit="code 1"))
    three.devices["eu-north/oslo/gw-7"].report(service(digest="sha256:" + "0" * 64, healthy=False))
    three.tree.later(1.0)
    tally = three.sum().tallies["service/vision"]
    assert (tally.asked, tally.placed, tally.current, tally.running) == (3, 3, 2, 2)
    assert (tally.healthy, tally.unhealthy, tally.away) == (1, 1, 0)
    assert tally.digest == digest.removeprefix("sha256:")[: limits.BRIEF_DIGEST_CHARS]
    assert [(one.at, one.text) for one in three.sum().worst] == [
        ("eu-north/oslo-gw-2", "crash looping, last exit: code 1"),
        ("eu-north/oslo/gw-7", "unhealthy"),
    ]
    three.north.cut()
    assert three.sum().tallies["service/vision"].away == 3


def test_an_override_at_a_device_is_marked_above(three: Three) -> None:
    override = status.OverrideReport(decision="stopped", user="ola", uid=1001, reason="belt jammed", since_ms=7)
    three.devices["eu-north/oslo/gw-7"].report(service("stopped", override=override))
    three.tree.later(1.0)
    (mark,) = three.sum().marks
    assert (mark.at, mark.what, mark.decision, mark.user) == ("eu-north/oslo/gw-7", "service/vision", "stopped", "ola")
    assert three.sum().overrides == 1
    assert not three.sum().worst  # a person decided that: it is no trouble
    found = three.cloud.core.subtree.find("eu-north/oslo/gw-7")
    assert found is not None
    assert found.brief.overrides == {"vision": override}


def test_a_hold_at_a_device_is_known_above(three: Three) -> None:
    hold = status.HoldReport(user="ola", uid=1001, reason="night shift", since_ms=7, generation=3, waiting=1)
    three.devices["eu-north/oslo/gw-7"].report(msgspec.structs.replace(service("running"), hold=hold))
    three.tree.later(1.0)
    node = views.node(three.cloud.core, "eu-north/oslo/gw-7", three.cloud.now)
    assert (node["hold"]["reason"], node["hold"]["waiting"]) == ("night shift", 1)


def test_what_a_device_says_of_itself_is_known_above_and_is_no_alarm_that_somebody_could_accept(three: Three) -> None:
    said = [status.Condition(what="service/vision", text=text) for text in ("it runs without " + "x" * 120, "two")]
    three.devices["eu-north/oslo/gw-7"].report(status.Report(conditions=said))
    three.oslo.core.registry.alarm("gw-7", "misbehaved", "it is odd", three.tree.now, fx := world.Effects())
    three.oslo.perform(fx)
    three.tree.later(1.0)
    node = views.node(three.cloud.core, "eu-north/oslo/gw-7", three.cloud.now)
    assert [one["text"] for one in node["alarms"]] == ["it is odd"]
    (condition,) = node["conditions"]
    assert condition["text"] == f"it runs without {'x' * 103}… (and 1 more: ask its own hub)"


def test_only_the_worst_are_named_and_all_are_counted(three: Three) -> None:
    for number in range(limits.OFFENDERS_MAX):
        device = three.north.device(f"bad-{number}")
        device.report(service("failed" if number == 3 else "backoff", restarts=9, since_ms=number))
    three.south.core.registry.alarm("gw-7", "misbehaved", "it is odd", three.tree.now, fx := world.Effects())
    three.south.perform(fx)
    three.devices["eu-south/gw-7"].report(service())
    three.tree.later(1.0)
    total = three.sum()
    assert total.offenders == limits.OFFENDERS_MAX + 1
    assert len(total.worst) == limits.OFFENDERS_MAX
    assert total.worst[0] == Offender(at="eu-north/bad-3", what="vision", text="failed", since_ms=3, rank=1)
    assert all(one.rank <= 2 for one in total.worst)  # the alarm is the least of it, and is cut off


def test_a_quiet_device_is_said_again_seldom_and_a_change_at_once(three: Three) -> None:
    device = three.devices["eu-north/oslo-gw-1"]
    device.report(service())
    three.tree.later(1.0)
    before = three.cloud.core.subtree.find("eu-north/oslo-gw-1")
    for _ in range(3):
        three.tree.later(5.0)
        device.report(service())
    three.tree.later(1.0)
    assert three.cloud.core.subtree.find("eu-north/oslo-gw-1") == before  # nothing but times is new
    three.tree.later(limits.BRIEF_TIMES_S)
    device.report(service())
    three.tree.later(1.0)
    after = three.cloud.core.subtree.find("eu-north/oslo-gw-1")
    assert before is not None
    assert after is not None
    assert after.brief.as_of_ms > before.brief.as_of_ms


def test_a_report_is_the_same_bytes_until_something_changes(three: Three) -> None:
    first = three.north.core.subtree.report(three.tree.now)
    assert three.north.core.subtree.report(three.tree.now) is first
    assert briefs.decode_region(first).nodes == {"online": 3}
    three.devices["eu-north/oslo-gw-1"].leave()
    assert three.north.core.subtree.report(three.tree.now) != first


def test_a_brief_is_small(three: Three) -> None:
    digest = "sha256:" + "a" * 64
    services = {name: status.ServiceReport(state="running", digest=digest) for name in ("vision", "label-print")}
    three.devices["eu-north/oslo-gw-1"].report(status.Report(services=services))
    raw = three.north.core.subtree.raw("oslo-gw-1")
    assert raw is not None
    assert len(raw) <= 400


def test_a_brief_names_services_in_trouble_before_others(three: Three) -> None:
    services = {f"s-{n:03}": status.ServiceReport(state="running") for n in range(limits.BRIEF_SERVICES_MAX + 10)}
    services["z-bad"] = status.ServiceReport(state="failed")
    three.devices["eu-north/oslo-gw-1"].report(status.Report(services=services))
    brief = three.north.core.subtree.brief("oslo-gw-1")
    assert next(iter(brief.services)) == "z-bad"
    assert (len(brief.services), brief.more_services) == (limits.BRIEF_SERVICES_MAX, 11)


def test_a_region_whose_report_cannot_be_read_counts_as_nothing(three: Three) -> None:
    three.cloud.core.parent.view("eu-south")
    device = Device(three.devices["own-1"].world, "eu-south")  # speaks in the region's place
    device.session = 50
    device.connect()
    device.report(status.Report(services={"vision": status.ServiceReport(state="running")}))
    assert three.cloud.core.subtree.region("eu-south") == RegionReport()
    assert isinstance(three.cloud.core.subtree.brief("eu-south"), Brief)


@pytest.mark.parametrize(
    "said",
    [
        b'{"nodes":{"online":-1}}',
        b'{"nodes":{"online":' + b"9" * 4_300 + b"}}",
        b'{"nodes":{' + b",".join(b'"s%d":1' % n for n in range(limits.STATES_MAX + 1)) + b"}}",
        b'{"tallies":{"service/vision":{"placed":' + b"9" * 30 + b"}}}",
        b'{"worst":[{"at":"gw-7","what":"x","since_ms":' + b"9" * 30 + b"}]}",
        b'{"marks":[{"at":"gw-7"}]}',
        b'{"offenders":-5}',
    ],
)
def test_a_report_that_lies_beyond_its_bounds_is_an_alarm_and_adds_nothing(three: Three, said: bytes) -> None:
    device = Device(three.devices["own-1"].world, "eu-south")  # speaks in the region's place
    device.session = 50
    device.connect()
    device.says(said)
    assert three.cloud.core.subtree.region("eu-south") == RegionReport()
    assert three.cloud.core.registry.has_alarm("eu-south", "odd-status")
    device.says(b'{"nodes":{"online":1}}')
    assert not three.cloud.core.registry.has_alarm("eu-south", "odd-status")


def test_what_regions_claim_at_the_bounds_can_be_told_on(three: Three) -> None:
    """Each of them is within its bounds; the sum is made to be."""
    most = {"online": limits.INTEGER_MAX, "away": limits.INTEGER_MAX}
    said = RegionReport(
        nodes=most,
        tallies={f"service/s-{n}": Tally(placed=limits.INTEGER_MAX, owner=f"hub-{n}") for n in range(4_000)},
        worst=[Offender(at="x" * limits.ADDRESS_CHARS_MAX, what="y")],
        offenders=limits.INTEGER_MAX,
    )
    for number, hub in enumerate(("eu-south", "eu-north")):
        device = Device(three.devices["own-1"].world, hub)
        device.session = 50
        device.connect()
        device.says(briefs.encode(said).replace(b"hub-", b"hub-%d" % number))
    summed = three.cloud.core.subtree.sum()
    assert briefs.decode_region(briefs.encode(summed)) == summed
    assert summed.nodes["online"] == limits.INTEGER_MAX
    assert len(summed.tallies) == limits.TALLIES_MAX
    assert [one.what for one in summed.conditions] == ["tallies"]
    assert len(briefs.encode(summed)) < limits.MESSAGE_BYTES_MAX


def test_a_device_that_says_more_than_a_brief_holds_is_told_without_it(three: Three) -> None:
    override = status.OverrideReport(decision="stopped", user="u" * 250, uid=1, reason="r" * 4_000)
    said = status.ServiceReport(state="failed", reason="r" * 4_000, override=override)
    services = {f"{n}".zfill(limits.WORD_CHARS_MAX): said for n in range(60)}
    three.devices["eu-north/oslo-gw-1"].report(status.Report(services=services))
    three.tree.later(1.0)
    found = three.cloud.core.subtree.find("eu-north/oslo-gw-1")
    assert found is not None
    assert (found.brief.state, found.brief.more_services, found.brief.overrides) == ("online", 60, {})
    assert three.cloud.core.subtree.region("eu-north").overrides == 60
    assert not three.cloud.core.registry.get("eu-north").alarms  # nothing is wrong with its hub
