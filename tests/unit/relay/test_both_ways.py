"""A device comes to a hub itself that also hears it by way of a hub below: each row stands once (A8).

It moved, or a copy of it did, while its former hub was cut off and has rows of it still to bring.
"""

from __future__ import annotations

import msgspec
import pytest

from protocol import limits
from protocol.effects import Effects
from protocol.link import events, parent_entries
from protocol.link.parent_entries import Incoming, Met, Place
from protocol.link.relay import runs
from protocol.link.relay.epochs import Heirs
from protocol.link.relay.origins import Origins
from protocol.messages import Entries, FormerEpoch, StreamHead
from protocol.snapshot import Snapshot
from tests.unit.relay.parts import EPOCH, NODE, STREAM, Origin, Root, doubt, kinds


class Hub(Root):
    """A hub above one that relays, whose child the device is as well; both ends are rebuilt after every step."""

    def _load(self) -> Origins:
        spaces = self.store.snapshot().spaces
        self.incoming = Incoming(NODE, lambda node, epoch, stream, body: "", self._reach)
        for key, value in spaces.get(parent_entries.CURSOR, {}).items():
            self.incoming.load(key.partition("/")[2], value)
        self._origins = Origins(
            Snapshot(node="cloud", spaces=spaces),
            doubt,
            lambda node: "",
            lambda node, epoch, stream: self.incoming.brought(epoch, stream),
            lambda node: "",
        )
        return self._origins

    def _reach(self, node: str, epoch: str, stream: str) -> int:
        found = self._origins.records.find(runs.About(at=node, epoch=epoch, stream=stream))
        return found[1].reach if found is not None else 0

    def meets(
        self, gw: Origin, *, was: Origin | None = None, shared: int = 0, base: int = 0, first: int = 0
    ) -> list[events.ParentEvent]:
        """Hear the device's Hello, which says the former epoch and where the present one begins; with the lowest row
        that it still holds (`first`) it comes from another hub. Return what is told."""
        former = FormerEpoch(epoch=was.epoch, seq=shared, hash=was.hash(shared).hex()) if was is not None else None
        head = StreamHead(
            epoch=gw.epoch,
            seq=len(gw.rows),
            hash=gw.tip.hex(),
            first=first or 1,
            before=gw.hash(first - 1).hex() if first > base + 1 else "",
            was=former,
            base=base,
            base_hash=gw.hash(base).hex() if base else "",
        )
        fx = Effects()
        told = self.incoming.greet({gw.stream: head}, fx, adopted=self._elsewhere if first else None)
        self.commit(fx)
        return told

    def _elsewhere(self, node: str, stream: str, head: StreamHead, lowest: Place, fx: Effects) -> Met:
        about = runs.About(at=node, epoch=head.epoch, stream=stream)
        return self._origins.records.meet(about, head.was, lowest, fx)

    @property
    def stood(self) -> int:
        """The row up to which it has what the device brought itself."""
        return self.incoming.cursors[STREAM].seq

    def brings(self, gw: Origin, last: int) -> None:
        """The device itself brings what follows, up to `last`."""
        prev, fx = self.incoming.cursors[gw.stream].seq, Effects()
        rows = [msgspec.Raw(raw) for _, raw, _ in gw.rows[prev:last]]
        message = Entries(session=1, stream=gw.stream, epoch=gw.epoch, prev=prev, hash=gw.hash(last).hex(), rows=rows)
        ack, _ = self.incoming.take(message, fx)
        assert ack is not None
        assert ack.seq == last
        self.commit(fx)

    def stands(self) -> list[int]:
        """Return the seqs that stand here, under whatever epoch."""
        return sorted(seq for *_, seq, _, _ in self.store.entries)


def heir(gw: Origin, upto: int, epoch: str = "b" * 16) -> Origin:
    """Return a copy of `gw` as it was at row `upto`, in an epoch of its own."""
    new = Origin(epoch=epoch, stream=gw.stream)
    new.rows, new.tip = gw.rows[:upto], gw.hash(upto)
    return new


def turned(copy: Origin, seq: int, *, former: str = EPOCH, ends: int = 0, again: int = 0) -> runs.Turn:
    """Return what a hub says that meets `copy` and has the device's rows up to `seq`; `ends`: as its own child's."""
    tip, end = copy.hash(seq).hex(), copy.hash(ends).hex() if ends else ""
    said = runs.Turn(at=NODE, epoch=copy.epoch, stream=STREAM, seq=seq, hash=tip, former=former)
    return msgspec.structs.replace(said, ends=ends, ends_hash=end, again=again)


@pytest.mark.parametrize("stream", [STREAM, "metrics"])
def test_what_the_hub_below_brings_late_the_device_brings_too(stream: str) -> None:
    hub, gw = Hub(), Origin(stream=stream).say(12)
    hub.take("oslo", *gw.runs(0, 5))
    hub.meets(gw)
    hub.brings(gw, 5)
    hub.take("oslo", *gw.runs(5, 8))
    hub.brings(gw, 7)
    hub.take("oslo", *gw.runs(8, 9))
    hub.brings(gw, 12)
    assert hub.holds(gw) == list(range(1, 13))
    hub.take("oslo", *gw.runs(9, 11))
    assert hub.holds(gw) == list(range(1, 13)), "what the device brought the hub below need not bring"


def test_a_copy_comes_back_to_a_hub_that_heard_the_rest_by_way_of_another() -> None:
    hub, gw = Hub(), Origin().say(9)
    hub.meets(gw)
    hub.brings(gw, 3)
    hub.take("oslo", *gw.runs(3, 6))
    copy = heir(gw, 8).say(2, "copied")
    hub.meets(copy, was=gw, shared=8)
    assert hub.stood == 3
    hub.brings(copy, 5)
    hub.brings(copy, 10)
    assert hub.stands() == list(range(1, 11))
    hub.take("oslo", *gw.runs(6, 8))
    assert hub.stands() == list(range(1, 11)), "they came under the epoch of the copy"
    hub.take("oslo", *gw.runs(8, 9))
    assert hub.stands() == sorted([*range(1, 11), 9]), "the device's own ninth row is another one"


def test_a_copy_of_a_copy_that_never_was_here_itself() -> None:
    hub, gw = Hub(), Origin().say(5)
    hub.meets(gw)
    hub.brings(gw, 2)
    copy = heir(gw, 5).say(2, "copied")
    hub.take("oslo", turned(copy, 2), *copy.runs(2, 6))
    again = heir(copy, 7, "c" * 16).say(1, "copied again")
    hub.meets(again, was=copy, shared=7)
    assert hub.stood == 2
    hub.brings(again, 8)
    assert hub.stands() == list(range(1, 9))
    hub.take("oslo", *copy.runs(6, 7))
    assert hub.stands() == list(range(1, 9))


def test_a_copy_turns_at_the_hub_below_and_brings_what_the_device_brought_here() -> None:
    hub, gw = Hub(), Origin().say(5)
    hub.meets(gw)
    hub.brings(gw, 5)
    copy = heir(gw, 5).say(2, "copied")
    hub.take("oslo", turned(copy, 2), *copy.runs(2, 7))
    assert hub.stands() == [1, 2, 3, 4, 5, 6, 7]


def test_telemetry_begins_again_with_each_epoch_and_what_looks_alike_is_no_row_that_came_before() -> None:
    hub, gw, later = Hub(), Origin(stream="metrics").say(9), Origin(epoch="b" * 16, stream="metrics").say(5)
    hub.take("oslo", *gw.runs(0, 4))
    hub.meets(gw)
    hub.brings(gw, 7)
    hub.meets(later)
    hub.brings(later, 5)
    assert (hub.holds(gw), hub.holds(later)) == ([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5])
    hub.take("oslo", *gw.runs(4, 9))
    assert hub.holds(gw) == list(range(1, 10)), "what the device brought under the former epoch stands once"
    assert hub.holds(later) == [1, 2, 3, 4, 5]


def test_where_a_device_goes_on_the_row_that_is_here_counts_for_what_it_still_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MISSING_OF_CHILD_MAX", 1)
    hub, gw = Hub(), Origin().say(9)
    hub.take("oslo", *gw.runs(0, 2), *Origin(node="gw-8").say(3).runs(2, 3))
    [about] = gw.runs(0, 2)
    was = FormerEpoch(epoch=EPOCH, seq=2, hash=gw.hash(2).hex())
    here = 2, gw.hash(2).hex()
    new = msgspec.structs.replace(about, epoch="b" * 16)
    meet = hub.origins.records.meet
    assert meet(new, was, (2, "ff" * 32), Effects()) == (here, (2, "ff" * 32), []), "not what the device says of it"
    assert meet(new, was, (1, "ff" * 32), Effects())[0] == here
    assert meet(new, was, beyond := (3, gw.hash(3).hex()), Effects())[0] == beyond
    place, base, told = meet(about, None, (5, gw.hash(5).hex()), Effects())
    assert place == base == (5, gw.hash(5).hex())
    assert kinds(told) == ["Crowded"], "the hole that is left takes the room of another"


@pytest.mark.parametrize("heard", [5, 7])
def test_where_the_epoch_of_who_moved_up_here_began_is_no_hole(heard: int) -> None:
    hub, gw = Hub(), Origin().say(5)
    hub.take("oslo", *gw.runs(0, 5))
    new = heir(gw, 5).say(4)
    hub.meets(new, was=gw, shared=5, base=5, first=heard + 1)
    hub.brings(new, 8)
    hub.take("oslo", turned(new, 5, ends=5))
    assert hub.missing(new.epoch) == ([(6, heard, "hole")] if heard > 5 else [])
    hub.take("oslo", *new.runs(5, heard)) if heard > 5 else []
    hub.brings(new, 9)
    assert hub.missing(new.epoch) == []
    assert hub.stands() == list(range(1, 10))


@pytest.mark.parametrize("is_late", [False, True])
def test_rows_of_a_former_epoch_that_its_hub_brings_late_stand_once(is_late: bool) -> None:
    hub, gw = Hub(), Origin().say(9)
    hub.ordered[NODE] = "bergen"
    hub.take("oslo", *gw.runs(0, 4))
    new = heir(gw, 9).say(2)
    hub.take("bergen", turned(new, 3, again=9), *(new.runs(3, 11) if is_late else []))
    hub.take("oslo", *gw.runs(4, 6))
    hub.take("bergen", *new.runs(3, 11))
    assert hub.stands() == list(range(1, 12)), "they are the same rows, under either epoch"


def test_who_is_met_for_the_first_time_may_have_said_rows_elsewhere_under_its_former_epoch() -> None:
    hub, gw = Hub(), Origin().say(9)
    told = hub.meets(heir(gw, 9).say(2), was=gw, shared=9, first=1)
    assert [(one.former, one.place, one.again) for one in told if isinstance(one, events.StreamMet)] == [(EPOCH, 0, 9)]


def test_what_fills_a_hole_may_have_come_under_another_epoch_since() -> None:
    hub, gw = Hub(), Origin().say(9)
    hub.take("oslo", *gw.runs(0, 2), *gw.runs(5, 9))
    new = heir(gw, 9).say(1)
    hub.take("bergen", turned(new, 2, again=9), *new.runs(2, 10))
    hub.take("oslo", *gw.runs(2, 5))
    assert hub.stands() == list(range(1, 11))


def test_a_former_epoch_that_nobody_here_knew_comes_after_its_heir() -> None:
    hub, gw = Hub(), Origin().say(9)
    new = heir(gw, 9).say(2)
    hub.take("bergen", turned(new, 3, again=9), *new.runs(3, 11))
    hub.take("oslo", *gw.runs(0, 6))
    assert hub.stands() == list(range(1, 12)), "they are the same rows, under either epoch"


def test_a_former_epoch_that_nobody_here_knew_comes_after_the_device_itself() -> None:
    hub, gw = Hub(), Origin().say(9)
    new = heir(gw, 9).say(2)
    hub.meets(new, was=gw, shared=9, first=4)
    hub.brings(new, 11)
    hub.take("oslo", *gw.runs(0, 6))
    assert hub.stands() == list(range(1, 12)), "they are the same rows, under either epoch"


def test_an_epoch_before_the_former_one_comes_late() -> None:
    hub, gw = Hub(), Origin().say(9)
    between = heir(gw, 9)
    last = heir(between, 9, "c" * 16).say(2)
    hub.take("oslo", *gw.runs(0, 3))
    hub.take("bergen", turned(between, 3, again=9), turned(last, 3, former=between.epoch, again=9), *last.runs(3, 11))
    hub.take("oslo", *gw.runs(3, 6))
    assert hub.stands() == list(range(1, 12)), "they are the same rows, under either epoch"


def test_what_goes_on_from_one_epoch_is_bounded_and_forgotten_with_its_record() -> None:
    heirs, keys = Heirs(), [f"{NODE}/{number:016x}/{STREAM}" for number in range(limits.EPOCHS_KEPT_MAX + 1)]
    for key in keys:
        heirs.put(key, EPOCH)
        heirs.put(key, "e" * 16)  # where it goes on from is said once
    of = f"{NODE}/{EPOCH}/{STREAM}"
    assert heirs.of(of) == keys[1:], "the newest count"
    for key in keys:
        heirs.drop(key)
    assert (heirs.of(of), heirs.of(f"{NODE}/{'e' * 16}/{STREAM}")) == ([], [])
