"""Overrides that the owner of a document asks back from the regions below: asked, handed on, ended there, once.

A Recall names one override, by the moment it began: another one that stands there by then is a decision that nobody
above has seen, and it stays (B). So it is a level like all that is asked: it reaches a region at its next contact, and
changes nothing a second time. It leaves the manifests when a region that has seen it reports that override no longer;
who asked, why, and what came of it stand in the audit of both hubs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.hearing import child_of
from protocol import documents, limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.errors import RemoteProtocolError
from protocol.link.roster.brief import OverrideMark
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SPACE = "recall"
_PREFIX = "recall/"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One recall for a hub below this one. `own`: asked here, else by a hub above; `until_ms`: nobody waits longer."""

    document: documents.Recall
    own: bool
    until_ms: int


class Recalls:
    """What is asked back of the regions below, by the id of its document."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(Asked)
        self._all = {item: decoder.decode(raw) for item, raw in sorted(snapshot.spaces.get(SPACE, {}).items())}
        self._core = core

    def find(self, key: str, at: str, since_ms: int) -> documents.Recall | None:
        """Return the recall of one override of `key`, at the hub `at` below this one."""
        asked = self._all.get(_item(key, at))
        return asked.document if asked is not None and asked.document.since_ms == since_ms else None

    def items(self, child: str) -> dict[str, bytes]:
        """Return the documents for the child hub `child`, each with the address as it is below that."""
        found = (asked.document for asked in self._all.values() if child_of(asked.document.at) == child)
        told = [msgspec.structs.replace(one, at=one.at.partition("/")[2]) for one in found]
        return {documents.document_id(one): documents.encode(one) for one in told}

    # -------------------------------------------------------------------------------------------- asking

    def ask(self, document: documents.Recall, now: Now, fx: Effects) -> None:
        """Ask for one override back from now on."""
        until_ms = int((now.wall + limits.OVERRIDE_S_MAX) * 1000)
        self._put(Asked(document=document, own=True, until_ms=until_ms), fx)

    def standing(self, key: str, at: str) -> OverrideMark | None:
        """Return the override of `key` that the hub `at` is known to have, if it has one."""
        child, _, below = at.partition("/")
        marks = self._core.subtree.region(child).marks
        return next((one for one in marks if (one.what, one.at, one.decision) == (key, below, "overridden")), None)

    # -------------------------------------------------------------------------------------------- from above

    def wanted(self, items: dict[str, bytes], now: Now, fx: Effects) -> None:
        """Take the whole of what the parent asks: end what is asked back here, hand on the rest."""
        told = [_read(item, raw) for item, raw in items.items() if item.startswith(_PREFIX)]
        further = {documents.document_id(one): one for one in told if one is not None and one.at}
        for item in [item for item, asked in self._all.items() if not asked.own and item not in further]:
            self._drop(item, fx)
        for item, one in further.items():
            known = self._all.get(item)
            if known is None or known.document != one:
                self._put(Asked(document=one, own=False, until_ms=limits.INTEGER_MAX), fx)
        for one in told:
            if one is not None and not one.at:
                self._give_back(one, now, fx)

    def _give_back(self, one: documents.Recall, now: Now, fx: Effects) -> None:
        key = f"{one.kind}/{one.name}"
        held = next((one for one in self._core.overrides.all() if one.key == key), None)
        if held is not None and held.since_ms == one.since_ms:
            self._core.overrides.over(key, f"released by {one.by} at {one.owner}: {one.reason}", now, fx)

    # -------------------------------------------------------------------------------------------- what came of it

    def heard(self, child: str, now: Now, fx: Effects) -> None:
        """A child that has seen all that is asked of it reports: forget what it has done."""
        report = self._core.subtree.region(child)
        is_whole = len(report.marks) == report.overrides
        for item, asked in list(self._all.items()):
            one = asked.document
            if not asked.own or child_of(one.at) != child:
                continue
            mark = self.standing(f"{one.kind}/{one.name}", one.at)
            is_over = mark.since_ms != one.since_ms if mark is not None else is_whole
            if is_over or now.wall * 1000 >= asked.until_ms:
                self._drop(item, fx)
                kind = "override.given-back" if mark is None else "override.kept"
                said = {"who": one.by, "at": one.at, "reason": one.reason, "since_ms": one.since_ms}
                self._core.streams.audit(kind, f"{one.kind}/{one.name}", said, now, fx)

    def _put(self, asked: Asked, fx: Effects) -> None:
        item = documents.document_id(asked.document)
        self._all[item] = asked
        fx.store.append(Put(SPACE, item, msgspec.json.encode(asked)))
        self._changed(asked.document, fx)

    def _drop(self, item: str, fx: Effects) -> None:
        asked = self._all.pop(item)
        fx.store.append(Delete(SPACE, item))
        self._changed(asked.document, fx)

    def _changed(self, one: documents.Recall, fx: Effects) -> None:
        fx.act.append(inputs.Notify(topic=f"resource/{one.kind}/{one.name}"))
        if self._core.registry.find(child_of(one.at)) is not None:
            self._core.delegate.mark(child_of(one.at))


def _item(key: str, at: str) -> str:
    return f"{_PREFIX}{key}/{at}"


def _read(item: str, raw: bytes) -> documents.Recall | None:
    """Return the recall in `raw` if it is that of `item`; what cannot be read asks for nothing."""
    try:
        document = documents.decode(raw)
    except RemoteProtocolError:
        return None
    return document if isinstance(document, documents.Recall) and documents.document_id(document) == item else None
