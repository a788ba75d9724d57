"""What a node and a hub do to their store, of every kind, at random: the operations of one commit after another."""

from __future__ import annotations

import random

import msgspec

from protocol import effects
from protocol.link import cursor
from protocol.messages import CHAINED, FormerEpoch
from tests.support.memory_store import MemoryStore, OwnRows

_CHILDREN = ("bergen", "turku", "malmo")
_KEPT_ROWS = 40
_SIZES = (20, 60, 200, 700, 3_000, 9_000)
_OFTEN = (30, 40, 20, 10, 3, 1)


class Plot:
    """Makes commits that are right for a model as it stands."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def mint(self) -> str:
        """Return an epoch that was never there."""
        return f"{self._dice.getrandbits(64):016x}"

    def commit(self, model: MemoryStore) -> list[effects.Store]:
        """Return the operations of one commit: deeds of several kinds, each stream and each child in one of them."""
        deeds = [self._append, self._append, self._append, self._prune, self._gap, self._turn]
        ops: list[effects.Store] = []
        for name in self._dice.sample(sorted(model.streams), self._dice.randint(0, len(model.streams))):
            deed = self._dice.choices(deeds, (5, 5, 5, 8, 2, 1))[0]
            ops += deed(name, model.streams[name], model.node)
        for child in self._dice.sample(_CHILDREN, self._dice.randint(0, 2)):
            ops += self._receive(child, model.spaces.get("cursor", {}))
        if self._dice.random() < 0.1:
            ops.append(effects.SetAside("bergen", "e" * 16, "state", 7, self._bytes(), "a fork"))
        return ops + self._put() if self._dice.random() < 0.5 or not ops else ops

    def _bytes(self) -> bytes:
        size = self._dice.choices(_SIZES, _OFTEN)[0]
        return self._dice.randbytes(size // 2).hex().encode()

    def _append(self, name: str, own: OwnRows, node: str) -> list[effects.Store]:
        seq, tip = own.last, own.hash
        rows: list[effects.StoredRow] = []
        for _ in range(self._dice.choice((1, 1, 2, 5, 12))):
            seq += 1
            raw = _row(seq, "number", {"n": self._bytes().decode()})
            if name in CHAINED:
                tip = cursor.chain(tip or cursor.genesis(node, own.epoch, name), raw)
            rows.append((seq, raw, tip))
        return [effects.Rows(name, own.epoch, rows)]

    def _prune(self, name: str, own: OwnRows, node: str) -> list[effects.Store]:
        acked = self._dice.randint(min(own.acked, own.last), own.last)
        ops: list[effects.Store] = [effects.Acked(name, own.epoch, acked)]
        if len(own.rows) > self._dice.randint(3, _KEPT_ROWS):
            ops.append(effects.Trim(name, own.epoch, self._dice.randint(min(own.rows) - 1, own.last)))
        return ops

    def _gap(self, name: str, own: OwnRows, node: str) -> list[effects.Store]:
        seqs = sorted(own.rows)
        if len(seqs) < 4:
            return []
        last = self._dice.choice(seqs[:-1])
        raw = _row(last, cursor.GAP, {"first": seqs[0], "last": last, "count": 1, "reason": "quota"})
        return [effects.Gap(name, own.epoch, seqs[0], last, raw, own.rows[last][1])]

    def _turn(self, name: str, own: OwnRows, node: str) -> list[effects.Store]:
        if not own.rows:
            return []
        former = FormerEpoch(epoch=own.epoch, seq=own.last, hash=own.hash.hex(), reason="told so")
        return [effects.NewEpoch(name, self.mint(), former, min(own.rows) - 1)]

    def _receive(self, child: str, cursors: dict[str, bytes]) -> list[effects.Store]:
        first = int(cursors.get(child, b"0")) + 1
        upto = first + self._dice.choice((0, 1, 3, 9))
        rows = [(seq, self._bytes(), bytes(32), 7, "k", "") for seq in range(first, upto + 1)]
        return [effects.Received(child, "e" * 16, "state", rows), effects.Put("cursor", child, b"%d" % upto)]

    def _put(self) -> list[effects.Store]:
        key = f"k{self._dice.randrange(12)}"
        if self._dice.random() < 0.2:
            return [effects.Delete("work", key)]
        return [effects.Put("work", key, self._bytes()), effects.Put("term", "now", b"%d" % self._dice.randrange(99))]


def _row(seq: int, kind: str, body: dict[str, object]) -> bytes:
    return msgspec.json.encode([seq, 0, kind, "", body])
