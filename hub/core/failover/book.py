"""What is kept of the copies of each service: their fences, and those that are parked (hub.core.failover.rules)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocol import limits
from protocol.effects import Delete, Effects, Put
from protocol.snapshot import Snapshot

SPACE = "failover"
_FLOOR = ""
"""The key of what stands for all that have no book."""


class Parked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A copy whose child was not heard for long. `by`: how many copies which children have taken over.

    `kept`: it was heard again, and stays beside them (keep_both).
    """

    copies: int = 1
    by: dict[str, int] = {}
    since_ms: int = 0
    kept: bool = False


class Book(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one service (space `failover`, under its key). `fence` is the highest so far; it survives a deletion (A10):
    the book of what is deleted goes, and every service without one begins above the highest of those (the floor)."""

    fence: int = 0
    copies: dict[str, int] = {}
    """The fence of each copy that is asked for, by child."""
    parked: dict[str, Parked] = {}


class Books:
    """All of them by key."""

    def __init__(self, snapshot: Snapshot) -> None:
        decoder = msgspec.json.Decoder(Book)
        self._all = {key: decoder.decode(raw) for key, raw in snapshot.spaces.get(SPACE, {}).items()}
        self._floor = self._all.pop(_FLOOR, Book())
        self._concerned: dict[str, set[str]] = {}
        for key, book in self._all.items():
            self._index(key, book)

    def get(self, key: str) -> Book:
        """Return the book of `key`; one with the floor alone when there is none."""
        return self._all.get(key, self._floor)

    def concerned(self, child: str) -> list[str]:
        """Return the keys where `child` is parked, or has taken over for one that is."""
        return sorted(self._concerned.get(child, ()))

    def put(self, key: str, book: Book, fx: Effects) -> None:
        """Keep `book`; nothing happens when it is what stands there."""
        before = self.get(key)
        if book == before:
            return
        for child in _children(before):
            self._concerned[child].discard(key)
        self._all[key] = book
        self._index(key, book)
        fx.store.append(Put(SPACE, key, msgspec.json.encode(book)))

    def number(self, key: str, children: Iterable[str], fx: Effects) -> list[str]:
        """Give each of `children` its fence, and forget all others; return those that got a new one."""
        book, copies, new = self.get(key), dict[str, int](), list[str]()
        fence = book.fence
        for child in sorted(children):
            if child not in book.copies:
                fence += 1
                new.append(child)
            copies[child] = book.copies.get(child, fence)
        self.put(key, msgspec.structs.replace(book, fence=fence, copies=copies), fx)
        return new

    def raise_to(self, key: str, fence: int, fx: Effects) -> None:
        """A child names a fence beyond ours: this hub was restored, and the next one goes beyond it too (A17).

        Of what has no book the floor rises: whatever names a child invents, they are not kept.
        """
        if not self.get(key).fence < fence <= limits.FENCE_SAID_MAX:
            return
        if key in self._all:
            self.put(key, msgspec.structs.replace(self._all[key], fence=fence), fx)
        else:
            self._raise_floor(fence, fx)

    def close(self, key: str, fx: Effects) -> None:
        """The service is deleted, and no copy of it is asked for any more: its highest fence goes into the floor."""
        book = self._all.pop(key, None)
        if book is not None:
            assert not book.copies, f"{key} has copies"
            assert not book.parked, f"{key} has parked copies"
            fx.store.append(Delete(SPACE, key))
            self._raise_floor(book.fence, fx)

    def _raise_floor(self, fence: int, fx: Effects) -> None:
        if fence > self._floor.fence:
            self._floor = Book(fence=fence)
            fx.store.append(Put(SPACE, _FLOOR, msgspec.json.encode(self._floor)))

    def _index(self, key: str, book: Book) -> None:
        for child in _children(book):
            self._concerned.setdefault(child, set()).add(key)


def _children(book: Book) -> set[str]:
    return {child for name, one in book.parked.items() for child in (name, *one.by)}
