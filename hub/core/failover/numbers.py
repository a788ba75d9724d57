"""The fence of each copy: given before anybody is asked for it, and higher than any before (INVARIANTS A10).

A hub counts its own copies; what the hub above counted goes before that, so that copies of two regions can be compared
(protocol/decisions/0042-fences-of-all-tiers-are-compared.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.failover.book import Books
from protocol import documents, limits
from protocol.effects import Effects
from protocol.errors import RemoteProtocolError

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_PREFIX = "fence/"


class Numbers:
    """Keeps the books in step with where services are: what changed is marked, and gone through some at a time."""

    def __init__(self, core: HubCore, books: Books) -> None:
        self._core = core
        self._books = books
        self._dirty: dict[str, None] = {}
        self._above: dict[str, str] = {}
        """By service: the fence that the hub above gave to what is below this one."""

    def mark(self, key: str) -> None:
        """A resource is not what it was, or not where."""
        if key.startswith("service/"):
            self._dirty[key] = None

    def follow(self, items: dict[str, bytes]) -> None:
        """Take the whole of what the parent asks; where its fence is another one, children are told anew."""
        found = [_read(raw) for item, raw in items.items() if item.startswith(_PREFIX)]
        above = {one.service: one.text for one in found if one is not None}
        changed = sorted(name for name in self._above.keys() | above.keys() if self._above.get(name) != above.get(name))
        self._above = above
        for name in changed:
            for child in self._books.get(f"service/{name}").copies:
                self._core.delegate.mark(child)

    def documents(self, fences: dict[str, int]) -> dict[str, bytes]:
        """Return these fences (by key) as a manifest lists them: document id -> bytes."""
        named = ((key.partition("/")[2], fence) for key, fence in fences.items())
        found = [documents.Fence(service=name, fence=one, above=self._above.get(name, "")) for name, one in named]
        return {documents.document_id(one): documents.encode(one) for one in found}

    @property
    def waits(self) -> bool:
        """Tell whether anything is marked."""
        return bool(self._dirty)

    def some(self, fx: Effects) -> list[str]:
        """Give the copies of some marked services their fences; return the keys."""
        keys = list(self._dirty)[: limits.DELEGATE_NODES_PER_INPUT_MAX]
        for key in keys:
            del self._dirty[key]
            self._number(key, fx)
        return keys

    def _number(self, key: str, fx: Effects) -> None:
        """Forget who is parked and may not stay, and the fence of who is asked no more."""
        core, book = self._core, self._books.get(key)
        record = core.resources.find(key)
        children, stays = set[str](), dict[str, int]()
        if record is not None and record.count is not None and _is_guarded(record.disconnect):
            stays = {child: one.copies for child, one in book.parked.items() if core.resources.may_hold(key, child)}
            children = {*record.nodes, *record.shares, *stays}
        parked = {child: one for child, one in book.parked.items() if child in stays}
        self._books.put(key, msgspec.structs.replace(book, parked=parked), fx)
        touched = self._books.number(key, children, fx)
        for child in (*touched, *(book.copies.keys() - children), *(book.parked.keys() - stays.keys())):
            core.delegate.mark(child)
        if record is None:
            self._books.close(key, fx)


def _read(raw: bytes) -> documents.Fence | None:
    try:
        found = documents.decode(raw)
    except RemoteProtocolError:
        return None  # of another version: without it copies are compared below this hub alone
    return found if isinstance(found, documents.Fence) and len(found.text) <= limits.WORD_CHARS_MAX else None


def _is_guarded(disconnect: documents.Disconnect) -> bool:
    return disconnect.replace_after_s is not None or disconnect.at_most_one
