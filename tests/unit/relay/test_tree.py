"""What devices tell their region stands at the root once, under its origin, with the bytes it was made of."""

from __future__ import annotations

import msgspec
import pytest

from protocol import messages
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import Device


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
    assert not [one for one in root.store.entries if one[2] == "relay"], "a wrapper is not stored beside what it wraps"
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
    gw.got(messages.Hello(session=2, nonce="n", node="gw-1", version="0.1.0", streams={"relay": head}))
    raw = msgspec.Raw(b'[1,0,"relay","gw-7",{}]')
    gw.got(messages.Entries(session=2, stream="relay", epoch=epoch, prev=0, rows=[raw]))
    assert "no hub" in root.core.registry.alarm_text("gw-1", "misbehaved")
