"""A courier between the two ends of a link: late, twice, in any order, beside a link that comes and goes."""

from __future__ import annotations

import contextlib
import random

import msgspec
import pytest

from protocol import limits
from protocol.bundle import head
from protocol.effects import Effects
from protocol.errors import Refused, RemoteProtocolError, TooLarge, TrustError
from protocol.link import events
from protocol.link.table import ChildState
from tests.support import sticks
from tests.support.link_world import CHILD, World, task
from tests.support.sticks import Bundle
from tests.unit.link import test_faults


def _alone() -> World:
    """A device that has been at its hub, and that nothing reaches any more."""
    world = World()
    world.settle()
    world.reachable = False
    world.cut()
    return world


def test_a_device_that_nothing_reaches_is_asked_and_heard_by_sticks() -> None:
    world = _alone()
    world.ask(task(1))
    world.append("state", 10)
    world.append("metrics", 3)
    sticks.import_down(world, sticks.down(world))
    assert world.wanted is not None
    assert list(world.wanted[1]) == ["task/t1"]
    is_newest, told = sticks.import_up(world, sticks.up(world))
    assert is_newest
    assert [one.status.held.generation for one in told if isinstance(one, events.ChildCarried)] == [1]
    assert world.received("state") == list(range(1, 11))
    assert not world.child.synced("state")
    sticks.import_down(world, sticks.down(world))
    assert world.child.synced("state")
    assert not world.parent.view(CHILD).live
    world.settle()
    world.check_streams()


def test_a_stick_that_comes_twice_or_late_brings_nothing() -> None:
    world = _alone()
    world.ask(task(1))
    asked_first = sticks.down(world)
    world.append("state", 10)
    first = sticks.up(world)
    world.append("state", 10)
    second = sticks.up(world)
    world.ask(task(2))
    sticks.import_down(world, sticks.down(world))
    assert sticks.import_up(world, second)[0]
    assert world.received("state") == list(range(1, 21))
    assert sticks.import_up(world, first) == (False, [])
    assert sticks.import_up(world, second) == (False, [])
    told = sticks.import_down(world, asked_first)
    assert [one.reason for one in told if isinstance(one, events.DesiredRefused)] == [
        "generation 1 of term 1 is older than generation 2 of term 1, which is held"
    ]
    assert world.wanted is not None
    assert list(world.wanted[1]) == ["task/t2"]
    assert world.received("state") == list(range(1, 21))
    world.settle()
    world.check_streams()


def test_a_stick_beside_a_live_link_changes_nothing_of_it() -> None:
    world = World()
    world.settle()
    world.append("state", 5)
    up, down = sticks.up(world), sticks.down(world)
    world.flush()
    world.append("state", 5)
    world.flush()
    sticks.import_up(world, up)
    sticks.import_down(world, down)
    assert world.parent.view(CHILD).live
    assert not [one for one in world.parent_events if isinstance(one, events.Fork | events.ChildRestored)]
    assert world.child.synced("state")
    world.settle()
    world.check_streams()
    assert world.child.session == 1


def test_a_hub_that_was_restored_is_refilled_by_sticks() -> None:
    world = _alone()
    copy = world.hub_disk.copy()
    world.append("state", 10)
    sticks.import_up(world, sticks.up(world))
    old = sticks.down(world)
    sticks.import_down(world, old)
    world.restore_parent(copy)
    world.append("state", 5)
    sticks.import_up(world, sticks.up(world))
    assert world.received("state") == [], "what lies below is missing: nothing is skipped (A4)"
    told = sticks.import_down(world, sticks.down(world))
    assert [(one.seq, one.acked) for one in told if isinstance(one, events.ParentBehind)] == [(0, 10)]
    sticks.import_up(world, sticks.up(world))
    assert world.received("state") == list(range(1, 16))
    assert not [one for one in sticks.import_down(world, old) if isinstance(one, events.ParentBehind)]
    sticks.import_down(world, sticks.down(world))
    assert world.child.synced("state")
    world.settle()
    world.check_streams()


def test_a_device_that_was_restored_takes_a_new_epoch_by_sticks() -> None:
    world = _alone()
    copy = world.disk.copy()
    world.append("state", 10)
    sticks.import_up(world, sticks.up(world))
    down = sticks.down(world)
    world.restore_child(copy, noticed=False)
    world.append("state", 3)
    told = sticks.import_down(world, down)
    assert [one.stream for one in told if isinstance(one, events.EpochBegun)] == ["state"]
    _, heard = sticks.import_up(world, sticks.up(world))
    assert [one.stream for one in heard if isinstance(one, events.EpochChanged)] == ["state"]
    assert world.received("state") == list(range(1, 14))
    world.settle()
    world.check_streams()


def test_a_device_with_a_new_store_speaks_above_what_the_hub_knew_of_it() -> None:
    world = World()
    for _ in range(3):
        world.settle()
        world.crash_child()
    world.settle()
    world.append("state", 2)
    sticks.import_up(world, sticks.up(world))
    newest = world.child.session
    new = World(seed=b"another")
    new.reachable = False
    new.cut()
    world.cut()
    new.parent, new.hub_disk, new.seen = world.parent, world.hub_disk, world.seen
    new.append("state", 4)
    assert new.child.session < newest
    assert sticks.import_up(new, sticks.up(new)) == (False, [])
    sticks.import_down(new, sticks.down(new))
    assert new.child.session > newest
    is_newest, told = sticks.import_up(new, sticks.up(new))
    assert is_newest
    changed = [one for one in told if isinstance(one, events.EpochChanged) and one.stream == "state"]
    assert [one.reason for one in changed] == ["a new journal: what the former one still held is unknown"]
    assert len(new.received("state")) == 6


def test_a_stick_of_a_former_epoch_ends_no_epoch() -> None:
    world = _alone()
    world.append("state", 5)
    sticks.import_up(world, sticks.up(world))
    old = sticks.down(world)
    world.restore_child(world.disk.copy(), noticed=True)
    epoch = world.disk.streams["state"].epoch
    assert not [one for one in sticks.import_down(world, old) if isinstance(one, events.EpochBegun)]
    assert world.disk.streams["state"].epoch == epoch
    world.settle()
    world.check_streams()


def test_a_first_stick_that_comes_after_the_link_did_is_no_word_of_a_restored_hub() -> None:
    world = _alone()
    world.append("state", 5)
    sticks.import_up(world, sticks.up(world))
    old = sticks.down(world)
    world.append("state", 5)
    world.settle()
    assert not [one for one in sticks.import_down(world, old) if isinstance(one, events.ParentBehind)]
    assert world.child.synced("state")


def test_a_stick_that_is_made_while_a_session_begins_is_older_than_what_that_session_says() -> None:
    world = World()
    world.settle()
    world.append("state", 5)
    world.cut()
    while world.child.state is not ChildState.GREETING:
        world.advance(0.5)
    early = sticks.up(world)
    assert sticks.import_up(world, early)[0]
    old = sticks.down(world)
    world.append("state", 5)
    late = sticks.up(world)
    world.flush()
    status = world.parent.view(CHILD).status
    assert status is not None
    assert (status.session, status.count) == (world.child.session, 3), "it counts on"
    sticks.import_up(world, late)
    assert world.parent.view(CHILD).status == status, "the link has said more since"
    assert not [one for one in sticks.import_down(world, old) if isinstance(one, events.ParentBehind)]
    world.check_streams()


def test_two_devices_with_one_identity_are_found_out_by_their_sticks() -> None:
    world = _alone()
    copy = world.disk.copy()
    world.crash_child()
    mine = sticks.up(world)
    world.seed = b"a clone"
    world.restore_child(copy, noticed=False)
    other = sticks.up(world)
    assert sticks.import_up(world, mine)[0]
    _, told = sticks.import_up(world, other)
    assert [type(one) for one in told] == [events.CloneSeen]
    with pytest.raises(Refused, match="quarantined"):
        sticks.import_up(world, mine)
    with pytest.raises(Refused, match="quarantined"):
        sticks.down(world)


def test_a_clone_found_out_by_a_stick_ends_the_session_of_the_one_that_is_connected() -> None:
    world = World()
    world.settle()
    copy, session = world.disk.copy(), world.child.session
    other = World(seed=b"a clone", disk=copy)
    other.reachable = False
    other.cut()
    other.child.session = session
    assert world.parent.view(CHILD).live
    _, told = sticks.import_up(world, sticks.up(other))
    assert [type(one) for one in told] == [events.CloneSeen, events.ChildAway, events.CloseAsked]
    assert not world.parent.view(CHILD).live


def test_a_clone_of_a_quiet_device_found_out_by_a_stick_is_here_no_more() -> None:
    world = World(contact_s=3_600.0)
    world.settle()
    other = World(seed=b"a clone", disk=world.disk.copy())
    other.reachable = False
    other.cut()
    other.child.session = world.child.session
    world.reachable = False
    world.cut()
    assert world.parent.view(CHILD).quiet
    _, told = sticks.import_up(world, sticks.up(other))
    assert [type(one) for one in told] == [events.CloneSeen, events.ChildAway]
    assert not world.parent.view(CHILD).quiet


def _altered(bundle: Bundle, old: bytes, new: bytes) -> Bundle:
    assert old in bundle.raw
    return Bundle(bundle.raw.replace(old, new, 1), bundle.parts)


def test_what_was_altered_or_is_of_others_is_refused() -> None:
    world = _alone()
    world.ask(task(1))
    down, up = sticks.down(world), sticks.up(world)
    with pytest.raises(TrustError):
        sticks.import_down(world, _altered(down, b'"generation":1', b'"generation":9'))
    with pytest.raises(TrustError):
        sticks.import_up(world, _altered(up, b'"time_ms":0', b'"time_ms":1'))
    with pytest.raises(TrustError, match="take it to other"):
        sticks.import_up(world, _altered(up, b'"hub":"cloud"', b'"hub":"other"'))
    with pytest.raises(RemoteProtocolError, match="contradicts itself"):
        sticks.import_up(world, _altered(up, b'"node":"gw-1"', b'"node":"gw-2"'))
    strange = Bundle(up.raw.replace(b'"node":"gw-1"', b'"node":"gw-2"'), up.parts)
    with pytest.raises(TrustError, match="not enrolled"):
        sticks.import_up(world, strange)
    with pytest.raises(RemoteProtocolError, match="not the head of a bundle that a device exported"):
        sticks.import_up(world, Bundle(down.raw, {}))
    with pytest.raises(RemoteProtocolError, match="not the head of a bundle that a hub exported"):
        head.read(b"[]\n{}", head.Down)
    with pytest.raises(TooLarge):
        head.read(b" " * (limits.BUNDLE_HEAD_BYTES_MAX + 1), head.Up)
    assert not [one for one in world.child_events if isinstance(one, events.Wanted)]


def test_a_head_that_names_what_no_bundle_holds_is_refused() -> None:
    world = _alone()
    made, _, proof = head.read(sticks.down(world).raw, head.Down)
    odd = msgspec.structs.replace(made, parts={"../../etc": 1})
    with pytest.raises(RemoteProtocolError, match="names a part that no bundle has"):
        head.read(head.join(head.encode(odd), proof), head.Down)
    told, _, proof = head.read(sticks.up(world).raw, head.Up)
    short = msgspec.structs.replace(told, rows=["a" * 64])
    with pytest.raises(RemoteProtocolError, match="not among its parts"):
        head.read(head.join(head.encode(short), proof), head.Up)


def test_a_bundle_without_all_its_documents_changes_nothing() -> None:
    world = _alone()
    world.ask(task(1))
    told = sticks.import_down(world, Bundle(sticks.down(world).raw, {}))
    assert [one.reason for one in told if isinstance(one, events.DesiredRefused)] == [
        "the bundle is not whole: 1 documents of generation 1 of term 1 are missing; copy it again"
    ]
    assert world.child.held.generation == 0


def test_a_revoked_device_or_one_on_its_way_is_not_heard() -> None:
    world = _alone()
    up = sticks.up(world)
    fx = Effects()
    world.parent.adopt(CHILD, fx)
    with pytest.raises(Refused, match="by its link first"):
        sticks.import_up(world, up)
    world.parent.revoke(CHILD, "stolen", world.now, fx)
    with pytest.raises(TrustError, match="is revoked"):
        sticks.import_up(world, up)


def test_a_hub_in_doubt_exports_nothing_before_its_operator_decided() -> None:
    world = _alone()
    world.parent.hold()
    with pytest.raises(Refused, match="accept-restore"):
        sticks.down(world)


def test_a_device_that_holds_more_than_a_restored_hub_asked_alarms_by_stick() -> None:
    world = _alone()
    copy = world.hub_disk.copy()
    world.ask(task(1))
    sticks.import_down(world, sticks.down(world))
    world.restore_parent(copy)
    _, told = sticks.import_up(world, sticks.up(world))
    assert [type(one) for one in told if isinstance(one, events.RestoredParent)] == [events.RestoredParent]
    with pytest.raises(Refused, match="node accept gw-1"):
        sticks.down(world)
    fx = Effects()
    world.parent.new_term(CHILD, world.now, fx)
    world.perform_parent(fx, [])
    sticks.import_down(world, sticks.down(world))
    assert world.wanted is not None
    assert world.wanted[1] == {}


class Carried(test_faults.Story):
    """A story with a courier who keeps what was exported, and brings it when he likes, or again."""

    def __init__(self, choose: random.Random, *, external: bool) -> None:
        weights = test_faults.WEIGHTS | {"export_up": 6, "export_down": 6, "bring_up": 8, "bring_down": 8}
        super().__init__(choose, external=external, weights=weights | {"partition": 3})
        self.ups: list[Bundle] = []
        self.downs: list[Bundle] = []

    def export_up(self) -> None:
        self.ups.append(sticks.up(self.world))

    def export_down(self) -> None:
        with contextlib.suppress(Refused):  # until an operator decides
            self.downs.append(sticks.down(self.world))

    def bring_up(self) -> None:
        if self.ups:
            with contextlib.suppress(Refused):
                sticks.import_up(self.world, self.choose.choice(self.ups[-8:]))

    def bring_down(self) -> None:
        if self.downs:
            sticks.import_down(self.world, self.choose.choice(self.downs[-8:]))


@pytest.mark.parametrize("seed", range(80))
def test_no_story_with_a_courier_loses_or_doubles_anything(seed: int) -> None:
    Carried(random.Random(seed), external=seed % 2 == 1).tell(steps=150)
