"""What devices tell their region stands at the root once, under its origin, with the bytes it was made of."""

from __future__ import annotations

import msgspec
import pytest

from protocol import effects, limits, messages
from protocol.effects import Effects
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import Device
from tests.unit.relay.parts import EPOCH


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held back is told while a device that says nothing more counts as connected."""
    monkeypatch.setattr(limits, "HELD_EVERY_S", 60.0)


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add("cloud")
    tree.add("oslo", "cloud")
    return tree


def rows_at(hub: Hub, node: str) -> list[tuple[str, int, bytes, bytes]]:
    """Return (stream, seq, raw, hash) of what stands at `hub` of `node`, in the order in which it came."""
    return [(stream, seq, raw, tip) for name, _, stream, seq, raw, tip in hub.store.entries if name == node]


def say(tree: Tree, device: Device, *words: str) -> None:
    device.entries(*(("app.said", "", word) for word in words))
    tree.run()


def test_what_a_device_says_stands_above_as_it_was_said(tree: Tree) -> None:
    region, root = tree.hubs["oslo"], tree.hubs["cloud"]
    gw = region.device("gw-7")
    say(tree, gw, "a", "b")
    say(tree, gw, "c")
    assert [seq for _, seq, *_ in rows_at(root, "gw-7")] == [1, 2, 3]
    assert rows_at(root, "gw-7") == rows_at(region, "gw-7")
    assert not [one for one in root.store.entries if one[2] in messages.RELAYS], (
        "a wrapper is not stored beside what it wraps"
    )
    [(_, record)] = root.core.relayed.origins.records.all()
    assert (record.at, record.seq, record.hash, record.missing) == ("oslo/gw-7", 3, gw.hash.hex(), [])


def test_a_tree_of_four_tiers_carries_each_row_to_the_root_once(tree: Tree) -> None:
    site = tree.add("dock", "oslo")
    gw = site.device("gw-9")
    say(tree, gw, "a", "b")
    for hub in ("dock", "oslo", "cloud"):
        assert rows_at(tree.hubs[hub], "gw-9") == rows_at(site, "gw-9")
    [record] = [one for key, one in tree.hubs["cloud"].core.relayed.origins.records.all() if key.startswith("gw-9/")]
    assert record.at == "oslo/dock/gw-9"
    dock = {(stream, seq) for stream, seq, *_ in rows_at(tree.hubs["cloud"], "dock")}
    assert dock == {(stream, seq) for stream in ("audit", "state") for seq in site.store.streams[stream].rows}


def test_a_region_that_was_cut_off_drains_and_nothing_is_doubled(tree: Tree) -> None:
    region, root = tree.hubs["oslo"], tree.hubs["cloud"]
    gw = region.device("gw-7")
    say(tree, gw, "a")
    region.cut()
    say(tree, gw, "b", "c")
    region.restart()
    assert len(rows_at(root, "gw-7")) == 1
    region.heal()
    assert rows_at(root, "gw-7") == rows_at(region, "gw-7")
    root.restart()
    tree.later(60.0)
    gw.connect()
    say(tree, gw, "d")
    assert [seq for _, seq, *_ in rows_at(root, "gw-7")] == [1, 2, 3, 4]


def test_an_agent_that_relays_is_no_hub(tree: Tree) -> None:
    root = tree.hubs["cloud"]
    gw = root.device("gw-1")
    epoch = "b" * 16
    gw.session += 1
    head = messages.StreamHead(epoch=epoch, seq=1)
    gw.got(messages.Hello(session=2, nonce="n", node="gw-1", version="0.1.0", streams={"relay_state": head}))
    raw = msgspec.Raw(b'[1,0,"relay","gw-7",{}]')
    gw.got(messages.Entries(session=2, stream="relay_state", epoch=epoch, prev=0, rows=[raw]))
    assert "no hub" in root.core.registry.alarm_text("gw-1", "misbehaved")


def missing(hub: Hub, node: str) -> list[tuple[int, int, str]]:
    return [
        (one.first, one.last, one.why.value)
        for key, record in hub.core.relayed.origins.records.all()
        if key.startswith(f"{node}/")
        for one in record.missing
    ]


def test_what_policy_holds_back_stays_below_and_is_told_as_held(tree: Tree) -> None:
    region, root = tree.hubs["oslo"], tree.hubs["cloud"]
    gw = region.device("gw-7")
    say(tree, gw, "a")
    region.core.relay.set_policy({"state": "summary", "audit": "summary", "metrics": "state"})
    assert region.core.relay.held == {"state", "metrics"}
    say(tree, gw, "b", "c")
    region.restart()
    gw.connect()
    region.core.relay.set_policy({"state": "summary"})
    say(tree, gw, "d")
    assert missing(root, "gw-7") == [(2, 3, "held")], "what an earlier life held back is told at once"
    tree.later(limits.HELD_EVERY_S + 1)
    assert missing(root, "gw-7") == [(2, 4, "held")]
    assert [seq for _, seq, *_ in rows_at(region, "gw-7")] == [1, 2, 3, 4]
    say(tree, gw, "e")
    region.core.relay.set_policy({})
    say(tree, gw, "f")
    assert missing(root, "gw-7") == [(2, 5, "held")], "before the next row that goes"
    assert [seq for _, seq, *_ in rows_at(root, "gw-7")] == [1, 6]
    assert not region.store.spaces["held"]


def test_what_a_hub_holds_back_is_known_at_every_tier_above(tree: Tree) -> None:
    site = tree.add("dock", "oslo")
    gw = site.device("gw-9")
    site.core.relay.set_policy({"state": "nothing that is known"})
    say(tree, gw, "a", "b")
    tree.later(limits.HELD_EVERY_S + 1)
    tree.hubs["oslo"].core.relay.set_policy({"state": "summary"})
    site.core.relay.set_policy({})
    say(tree, gw, "c")
    assert missing(tree.hubs["oslo"], "gw-9") == missing(tree.hubs["cloud"], "gw-9") == [(1, 2, "held")]
    tree.later(limits.HELD_EVERY_S + 1)
    assert missing(tree.hubs["cloud"], "gw-9") == [(1, 3, "held")]
    assert site.core.relay.next_wake() is None
    tree.hubs["cloud"].core.relay.set_policy({"state": "summary"})
    assert tree.hubs["cloud"].core.relay.next_wake() is None, "a root passes nothing on"


def test_rows_of_another_epoch_are_told_apart_when_they_are_held_back(tree: Tree) -> None:
    region, root = tree.hubs["oslo"], tree.hubs["cloud"]
    gw = region.device("gw-7")
    region.core.relay.set_policy({"state": "summary"})
    say(tree, gw, "a", "b")
    was = messages.FormerEpoch(epoch=EPOCH, seq=2, hash=gw.hash.hex(), reason="restored")
    gw.epoch, gw.session = "b" * 16, gw.session + 1
    head = messages.StreamHead(epoch=gw.epoch, seq=2, hash=gw.hash.hex(), was=was)
    hello = messages.Hello(session=gw.session, nonce="n", node="gw-7", version="0.1.0", streams={"state": head})
    gw.connection += 1
    gw.got(hello)
    tree.run()
    say(tree, gw, "c")
    tree.later(limits.HELD_EVERY_S + 1)
    records = dict(root.core.relayed.origins.records.all())
    assert {key.split("/")[1][0]: record.seq for key, record in records.items()} == {"a": 2, "b": 3}
    assert missing(root, "gw-7") == [(1, 2, "held"), (3, 3, "held")]
    assert "epoch-changed" not in str(root.core.registry.get("oslo").alarms), "it alarms where the node is"
    assert root.core.registry.has_alarm("oslo", "loss-declared") is False


def test_what_makes_no_sense_in_the_stream_is_set_aside_and_it_goes_on(tree: Tree) -> None:
    region, root = tree.hubs["oslo"], tree.hubs["cloud"]
    assert region.core.up is not None
    gw = region.device("gw-7")
    items = [("relay", "gw-7", b"1"), ("relay.more", "", b"{}"), ("relay.epoch", "gw-7", b'{"at":"../x"}')]
    fx = Effects()
    region.core.up.append("relay_state", items, tree.now, fx)
    region.store.commit(fx.store)
    say(tree, gw, "a")
    tree.later(1.0)
    assert [seq for _, seq, *_ in rows_at(root, "gw-7")] == [1]
    assert "3 rows" in root.core.registry.alarm_text("oslo", "poison")
    assert [op.reason for op in root.store.aside] == ["it wraps nothing"] * 3


def test_a_region_that_lost_part_of_what_it_relays_says_so_and_its_origins_have_holes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 1)
    monkeypatch.setattr(limits, "QUOTA_BYTES", limits.QUOTA_BYTES | dict.fromkeys(messages.RELAYS, 2_000))
    tree = Tree()
    root, region = tree.add("cloud"), tree.add("oslo", "cloud")
    gw = region.device("gw-7")
    say(tree, gw, "a")
    region.cut()
    for word in "bcdefg" * 10:
        say(tree, gw, word * 200)
    region.heal()
    alarms = root.core.registry.get("oslo").alarms
    assert "loss-declared" in [alarm.what for alarm in alarms]
    [hole] = missing(root, "gw-7")
    assert (hole[0], hole[2]) == (2, "held"), "they can be asked for there"
    assert [seq for _, seq, *_ in rows_at(root, "gw-7")] == [1, *range(hole[1] + 1, gw.seq + 1)]
    assert root.core.relayed.missing("oslo/gw-7") == {"state": {"held": hole[1] - 1}}
    assert root.core.relayed.cursors("oslo/gw-7")["state"]["seq"] == gw.seq
    assert [stream for node, _, stream, *_ in root.store.entries if (node, stream) == ("oslo", "relay_state")] == [
        "relay_state"
    ]


def test_of_a_device_that_fell_silent_it_is_known_above_that_a_region_let_go_of_its_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 1)
    monkeypatch.setattr(limits, "HELD_PER_INPUT_MAX", 1)
    tree = Tree()
    root, region = tree.add("cloud"), tree.add("oslo", "cloud", relay_bytes=8_000)
    site = tree.add("dock", "oslo")
    silent, deep, gw = region.device("gw-1"), site.device("gw-2"), region.device("gw-7")
    region.cut()
    say(tree, silent, "a", "b")
    say(tree, deep, "a", "b")
    for word in "cdefgh" * 10:
        say(tree, gw, word * 200)
    assert not root.core.relayed.cursors("oslo/gw-1")
    region.restart()
    region.heal()
    tree.later(60.0)
    assert missing(root, "gw-1") == missing(root, "gw-2") == [(1, 2, "held")]
    assert [why for *_, why in missing(root, "gw-7")] == ["held"]
    assert root.core.relayed.cursors("oslo/gw-1")["state"]["seq"] == 2
    assert not region.store.spaces["forced"], "it has been said"
    assert region.core.relay.next_wake() is None
    assert rows_at(region, "gw-1"), "there it can be asked for"


def test_what_saying_so_forces_out_itself_is_due_in_the_same_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 1)
    tree = Tree()
    tree.add("cloud")
    region = tree.add("oslo", "cloud", relay_bytes=8_000)
    gw = region.device("gw-1")
    region.cut()
    for word in "abcdef" * 6:
        say(tree, gw, word * 200)
    region.is_cut = False
    forced: list[bool] = []
    perform = region.perform

    def performed(fx: Effects) -> None:
        perform(fx)
        if any(isinstance(op, effects.Gap) and op.stream == "relay_state" for op in fx.store):
            forced.append("state" in region.store.spaces.get("forced", {}))

    region.perform = performed
    tree.later(120.0)
    assert forced
    assert all(forced)
