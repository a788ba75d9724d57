"""Grants: this hub says beforehand where the devices of its child hubs may turn, should one of these be gone for good.

One for each child hub, the same for all its devices: itself, then its siblings, the next ones by name, then this hub. A
grant goes to the hub that it is of, which hands it to each of its devices, and to those that it names, so that they let
in who comes by it. It is said anew, under a higher number, when who is there or where one listens has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.rehome import havens
from protocol import documents, limits
from protocol.effects import Delete, Effects, Put
from protocol.errors import RemoteProtocolError
from protocol.snapshot import Snapshot
from protocol.trust import grants

if TYPE_CHECKING:
    from hub.core.hub import HubCore

GIVEN, HEARD = "grant", "granted"
_PREFIX = "grant/"


class Family:
    """The grants that this hub gave, by child hub, and those that its parent gave, which name it."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(documents.Grant)
        self._given = {hub: decoder.decode(raw) for hub, raw in sorted(snapshot.spaces.get(GIVEN, {}).items())}
        heard = snapshot.spaces.get(HEARD, {}).get("", b"[]")
        self._heard = msgspec.json.decode(heard, type=list[documents.Grant])
        self._havens: dict[str, documents.Haven] = {}
        self._core = core

    # -------------------------------------------------------------------------------------------- as a parent

    def heard(self, hub: str, fx: Effects) -> None:
        """A child reported: if it is a hub that listens elsewhere now, or is new, all grants are looked at."""
        core, node = self._core, self._core.registry.get(hub)
        haven = havens.of(core, hub) if node.kind == "hub" and not node.revoked_ms else None
        if haven is not None and self._havens.get(hub) != haven:
            self._havens[hub] = haven
            self._give(fx)

    def left(self, hub: str, fx: Effects) -> None:
        """A child hub is revoked: nobody turns to it, and nobody comes in by what it certifies."""
        if self._given.pop(hub, None) is not None:
            self._havens.pop(hub, None)
            fx.store.append(Delete(GIVEN, hub))
            self._give(fx)
            for node in self._given:
                self._core.delegate.mark(node)

    def _give(self, fx: Effects) -> None:
        core = self._core
        there = {
            one.name: self._havens.get(one.name) or self._known(one.name)
            for one in core.registry
            if one.kind == "hub" and not one.revoked_ms
        }
        family = {name: haven for name, haven in sorted(there.items()) if haven is not None}
        changed = False
        for name, haven in family.items():
            others = [*(other for other in family if other > name), *(other for other in family if other < name)]
            turns = [haven, *(family[other] for other in others[: limits.HAVENS_MAX - 1])]
            changed |= self._put(name, [*turns, core.haven] if core.haven is not None else turns, fx)
        if changed:
            for name in family:
                core.delegate.mark(name)

    def _known(self, hub: str) -> documents.Haven | None:
        given = self._given.get(hub)
        return given.havens[0] if given is not None else None

    def _put(self, hub: str, turns: list[documents.Haven], fx: Effects) -> bool:
        known = self._given.get(hub)
        if known is not None and (known.havens, known.after_s) == (turns, limits.REHOME_AFTER_S):
            return False
        bare = documents.Grant(
            of=hub,
            scope=turns[0].scope,
            after_s=limits.REHOME_AFTER_S,
            havens=turns,
            number=known.number + 1 if known is not None else 1,
            by=self._core.node,
        )
        given = self._given[hub] = grants.sign(bare, self._core.signer)
        fx.store.append(Put(GIVEN, hub, msgspec.json.encode(given)))
        return True

    # -------------------------------------------------------------------------------------------- as a child

    def wanted(self, items: dict[str, bytes], fx: Effects) -> None:
        """Take the whole of what the parent asks: the grants in it."""
        core, heard = self._core, list[documents.Grant]()
        for item, raw in items.items():
            if item.startswith(_PREFIX):
                try:
                    grant = documents.decode(raw)
                except RemoteProtocolError:
                    continue  # of another version
                if isinstance(grant, documents.Grant):
                    heard.append(grant)
        if heard == self._heard:
            return
        self._heard = heard
        fx.store.append(Put(HEARD, "", msgspec.json.encode(heard)))
        for node in core.registry:
            if node.kind == "agent":
                core.delegate.mark(node.name)

    # -------------------------------------------------------------------------------------------- both

    def items(self, node: str) -> dict[str, bytes]:
        """Return the grants for a child: a hub's are its own and those that name it; a device's is that of this hub."""
        core = self._core
        if core.registry.get(node).kind == "hub":
            mine = [one for one in self._given.values() if any(haven.id == node for haven in one.havens)]
        else:
            mine = [one for one in self._heard if one.of == core.node]
        return {documents.document_id(one): documents.encode(one) for one in mine}

    def by(self, scope: str) -> documents.Grant | None:
        """Return the grant by which a device that stands in `scope` may turn to this hub; None: there is none."""
        mine = self._core.node
        for one in (*self._heard, *self._given.values()):
            if one.scope == scope and one.of != mine and any(haven.id == mine for haven in one.havens):
                return one
        return None
