"""Overrides that the owner of a document asks back from the regions below: asked, handed on, ended there, once.

A Recall names one override, by the moment it began: another one that stands there by then is a decision that nobody
above has seen, and it stays (B). So it is a level like all that is asked: it reaches a region at its next contact, and
changes nothing a second time. It leaves the manifests when a region that has seen it reports that override no longer;
who asked, why, and what came of it stand in the audit of both hubs (hub.core.down.asked_back).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.down import asked_back
from hub.core.down.asked_back import Asked
from hub.core.hearing import child_of
from protocol import documents, limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.roster.brief import OverrideMark
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SPACE = "recall"


class Recalls:
    """What is asked back of the regions below: by the child hub that is told, by the id of its document."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._of: dict[str, dict[str, Asked]] = {}
        for _, raw in sorted(snapshot.spaces.get(SPACE, {}).items()):
            self._note(msgspec.json.decode(raw, type=Asked))
        self._core = core

    def find(self, key: str, at: str, since_ms: int) -> documents.Recall | None:
        """Return the recall of one override of `key`, at the hub `at` below this one."""
        asked = self._of.get(child_of(at), {}).get(asked_back.item(key, at))
        return asked.document if asked is not None and asked.document.since_ms == since_ms else None

    def items(self, child: str) -> dict[str, bytes]:
        """Return the documents for the child hub `child`, each with the address as it is below that."""
        found = (asked.document for asked in self._of.get(child, {}).values())
        told = [msgspec.structs.replace(one, at=one.at.partition("/")[2]) for one in found]
        return {documents.document_id(one): documents.encode(one) for one in told}

    # -------------------------------------------------------------------------------------------- asking

    def ask(self, document: documents.Recall, life_ms: int, now: Now, fx: Effects) -> None:
        """Ask for one override back from now on; it is over by itself at `life_ms`."""
        until_ms = int((now.wall + limits.OVERRIDE_S_MAX) * 1000)
        self._put(Asked(document=document, own=True, until_ms=until_ms, life_ms=life_ms), fx)

    def standing(self, key: str, at: str) -> OverrideMark | None:
        """Return the override of `key` that the hub `at` is known to have, if it has one."""
        child, _, below = at.partition("/")
        marks = self._core.subtree.region(child).marks
        return next((one for one in marks if (one.what, one.at, one.decision) == (key, below, "overridden")), None)

    # -------------------------------------------------------------------------------------------- from above

    def wanted(self, items: dict[str, bytes], now: Now, fx: Effects) -> None:
        """Take the whole of what the parent asks: end what is asked back here, hand on the rest."""
        told = [asked_back.read(item, raw) for item, raw in items.items() if item.startswith(asked_back.PREFIX)]
        further = {documents.document_id(one): one for one in told if one is not None and one.at}
        handed_on = [asked.document for of in self._of.values() for asked in of.values() if not asked.own]
        for one in handed_on:
            if documents.document_id(one) not in further:
                self._drop(one, fx)
        for item, one in further.items():
            known = self._of.get(child_of(one.at), {}).get(item)
            if known is None or known.document != one:
                self._put(Asked(document=one, own=False, until_ms=limits.INTEGER_MAX), fx)
        for one in told:
            if one is not None and not one.at:
                self._give_back(one, now, fx)

    def _give_back(self, one: documents.Recall, now: Now, fx: Effects) -> None:
        key = f"{one.kind}/{one.name}"
        held = self._core.overrides.by_key.get(key)
        if held is not None and held.since_ms == one.since_ms:
            self._core.overrides.over(key, f"released by {one.by} at {one.owner}: {one.reason}", now, fx)

    # -------------------------------------------------------------------------------------------- what came of it

    def heard(self, child: str, now: Now, fx: Effects) -> None:
        """A child that has seen all that is asked of it reports: forget what it has done."""
        if child not in self._of:
            return
        report = self._core.subtree.region(child)
        is_whole = len(report.marks) == report.overrides
        for asked in [asked for asked in self._of[child].values() if asked.own]:
            one = asked.document
            mark = self.standing(f"{one.kind}/{one.name}", one.at)
            came, why = asked_back.came_of(asked, mark, is_whole, int(now.wall * 1000))
            if came:
                self._end(one, came, why, now, fx)

    def forget(self, child: str, why: str, now: Now, fx: Effects) -> None:
        """`child` is not below this hub any more: nothing is asked of it, or of who is below it."""
        for asked in list(self._of.get(child, {}).values()):
            if asked.own:
                self._end(asked.document, "over", why, now, fx)
            else:
                self._drop(asked.document, fx)

    def _end(self, one: documents.Recall, came: str, why: str, now: Now, fx: Effects) -> None:
        self._drop(one, fx)
        said = {"who": one.by, "at": one.at, "reason": one.reason, "since_ms": one.since_ms}
        self._core.streams.audit(
            f"override.{came}", f"{one.kind}/{one.name}", said | ({"why": why} if why else {}), now, fx
        )

    def _note(self, asked: Asked) -> None:
        one = asked.document
        self._of.setdefault(child_of(one.at), {})[documents.document_id(one)] = asked

    def _put(self, asked: Asked, fx: Effects) -> None:
        self._note(asked)
        fx.store.append(Put(SPACE, documents.document_id(asked.document), msgspec.json.encode(asked)))
        self._changed(asked.document, fx)

    def _drop(self, one: documents.Recall, fx: Effects) -> None:
        item, child = documents.document_id(one), child_of(one.at)
        del self._of[child][item]
        if not self._of[child]:
            del self._of[child]
        fx.store.append(Delete(SPACE, item))
        self._changed(one, fx)

    def _changed(self, one: documents.Recall, fx: Effects) -> None:
        fx.act.append(inputs.Notify(topic=f"resource/{one.kind}/{one.name}"))
        if self._core.registry.find(child_of(one.at)) is not None:
            self._core.delegate.mark(child_of(one.at))
