"""A copy of a device brought rows that the device has too, and cannot know of: they are taken once (A8)."""

from __future__ import annotations

import msgspec
import pytest

from protocol import effects
from protocol.effects import Effects, StoredRow
from protocol.link import cursor
from protocol.link.parent_entries import Incoming
from protocol.messages import Entries, FormerEpoch, GapBody, StreamHead

NODE = "oslo"
FIRST, COPY, ITS_OWN = "1111111111111111", "2222222222222222", "3333333333333333"


def undoubted(node: str, epoch: str, stream: str, body: GapBody) -> str:
    return ""


def rows(upto: int, *, then: int = 0) -> list[StoredRow]:
    """Rows 1..`upto` that both have, and `then` more that only one has."""
    shared = cursor.encode_rows(0, cursor.genesis(NODE, FIRST, "state"), True, 0, [("k", "", b"1")] * upto)
    return shared + cursor.encode_rows(upto, shared[-1][2], True, 0, [("k", "", b"2")] * then)


def brought(one: Incoming, epoch: str, its: list[StoredRow]) -> list[int]:
    """Let `its` come in one message; return the seqs that are stored."""
    fx = Effects()
    message = Entries(
        session=1,
        stream="state",
        epoch=epoch,
        prev=its[0][0] - 1,
        hash=its[-1][2].hex(),
        rows=[msgspec.Raw(raw) for _, raw, _ in its],
    )
    ack, _ = one.take(message, fx)
    assert ack is not None
    assert (ack.seq, ack.hash, ack.refill) == (its[-1][0], its[-1][2].hex(), False)
    return [row[0] for op in fx.store if isinstance(op, effects.Received) for row in op.rows]


def greeted(one: Incoming, epoch: str, its: list[StoredRow], was: int) -> int:
    """Say hello in a new epoch that shares its past up to `was`; return where the parent stands."""
    former = FormerEpoch(epoch=FIRST, seq=was, hash=its[was - 1][2].hex()) if was else None
    head = StreamHead(epoch=epoch, seq=its[-1][0], hash=its[-1][2].hex(), was=former)
    one.greet({"state": head}, Effects())
    return one.cursors["state"].seq


def copied(shared: int) -> Incoming:
    """A parent that had 2 rows of the device, and the rest of `shared` from a copy of it."""
    one = Incoming(NODE, undoubted)
    greeted(one, FIRST, rows(shared), 0)
    brought(one, FIRST, rows(shared)[:2])
    greeted(one, COPY, rows(shared), shared)
    assert brought(one, COPY, rows(shared)[2:]) == list(range(3, shared + 1))
    return one


def test_what_a_copy_brought_does_not_come_again() -> None:
    one, device = copied(4), rows(4, then=2)
    assert greeted(one, ITS_OWN, device, 2) == 2
    assert brought(one, ITS_OWN, device[2:]) == [5, 6]


def test_a_parent_that_starts_anew_still_knows() -> None:
    one, device = copied(4), rows(4, then=2)
    greeted(one, ITS_OWN, device, 2)
    again = Incoming(NODE, undoubted)
    again.load("state", msgspec.json.encode(one.cursors["state"]))
    assert brought(again, ITS_OWN, device[2:]) == [5, 6]


@pytest.mark.parametrize("shared", [3, 2])
def test_rows_that_only_look_alike_are_taken(shared: int) -> None:
    one, device = copied(4), rows(shared, then=3)
    greeted(one, ITS_OWN, device, 2)
    assert brought(one, ITS_OWN, device[2:]) == [row[0] for row in device[2:]]


def test_a_device_that_has_less_than_its_copy_brought_waits_for_nothing() -> None:
    one, device = copied(6), rows(3)
    greeted(one, ITS_OWN, device, 2)
    assert one.cursors["state"].known == 0
