"""The in-memory twin of the store keeps of the children's words what the real one keeps."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from protocol import effects, limits
from protocol.aio import operations
from protocol.link import cursor
from protocol.messages import GapBody
from tests.support.memory_store import MemoryStore

SCHEMA = Path(operations.__file__).with_name("schema.sql").read_text()
_ENTRIES = """
    SELECT node, epoch, stream, seq, raw, hash FROM entry JOIN channel ON channel.id = entry.channel ORDER BY entry.id
"""
_ASIDE = "SELECT node, epoch, stream, seq, raw, reason FROM aside ORDER BY id"


class Both:
    """A store of each kind."""

    def __init__(self) -> None:
        self.twin, self.real = MemoryStore("cloud"), operations.Operations({})
        self.db = sqlite3.connect(":memory:")
        self.db.executescript(SCHEMA)

    def commit(self, *ops: effects.Store) -> None:
        self.twin.commit(list(ops))
        self.real.apply(self.db, ops)

    def entries(self) -> list[tuple[str, str, str, int, bytes, bytes]]:
        """Return the entries that both hold."""
        found = self.db.execute(_ENTRIES).fetchall()
        assert self.twin.entries == found
        return found

    def aside(self) -> list[int]:
        """Return the seqs of what both hold as set aside."""
        found = [effects.SetAside(*row) for row in self.db.execute(_ASIDE)]
        assert self.twin.aside == found
        return [one.seq for one in found]


def received(epoch: str, rows: list[effects.StoredRow], again: int = 0, kind: str = "k") -> effects.Received:
    return effects.Received("a", epoch, "state", [(seq, raw, tip, 0, kind, "") for seq, raw, tip in rows], again)


def chained(count: int) -> list[effects.StoredRow]:
    return cursor.encode_rows(0, b"", True, 0, [("k", "", b"1")] * count)


def test_what_came_under_another_name_is_stored_once() -> None:
    both, rows = Both(), chained(6)
    both.commit(received("copy", rows[1:4]))
    both.commit(received("own", rows, again=4))
    assert [seq for *_, seq, _, _ in both.entries()] == [2, 3, 4, 1, 5, 6]


def test_a_gap_is_no_row_though_it_has_the_hash_of_one() -> None:
    both, rows = Both(), chained(3)
    body = GapBody(first=1, last=3, count=3, reason="", hash=rows[2][2].hex())
    gap = [(3, cursor.encode_gap(3, 0, body), rows[2][2])]
    both.commit(received("copy", gap, kind=cursor.GAP))
    both.commit(received("own", rows, again=3))
    assert [(epoch, seq) for _, epoch, _, seq, _, _ in both.entries()] == [
        ("copy", 3),
        ("own", 1),
        ("own", 2),
        ("own", 3),
    ]


def test_rows_are_looked_for_in_as_many_epochs_as_a_parent_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EPOCHS_KEPT_MAX", 3)
    both, rows = Both(), chained(2)
    both.commit(received("first", rows[:1]), received("second", rows[1:]))
    for epoch in ("third", "fourth"):
        both.commit(received(epoch, [(9, b"", b"")]))
    both.commit(received("own", rows, again=2))
    assert [seq for _, epoch, _, seq, _, _ in both.entries() if epoch == "own"] == [1]


@pytest.mark.parametrize("seed", range(20))
def test_whose_are_most_of_what_is_set_aside_gives_way_first(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ASIDE_KEPT_ROWS", 12)
    monkeypatch.setattr(limits, "ASIDE_KEPT_OF_NODE_ROWS", 5)
    both, choose = Both(), random.Random(seed)
    for commit in range(20):
        nodes = [choose.choice("aaabbcde") for _ in range(choose.randint(1, 8))]
        both.commit(*(effects.SetAside(node, "e", "state", commit * 10 + at, b"", "") for at, node in enumerate(nodes)))
        assert len(both.aside()) <= limits.ASIDE_KEPT_ROWS
