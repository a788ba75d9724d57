"""The checkers of what spans tiers: what is relayed, shares, owners, policies, one copy at most, and autonomy."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core.upward import home
from hub.core import inputs
from hub.core.down import delegated, overrides
from hub.core.work import declared, resources
from protocol import documents, effects, messages
from protocol.link import parent, parent_entries
from protocol.link.relay import records, runs, wrap
from protocol.link.relay.missing import Missing, Why
from tests.checkers import history
from tests.checkers.a05_one_transaction import OneTransaction
from tests.checkers.a20_region_decides import ANSWER_S, RegionDecides
from tests.checkers.b_narrowing import Narrowing
from tests.checkers.b_nothing_lost import NothingLost
from tests.checkers.b_one_at_most import OneAtMost
from tests.checkers.b_owner_wins import OwnerWins
from tests.checkers.b_relay import Relay
from tests.checkers.b_shares import Shares
from tests.unit.checkers import telling
from tests.unit.checkers.telling import EPOCH, HUB, NODE, Tale, received, rows

REGION = "eu"
ROWS = rows(1, 2, 3)
TIPS = [tip.hex() for _, _, tip in ROWS.rows]
CHILDREN = {REGION: msgspec.json.encode(parent.Record(session=1))}
WEB = documents.encode(documents.Assignment(service="web", process=documents.Process(command=["web"])))


def origin(seq: int, *missing: Missing, aside: int = 0) -> effects.Put:
    """What a hub holds of the device by way of its region."""
    return telling.put(records.ORIGIN, f"{NODE}/{EPOCH}/state", record(seq, *missing, aside=aside))


def record(seq: int, *missing: Missing, aside: int = 0, at: str = f"{REGION}/{NODE}") -> records.Record:
    """What is known of it."""
    return records.Record(at=at, seq=seq, hash=TIPS[seq - 1], since=1, missing=[*missing], aside=aside)


def some(first: int, last: int) -> effects.Received:
    """Some of the device's rows."""
    return relayed(effects.Rows("state", EPOCH, ROWS.rows[first - 1 : last]))


def relayed(said: effects.Rows) -> effects.Received:
    """Return what a hub stores that comes by way of a region."""
    return msgspec.structs.replace(received(said), at=f"{REGION}/{NODE}")


class Tree(Tale):
    """A tale of a root, a region, and the device below that."""

    def __init__(self) -> None:
        super().__init__()
        self.born(REGION, role="hub")

    def relays(self, upto: int) -> None:
        """The root hears a message of the region's relay, with the device's rows."""
        piece = wrap.Piece(0, b"\0" * 32, upto, ROWS.rows[upto - 1][2], [raw for _, raw, _ in ROWS.rows[:upto]], [])
        kind, key, body = wrap.run_item(NODE, EPOCH, "state", piece)
        raw = msgspec.Raw(msgspec.json.encode([1, 0, kind, key, msgspec.Raw(body)]))
        message = messages.Entries(session=1, stream="relay_state", epoch=EPOCH, prev=0, rows=[raw])
        self.heard(message, HUB, REGION)

    def passes(self) -> effects.Put:
        """The root's cursor of the relay moves."""
        record = parent_entries.Record(epoch=EPOCH, seq=1, hash="00")
        return telling.put(parent_entries.CURSOR, f"{REGION}/relay_state", record)

    def disk(self, node: str, entries: int, **spaces: dict[str, bytes]) -> None:
        """What stands on a hub's disk."""
        kept = [history.Row(NODE, EPOCH, "state", *row) for row in ROWS.rows[:entries]]
        self.tell(history.Disk(at=self.at, node=node, own=[], heads={}, spaces=spaces, entries=kept))

    def end(self, root: int, region: int, *missing: Missing) -> None:
        """All is calm, and the disks are read: how many rows of the device each hub has."""
        self.tell(history.Calm(at=self.at))
        cursor = parent_entries.Record(epoch=EPOCH, seq=region, hash=TIPS[region - 1])
        cursors = {f"{NODE}/state": msgspec.json.encode(cursor)}
        served = {NODE: msgspec.json.encode(parent.Record(session=1))}
        self.disk(REGION, region, cursor=cursors, child=served)
        self.disk(HUB, root, origin={f"{NODE}/{EPOCH}/state": origin(root, *missing).value}, child=CHILDREN)


def test_relay_what_comes_once_and_whole_is_right() -> None:
    tale = Tree()
    tale.relays(2)
    tale.stored(some(1, 2), origin(2), tale.passes(), node=HUB)
    tale.stored(some(3, 3), origin(3), node=HUB)
    tale.end(root=3, region=3)
    assert tale.judged(Relay) > 4


def test_relay_a_row_again_breaks() -> None:
    tale = Tree()
    tale.stored(some(1, 2), origin(2), node=HUB)
    tale.stored(some(2, 3), origin(3), node=HUB)
    tale.breaks(Relay, "stores row 2 .* again")


def test_relay_what_the_device_itself_brings_may_stand_in_the_same_commit() -> None:
    tale, at = Tree(), {upto: telling.at_cursor(upto, tip=ROWS.rows[upto - 1][2]) for upto in (2, 3)}
    own = {upto: received(effects.Rows("state", EPOCH, [ROWS.rows[upto - 1]])) for upto in (2, 3)}
    tale.stored(some(1, 1), origin(1), node=HUB)
    tale.stored(own[2], at[2], node=HUB)
    tale.stored(own[3], at[3], origin(3), node=HUB)  # a run of the region comes late, and finds what the device brought
    assert tale.judged(Relay) > 2
    assert tale.judged(OneTransaction) > 0
    tale.stored(own[3], origin(3), node=HUB)
    tale.breaks(OneTransaction, "without their cursor")


def test_relay_a_silent_hole_breaks_and_a_listed_one_may_be_filled() -> None:
    tale = Tree()
    tale.stored(some(3, 3), origin(3, Missing(1, 2, "", TIPS[1], Why.HOLE)), node=HUB)
    tale.stored(some(1, 2), origin(3), node=HUB)
    assert tale.judged(Relay) > 2
    tale = Tree()
    tale.stored(some(3, 3), origin(3), node=HUB)
    tale.breaks(Relay, "row 1 neither came nor is listed")


def test_relay_passed_and_not_held_breaks() -> None:
    tale = Tree()
    tale.relays(2)
    tale.stored(tale.passes(), node=HUB)
    tale.breaks(Relay, "holds None of it")


def test_relay_rows_without_their_cursor_are_somebody_elses_matter_and_a_falling_one_breaks() -> None:
    tale = Tree()
    tale.stored(some(1, 2), origin(2), node=HUB)
    tale.stored(origin(1), node=HUB)
    tale.breaks(Relay, "its cursor falls")


def test_relay_less_above_than_below_breaks() -> None:
    tale = Tree()
    tale.stored(some(1, 2), origin(2), node=HUB)
    tale.end(root=2, region=3)
    tale.breaks(Relay, "up to 3; hub stands at 2")


def test_relay_a_hole_that_nobody_declared_breaks() -> None:
    tale = Tree()
    tale.stored(some(3, 3), origin(3, Missing(1, 2, "", TIPS[1], Why.HOLE)), node=HUB)
    tale.end(3, 3, Missing(1, 2, "", TIPS[1], Why.HOLE))
    tale.breaks(Relay, "lacks rows 1 to 2")


def test_relay_a_hole_in_what_came_after_a_node_had_left_is_not_the_former_hubs() -> None:
    tale = Tree()
    tale.stored(some(1, 1), origin(1), node=HUB)
    tale.stored(some(3, 3), origin(3, Missing(2, 2, TIPS[0], TIPS[1], Why.HOLE)), node=HUB)
    to = documents.Haven(id="us", scope="us", mqtt_host="us", mqtt_port=1, api_host="us", api_port=1)
    tale.stored(telling.put("agent", "home", home.Kept(former=REGION, to=to)))
    tale.end(3, 1, Missing(2, 2, TIPS[0], TIPS[1], Why.HOLE))
    assert tale.judged(Relay) > 2


FORMER = "f" * 16


@pytest.mark.parametrize("stream", ["audit", "state"])
@pytest.mark.parametrize(
    ("newer", "rows_at_root", "at", "text"),
    [
        (17, 3, NODE, ""),
        (17, 2, NODE, "has forgotten that, and lacks row 3"),
        (16, 3, NODE, "never heard"),
        (17, 3, "gw-2", "never heard"),
        (17, 3, f"sub/{NODE}", "never heard"),
    ],
)
def test_relay_an_origin_whose_room_newer_epochs_took_may_be_forgotten_once_its_rows_stand(
    newer: int, rows_at_root: int, at: str, text: str, stream: str
) -> None:
    tale = forgetting(stream, [f"{number:016x}" for number in range(newer)], rows_at_root, at)
    if text:
        tale.breaks(Relay, text)
    else:
        assert tale.judged(Relay) == 1


def test_relay_an_epoch_is_not_forgotten_before_those_that_were_there_first() -> None:
    tale = forgetting("state", [FORMER, *(f"{number:016x}" for number in range(16))], 3, NODE)
    tale.breaks(Relay, "has forgotten that, and knows what was before it")


def test_relay_of_a_forgotten_epoch_what_a_hub_said_to_hold_back_may_lack() -> None:
    tale = forgetting("state", [f"{number:016x}" for number in range(17)], 2, NODE)
    gap = messages.GapBody(first=3, last=3, count=1, reason="by policy", hash=TIPS[2])
    held = runs.Held(at=NODE, epoch=EPOCH, stream="state", before=TIPS[1], by=REGION, gap=gap)
    row = msgspec.json.encode([1, 0, *wrap.item(runs.HELD, held)[:2], msgspec.Raw(wrap.item(runs.HELD, held)[2])])
    tale.stored(effects.Rows("relay_state", EPOCH, [(1, row, b"")]), node=REGION)
    tale.judged(Relay)


def forgetting(stream: str, known: list[str], rows_at_root: int, at: str) -> Tree:
    """The region has an epoch of the device of which the root knows only `known` others, at `at` below the region."""
    tale = Tree()
    tale.tell(history.Calm(at=tale.at))
    former = [parent_entries.FormerCursor(epoch=FORMER, seq=0, hash="")]
    cursor = parent_entries.Record(epoch=EPOCH, seq=3, hash=TIPS[2], former=former)
    cursors = {f"{NODE}/{stream}": msgspec.json.encode(cursor)}
    origins = {f"{NODE}/{one}/{stream}": msgspec.json.encode(record(3, at=f"{REGION}/{at}")) for one in known}
    children = {NODE: msgspec.json.encode(parent.Record(session=1))}
    for hub, count, spaces in (
        (REGION, 3, {"cursor": cursors, "child": children}),
        (HUB, rows_at_root, {"origin": origins, "child": CHILDREN}),
    ):
        kept = [history.Row(NODE, EPOCH, stream, *row) for row in ROWS.rows[:count]]
        tale.tell(history.Disk(at=tale.at, node=hub, own=[], heads={}, spaces=spaces, entries=kept))
    return tale


@pytest.mark.parametrize("is_relayed", [False, True])
def test_relay_what_a_device_told_its_former_hub_is_no_loss_on_the_way_up(is_relayed: bool) -> None:
    for base in (2, 0):
        tale = Tree()
        tale.stored(some(3, 3), origin(3, Missing(1, 2, "", TIPS[1], Why.HOLE)), node=HUB)
        tale.tell(history.Calm(at=tale.at))
        held = parent_entries.Record(epoch=EPOCH, seq=3, hash=TIPS[2], base=base, base_hash=TIPS[base - 1])
        served = {NODE: msgspec.json.encode(parent.Record(session=1))}
        missing = {f"{NODE}/{EPOCH}/state": origin(3, Missing(1, 2, "", TIPS[1], Why.HOLE)).value}
        cursors = {f"{NODE}/state": msgspec.json.encode(held)}
        tale.disk(REGION, 0, cursor=cursors, child=served, origin=missing if is_relayed else {})
        tale.disk(HUB, 0, origin=missing, child=CHILDREN)
        if base == 2:
            assert tale.judged(Relay) > 2
        else:
            tale.breaks(Relay, "lacks rows 1 to 2")


def test_nothing_lost_counts_at_every_tier() -> None:
    said = rows(1, 2, 3, body='{"item": "i"}')
    for at_root in (True, False):
        tale = Tree()
        tale.tell(history.Tried(at=tale.at, node=NODE, stream="state", item="i"))
        tale.stored(said)
        tale.tell(history.Kept(at=tale.at, node=NODE, item="i"))
        tale.stored(received(said), telling.at_cursor(3, tip=said.rows[2][2]), node=REGION)
        if at_root:
            tale.stored(relayed(said), origin(3), node=HUB)
        tale.end(root=3, region=3)
        if at_root:
            assert tale.judged(NothingLost) == 2
        else:
            tale.breaks(NothingLost, "hub has neither it nor a gap")


# ------------------------------------------------------------------------------------------------ shares, owners


def resource(*nodes: str, count: int = 2, spec: bytes = b"{}", **more: object) -> bytes:
    """A counted service, as a hub keeps it."""
    base = declared.Resource(
        kind="service", name="web", generation=1, changed_ms=1, by="ada", document=msgspec.Raw(WEB), count=count
    )
    return msgspec.json.encode(msgspec.structs.replace(base, nodes=[*nodes], spec=msgspec.Raw(spec), **more))


def given(share: int, spec: bytes = b"{}") -> bytes:
    """The service, as the region was handed it."""
    document = documents.Delegation(
        kind="service", name="web", generation=1, owner=HUB, spec=msgspec.Raw(spec), share=share
    )
    return msgspec.json.encode(delegated.Given(document=document, since_ms=1))


def handed(share: int, count: int) -> Tree:
    """The root hands one of two on, and the region holds `share` of it and places by `count`."""
    tale = Tree()
    tale.tell(history.Calm(at=tale.at))
    theirs = resource(count=count, origin=declared.Origin(owner=HUB, generation=1))
    tale.disk(REGION, 0, resource={"service/web": theirs}, given={"service/web": given(share)})
    ours = resource(count=2, shares={REGION: 1})
    tale.disk(HUB, 0, resource={"service/web": ours}, child=CHILDREN)
    return tale


def test_shares_that_are_what_was_handed_are_right_and_others_break() -> None:
    assert handed(1, 1).judged(Shares) == 4
    handed(2, 1).breaks(Shares, "which holds 2")
    handed(1, 2).breaks(Shares, "places by a count of 2")


def test_shares_more_than_asked_for_breaks() -> None:
    tale = Tree()
    tale.tell(history.Calm(at=tale.at))
    tale.disk(HUB, 0, resource={"service/web": resource("a", "b", count=2, shares={REGION: 1})})
    tale.breaks(Shares, "asked for 2 of service/web, and has placed 3")


OVERRIDE = telling.put(
    overrides.SPACE,
    "service/web",
    overrides.Override(key="service/web", owner=HUB, by="ada", reason="so", since_ms=1, until_ms=2),
)


def put(spec: bytes) -> effects.Put:
    """The service comes into force at the region."""
    return effects.Put(resources.SPACE, "service/web", resource(spec=spec))


def test_owner_wins_an_override_stands_until_it_ends_on_record() -> None:
    tale = Tree()
    tale.stored(put(b"{}"), node=REGION)
    tale.stored(OVERRIDE, put(b'{"ours": 1}'), node=REGION)
    tale.stored(put(b'{"ours": 1}'), node=REGION)
    ended = effects.Rows("audit", EPOCH, [(1, b'[1,1,"override.ended","service/web",{}]', b"h")])
    tale.stored(effects.Delete(overrides.SPACE, "service/web"), ended, put(b"{}"), node=REGION)
    assert tale.judged(OwnerWins) == 2


def test_owner_wins_an_override_that_is_undone_in_silence_breaks() -> None:
    tale = Tree()
    tale.stored(OVERRIDE, put(b'{"ours": 1}'), node=REGION)
    tale.stored(put(b"{}"), node=REGION)
    tale.breaks(OwnerWins, "ada has overridden it there")
    tale = Tree()
    tale.stored(OVERRIDE, node=REGION)
    tale.stored(effects.Delete(overrides.SPACE, "service/web"), node=REGION)
    tale.breaks(OwnerWins, "nothing on record says why")


def test_owner_wins_another_version_at_rest_breaks() -> None:
    tale = Tree()
    tale.tell(history.Calm(at=tale.at))
    theirs = resource(spec=b'{"old": 1}', origin=declared.Origin(owner=HUB, generation=1))
    tale.disk(REGION, 0, resource={"service/web": theirs}, given={"service/web": given(1)})
    tale.breaks(OwnerWins, "another version of it in force")


def test_one_at_most_a_second_copy_elsewhere_breaks() -> None:
    once = documents.Disconnect(at_most_one=True)
    for over in (True, False):
        tale = Tree()
        served = [telling.put(parent.CHILD, node, parent.Record(session=1)) for node in (NODE, "bergen")]
        kept = effects.Put(resources.SPACE, "service/web", resource(NODE, "bergen", count=1, disconnect=once))
        tale.stored(*served, kept, node=HUB)
        tale.born("bergen")
        tale.tell(history.Ran(at=tale.at, node=NODE, instance="s-web-1"))
        if over:
            tale.tell(history.Gone(at=tale.at, node=NODE, instance="s-web-1"))
        tale.tell(history.Ran(at=tale.at, node="bergen", instance="s-web-1"))
        if over:
            assert tale.judged(OneAtMost) == 2
        else:
            tale.breaks(OneAtMost, "may run once at most")


# ------------------------------------------------------------------------------------------------ policies, autonomy


def policy(may: list[str], *, inherited: bool) -> effects.Put:
    """A policy comes into force at the region."""
    spec = msgspec.json.encode({"spec": {"may": may, "allow": {"services": len(may)}}})
    name = "above" if inherited else "own"
    record = declared.Resource(kind="policy", name=name, generation=1, changed_ms=1, by="ada", spec=msgspec.Raw(spec))
    origin = declared.Origin(owner=HUB, generation=1) if inherited else None
    value = msgspec.json.encode(msgspec.structs.replace(record, origin=origin))
    return effects.Put(resources.SPACE, f"policy/{name}", value)


def asks(tale: Tree, op: inputs.AnyOp, *, answered: bool = True) -> None:
    """An operator of the region asks, and is answered."""
    tale.took(inputs.Request(request=1, who="ada", op=op), REGION)
    if answered:
        tale.acted(inputs.Reply(request=1), REGION)


def test_narrowing_what_is_allowed_is_right_and_what_is_wider_breaks() -> None:
    tale = Tree()
    tale.stored(policy(["run", "apply"], inherited=True), node=REGION)
    tale.stored(policy(["run"], inherited=False), node=REGION)
    asks(tale, inputs.Apply(documents=[]))
    assert tale.judged(Narrowing) == 2
    tale.stored(policy(["run", "apply", "override"], inherited=False), node=REGION)
    tale.breaks(Narrowing, "allows more services than policy/above")


def test_narrowing_a_deed_that_is_forbidden_breaks() -> None:
    tale = Tree()
    tale.stored(policy(["run"], inherited=True), node=REGION)
    asks(tale, inputs.Apply(documents=[], override=inputs.Override(for_s=1.0, reason="so")))
    tale.breaks(Narrowing, "operators of eu override, though policy/above")


def test_region_decides_while_it_is_cut_off_and_silence_breaks() -> None:
    enroll = inputs.Enroll(token="t", secret_hash="h", name=NODE, csr="c", key="k")
    tale = Tree()
    tale.stored(telling.in_session(), node=REGION)
    asks(tale, inputs.DeleteResource(kind="service", name="web"))
    assert tale.judged(RegionDecides) == 1
    asks(tale, enroll)
    tale.breaks(RegionDecides, "has no record of it")
    tale = Tree()
    tale.stored(telling.in_session(), node=REGION)
    asks(tale, enroll, answered=False)
    tale.at += ANSWER_S
    tale.took(inputs.Tick(), HUB)
    tale.took(inputs.Tick(), HUB)
    with pytest.raises(history.Broken, match="has not answered Enroll"):
        tale.judged(RegionDecides)
