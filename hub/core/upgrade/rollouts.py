"""Upgrades at this hub: given to its own nodes wave by wave (waves).

Who has one is stored; how each node is comes with its Status, and is looked at a moment later and for all of them
together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from hub.core.upgrade import standing, waves
from hub.core.upgrade.waves import Rollout
from hub.core.upgrade.word import KIND, Word
from hub.core.work.declared import Resource
from protocol import documents, limits, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SPACE = "rollout"


class Rollouts:
    """All of them, by key."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core
        self.word = Word(snapshot, core)
        decoder = msgspec.json.Decoder(Rollout)
        self._all = {key: decoder.decode(raw) for key, raw in snapshot.spaces.get(SPACE, {}).items()}
        self._given = {key: frozenset(one.given) for key, one in self._all.items()}
        self._gone: dict[str, float] = {}  # since when (mono) nodes are not heard
        self._said: dict[str, object] = {}
        self._began, self._due = 0.0, math.inf
        core.resources.withheld = self._withheld

    def start(self, now: Now) -> None:
        """A life begins: nobody is heard yet."""
        self._began = now.mono
        self._due = now.mono if self._core.resources.records(KIND) else math.inf

    # -------------------------------------------------------------------------------------------- reading

    def of(self, record: Resource) -> tuple[documents.Upgrade, Rollout, list[str]]:
        """Return the document, how far it is, and the nodes of this hub that a package of it is for, in their order."""
        document, known = self._document(record.key), self._all.get(record.key)
        rollout = known if known is not None and known.number == document.number else Rollout(number=document.number)
        nodes = [name for name in self._placed(record) if standing.fitting(self._core, name, document) is not None]
        return document, rollout, sorted(nodes, key=lambda name: documents.digest_of(f"{record.key}|{name}".encode()))

    def unfit(self, record: Resource) -> list[str]:
        """Return the nodes of this hub that are selected, and that no package is for."""
        document = self._document(record.key)
        return [name for name in self._placed(record) if standing.fitting(self._core, name, document) is None]

    def _placed(self, record: Resource) -> list[str]:
        only = frozenset(self._document(record.key).only)
        placed = self._core.resources.placed_on(record.key, self._core.delegate.holds(record.key))
        return [name for name in placed if not only or name in only]

    def _document(self, key: str) -> documents.Upgrade:
        document = self._core.resources.compiled(key)
        assert isinstance(document, documents.Upgrade)
        return document

    def state(self, name: str, document: documents.Upgrade, now: Now) -> str:
        """Return how a node that has `document` is, in the words of waves."""
        return standing.state(self._core, name, document, is_silent=now.mono >= self._silent_at(name, document))

    def _silent_at(self, name: str, document: documents.Upgrade) -> float:
        return self._gone.get(name, self._began) + document.confirm_s + limits.UPGRADE_SILENT_S

    def _withheld(self, key: str, node: str) -> bool:
        if not key.startswith(f"{KIND}/") or self._core.registry.get(node).kind == "hub":
            return False
        known = self._all.get(key)
        return known is None or known.number != self._document(key).number or node not in self._given[key]

    # -------------------------------------------------------------------------------------------- going on

    def away(self, node: str, now: Now) -> None:
        """`node` is not heard any more."""
        self._gone.setdefault(node, now.mono)
        self.look(now)

    def heard(self, node: str, now: Now) -> None:
        """`node` is live."""
        self._gone.pop(node, None)
        self.look(now)

    def said(self, node: str, report: status.Report, now: Now) -> None:
        """`node` has said how it is; most of it is none of our business."""
        said = report.upgrade, report.hold is None
        if self._said.get(node) != said:
            self._said[node] = said
            self.look(now)

    def look(self, now: Now) -> None:
        """Something is not what it was."""
        if self._all:
            self._due = min(self._due, now.mono + limits.UPGRADE_SETTLE_S)

    def declared(self, key: str, now: Now) -> None:
        """A resource is in force that was not, or is another."""
        if key.startswith(f"{KIND}/"):
            self._due = now.mono

    def tick(self, now: Now, fx: Effects) -> None:
        """Look at all of them, when it is time."""
        if now.mono < self._due:
            return
        self._due = math.inf
        records = {record.key: record for record in self._core.resources.records(KIND)}
        for key in self._all.keys() - records.keys():
            del self._all[key], self._given[key]
            fx.store.append(Delete(SPACE, key))
        for record in records.values():
            self._step(record, now, fx)

    def _step(self, record: Resource, now: Now, fx: Effects) -> None:
        core = self._core
        document, before, nodes = self.of(record)
        spec = msgspec.json.decode(record.spec)["spec"]
        states = {name: self.state(name, document, now) for name in {*before.given}.intersection(nodes)}
        online = [name for name in nodes if core.rollup.is_online(name)]
        after = waves.step(before, spec.get("waves", ["all"]), spec.get("stop_after", 0), nodes, states, online)
        for name, state in states.items():
            if state == waves.PENDING and not core.rollup.is_online(name):
                self._due = min(self._due, max(self._silent_at(name, document), now.mono + limits.UPGRADE_SETTLE_S))
        if after == self._all.get(record.key):
            return
        self._all[record.key], self._given[record.key] = after, frozenset(after.given)
        fx.store.append(Put(SPACE, record.key, msgspec.json.encode(after)))
        if (after.wave, after.stopped) != (before.wave, before.stopped) or not before.given:
            given, why = len(after.given), after.stopped
            said = {"version": document.version, "wave": after.wave + 1, "given": given, "why": why}
            core.streams.audit("upgrade.stopped" if after.stopped else "upgrade.wave", record.key, said, now, fx)
        for name in {*before.given} ^ {*after.given}:
            core.delegate.mark(name)

    def next_wake(self) -> float:
        """Return the mono time at which `tick` is due."""
        return self._due
