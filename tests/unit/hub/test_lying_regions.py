"""A region that lies about where devices are, and where it listens: its siblings' devices stay where they are."""

from __future__ import annotations

import msgspec
import pytest

from hub.core.down.relayed import bounded
from hub.core.registry import Node
from hub.core.rehome import havens
from hub.core.rehome.moves.followed import TAKEN
from protocol import documents, limits
from protocol.effects import Effects, Put
from protocol.link import events
from tests.support.tree import Hub, Tree


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    tree.add("cloud")
    tree.add("oslo", "cloud")
    tree.add("evil", "cloud")
    tree.later(1.0)
    return tree


def lodge(hub: Hub, name: str, key: str, lodger: str) -> None:
    """Let `hub` say that a device came to it by the grant of the hub `lodger`."""
    hub.core.registry.put(Node(name=name, key=key, token="", enrolled_ms=1, lodger=lodger), fx := Effects())
    hub.core.admit(name, hub.tree.now, fx)
    hub.perform(fx)
    hub.restart()
    hub.tree.later(120.0)


def test_nobody_is_told_to_move_to_a_region_that_only_says_that_it_met_the_device(tree: Tree) -> None:
    cloud, oslo, evil = (tree.hubs[name] for name in ("cloud", "oslo", "evil"))
    device = oslo.device("gw-7")
    tree.later(1.0)
    lodge(evil, "gw-7", oslo.core.registry.get("gw-7").key, "oslo")
    device.connect()
    tree.later(1.0)
    lodge(evil, "gw-7", oslo.core.registry.get("gw-7").key, "oslo")
    assert cloud.core.orders.find("gw-7") is None
    text = cloud.core.registry.alarm_text("evil", "odd-lodger")
    assert text.startswith("evil says that gw-7 turned to it, because its own hub is gone; but oslo hears it now")
    assert not cloud.core.registry.alarm_text("oslo", "odd-lodger")


def say(hub: Hub, name: str, key: str, moves: dict[str, int]) -> None:
    """Let `hub` say that a device is its own, and what it heard of where that belongs."""
    hub.core.registry.put(Node(name=name, key=key, token="", enrolled_ms=1), fx := Effects())
    seen = {by: (number, True) for by, number in moves.items()}
    fx.store.append(Put(TAKEN, name, msgspec.json.encode(seen)))
    hub.core.admit(name, hub.tree.now, fx)
    hub.perform(fx)
    hub.restart()
    hub.tree.later(120.0)


def test_nobody_learns_of_a_region_that_a_device_which_another_one_hears_belongs_there(tree: Tree) -> None:
    cloud, oslo, evil = (tree.hubs[name] for name in ("cloud", "oslo", "evil"))
    oslo.device("gw-7")
    tree.later(1.0)
    say(evil, "gw-7", oslo.core.registry.get("gw-7").key, {"cloud": 9})
    assert cloud.core.orders.find("gw-7") is None
    assert not any("move/gw-7" in cloud.core.orders.items(child) for child in ("oslo", "evil"))
    text = cloud.core.registry.alarm_text("evil", "odd-lodger")
    assert text.startswith("evil says that gw-7 was moved to it; but oslo hears it now")


def test_nobody_learns_a_number_after_which_there_is_none(tree: Tree) -> None:
    cloud, evil = tree.hubs["cloud"], tree.hubs["evil"]
    say(evil, "gw-8", "k" * 64, {"cloud": limits.MOVE_SAID_MAX + 1})
    assert cloud.core.orders.find("gw-8") is None
    say(evil, "gw-9", "k" * 64, {"cloud": limits.MOVE_SAID_MAX})
    assert cloud.core.orders.find("gw-9") is not None


@pytest.mark.parametrize(
    "lie",
    [
        {"scope": "evil.elsewhere.skerry"},
        {"scope": "oslo.cloud.skerry"},
        {"scope": "evil." + "x" * 300},
        {"id": "oslo"},
        {"mqtt_host": "x" * 400_000},
        {"api_host": "two words"},
        {"api_host": ""},
        {"mqtt_name": "\x1b[2J"},
        {"mqtt_port": -1},
        {"api_port": 2**40},
    ],
)
def test_where_a_region_cannot_listen_nobody_is_sent(tree: Tree, lie: dict[str, object]) -> None:
    cloud, evil = tree.hubs["cloud"], tree.hubs["evil"]
    true = evil.core.haven
    assert true is not None
    assert havens.of(cloud.core, "evil") == true
    before = cloud.core.family.items("oslo")
    evil.core.haven = msgspec.structs.replace(true, **lie)
    evil.restart()
    evil.core.haven = msgspec.structs.replace(true, **lie)
    evil.device("gw-1")
    tree.later(60.0)
    assert havens.of(cloud.core, "evil") is None
    assert cloud.core.family.items("oslo") == before
    assert isinstance(documents.decode(before["grant/oslo"]), documents.Grant)


def test_of_what_alarms_in_one_message_some_is_told_and_of_what_goes_on_all() -> None:
    lies: list[events.ParentEvent] = [events.Misbehaved(node="evil", reason=str(number)) for number in range(50)]
    rows = events.ChildEntries(
        node="evil/gw-1", stream="state", epoch="e", rows=[], prev=0, before=b"", last=1, hash=b""
    )
    told = bounded([*lies, rows, *lies])
    assert told == [*lies[: limits.RELAY_ALARMS_MAX], rows]
