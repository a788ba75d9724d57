"""A copy of a device brought rows that the device has too, and cannot know of: they are taken once (A8)."""

from __future__ import annotations

import msgspec
import pytest

from protocol.effects import Effects, StoredRow
from protocol.link import cursor
from protocol.link.parent_entries import Incoming
from protocol.messages import Entries, FormerEpoch, GapBody, StreamHead
from tests.support.memory_store import MemoryStore

NODE = "oslo"
FIRST, COPY, ITS_OWN = "1111111111111111", "2222222222222222", "3333333333333333"


def undoubted(node: str, epoch: str, stream: str, body: GapBody) -> str:
    return ""


def rows(upto: int, *, then: int = 0) -> list[StoredRow]:
    """Rows 1..`upto` that both have, and `then` more that only one has."""
    shared = cursor.encode_rows(0, cursor.genesis(NODE, FIRST, "state"), True, 0, [("k", "", b"1")] * upto)
    return shared + cursor.encode_rows(upto, shared[-1][2], True, 0, [("k", "", b"2")] * then)


class Hub:
    """A parent of one child, and its store."""

    def __init__(self) -> None:
        self.incoming, self.store = Incoming(NODE, undoubted), MemoryStore("cloud")

    def brought(self, epoch: str, its: list[StoredRow], *, in_one: int = 100) -> list[int]:
        """Let `its` come, `in_one` in a message; return the seqs that are stored."""
        before = len(self.store.entries)
        for start in range(0, len(its), in_one):
            self._take(epoch, its[start : start + in_one])
        return [seq for _, _, _, seq, _, _ in self.store.entries[before:]]

    def _take(self, epoch: str, its: list[StoredRow]) -> None:
        fx = Effects()
        message = Entries(
            session=1,
            stream="state",
            epoch=epoch,
            prev=its[0][0] - 1,
            hash=its[-1][2].hex(),
            rows=[msgspec.Raw(raw) for _, raw, _ in its],
        )
        ack, _ = self.incoming.take(message, fx)
        assert ack is not None
        assert (ack.seq, ack.hash, ack.refill) == (its[-1][0], its[-1][2].hex(), False)
        self.store.commit(fx.store)

    def greeted(self, epoch: str, its: list[StoredRow], was: int) -> int:
        """Hear a hello in a new epoch that shares its past up to `was`; return where the parent stands."""
        fx = Effects()
        former = FormerEpoch(epoch=FIRST, seq=was, hash=its[was - 1][2].hex()) if was else None
        head = StreamHead(epoch=epoch, seq=its[-1][0], hash=its[-1][2].hex(), was=former)
        self.incoming.greet({"state": head}, fx)
        self.store.commit(fx.store)
        return self.incoming.cursors["state"].seq

    def starts_anew(self) -> None:
        self.incoming = Incoming(NODE, undoubted)
        self.incoming.load("state", self.store.spaces["cursor"][f"{NODE}/state"])


def copied(shared: int) -> Hub:
    """A parent that had 2 rows of the device, and the rest of `shared` from a copy of it."""
    hub = Hub()
    hub.greeted(FIRST, rows(shared), 0)
    hub.brought(FIRST, rows(shared)[:2])
    hub.greeted(COPY, rows(shared), shared)
    assert hub.brought(COPY, rows(shared)[2:]) == list(range(3, shared + 1))
    return hub


@pytest.mark.parametrize("in_one", [1, 2, 3, 7, 100])
def test_what_a_copy_brought_does_not_come_again(in_one: int) -> None:
    hub, device = copied(9), rows(9, then=4)
    assert hub.greeted(ITS_OWN, device, 2) == 2
    assert hub.brought(ITS_OWN, device[2:], in_one=in_one) == [10, 11, 12, 13]
    assert hub.incoming.cursors["state"].again == 0


def test_a_parent_that_starts_anew_still_knows() -> None:
    hub, device = copied(6), rows(6, then=2)
    hub.greeted(ITS_OWN, device, 2)
    hub.brought(ITS_OWN, device[2:4])
    hub.starts_anew()
    assert hub.brought(ITS_OWN, device[4:]) == [7, 8]


@pytest.mark.parametrize("shared", [3, 2])
def test_rows_that_only_look_alike_are_taken(shared: int) -> None:
    hub, device = copied(4), rows(shared, then=3)
    hub.greeted(ITS_OWN, device, 2)
    assert hub.brought(ITS_OWN, device[2:]) == [row[0] for row in device[shared:]]


def test_a_device_that_has_less_than_its_copy_brought() -> None:
    hub, device = copied(6), rows(4, then=3)
    hub.greeted(ITS_OWN, device[:4], 2)
    assert hub.brought(ITS_OWN, device[2:], in_one=1) == [5, 6, 7]


def test_an_epoch_that_changes_while_the_rows_come_again() -> None:
    hub, device = copied(9), rows(9, then=1)
    hub.greeted(ITS_OWN, device, 2)
    hub.brought(ITS_OWN, device[2:5], in_one=1)
    hub.greeted("4" * 16, device, 2)
    place = hub.incoming.cursors["state"].seq
    assert hub.brought("4" * 16, device[place:], in_one=2) == [10]
