"""The checker of moves: who a device speaks with afterwards, in which term it is asked, who serves it at the end."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core.upward import home
from hub.core import inputs, registry
from hub.core.rehome import orders
from protocol import documents, effects, messages
from protocol.link import child_desired, parent
from tests.checkers import history
from tests.checkers.a08_dedupe import Dedupe
from tests.checkers.b_moves import Moves
from tests.unit.checkers import telling
from tests.unit.checkers.telling import HUB, NODE, Tale, received, rows

WEST = "west"
HAVEN = documents.Haven(id=WEST, scope="w", mqtt_host="w", mqtt_port=1, api_host="w", api_port=2)
TURNED = telling.put(home.SPACE, "home", home.Kept(former=HUB, to=HAVEN))


def held(by: str, term: int, generation: int = 2) -> effects.Put:
    signed = messages.Signed(parent=by, child=NODE, term=term, generation=generation, digest="d", key="", signature="")
    return telling.put(child_desired.MANIFEST, by, child_desired.Manifest(signed=signed, items={}))


def bye() -> messages.Bye:
    return messages.Bye(session=1, nonce="n", reason="stopped")


def turned() -> Tale:
    """A device turns from one hub to another, and begins a life there."""
    tale = Tale()
    tale.born(WEST, role="hub")
    tale.stored(held(HUB, 1))
    tale.stored(TURNED, held(WEST, 1))
    tale.sent(bye())
    tale.died(how="stop")
    tale.born()
    return tale


def disks(tale: Tale, *serving: str, done_ms: int = 1) -> Tale:
    """The disks are read: these hubs serve it."""
    tale.tell(history.Calm(at=tale.at))
    move = documents.Move(node=NODE, key="k", former=HUB, to=HAVEN, number=1, by=HUB)
    order = msgspec.json.encode(orders.Record(move=move, at_ms=1, done_ms=done_ms))
    for hub in (HUB, WEST):
        known = registry.Node(name=NODE, key="k", token="", enrolled_ms=1, moved="" if hub in serving else "x")
        spaces = {
            parent.CHILD: {NODE: msgspec.json.encode(parent.Record(session=1))},
            registry.SPACE: {NODE: msgspec.json.encode(known)},
            orders.ORDER: {NODE: order} if hub == HUB else {},
        }
        tale.tell(history.Disk(at=tale.at, node=hub, own=[], heads={}, spaces=spaces))
    return tale


def test_a_device_that_turned_speaks_with_its_new_hub() -> None:
    tale = turned()
    tale.sent(bye(), peer=WEST)
    assert tale.judged(Moves) == 1
    tale.sent(bye())
    tale.breaks(Moves, "says Bye to hub, and belongs to west")


def test_the_first_manifest_of_the_new_hub_has_a_higher_term() -> None:
    tale = turned()
    tale.stored(held(WEST, 2))
    tale.stored(held(WEST, 2))
    assert tale.judged(Moves) == 1
    kept = turned()
    kept.stored(held(WEST, 1, 3))
    kept.breaks(Moves, "takes generation 3 of term 1 of west, and held 2 of 1 of its former hub")


def test_at_the_end_one_hub_serves_it_and_nobody_says_more() -> None:
    assert disks(turned(), WEST).judged(Moves) == 3
    disks(turned(), HUB, WEST).breaks(Moves, "oslo belongs to west, and is served by hub and west")
    disks(turned(), WEST, done_ms=0).breaks(Moves, "hub still says that oslo is to move to west")
    revoked = turned()
    revoked.took(inputs.Request(request=1, who="me", op=inputs.RevokeNode(node=NODE)), HUB)
    assert disks(revoked, HUB, WEST).judged(Moves) == 0


@pytest.mark.parametrize("hub", [HUB, WEST])
def test_a_late_row_of_one_who_left_may_have_come_by_way_of_its_new_hub(hub: str) -> None:
    tale = turned()
    for _ in range(2):
        tale.stored(received(rows(1)), node=hub)
    if hub == HUB:
        assert tale.judged(Dedupe) == 0
    else:
        tale.breaks(Dedupe, "receives row 1 of state of oslo a second time")
