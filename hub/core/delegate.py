"""What each node is asked to do: its placed resources, its open tasks, requests for overrides, as one manifest.

Changes mark nodes dirty; each input makes at most limits.DELEGATE_NODES_PER_INPUT_MAX manifests and goes on by the
timer (DESIGN 2). The manifest is a level: making it again for a node that is up to date changes nothing, so what was
dirty in a crash is found by marking every node at start. What is placed on a node is stored with its manifest, because
a cordoned node keeps what it has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import msgspec

from hub.core.registry import Registry
from hub.core.work.named import Named
from hub.core.work.releases import Releases
from hub.core.work.resources import Resources
from hub.core.work.tasks import Tasks
from protocol import documents, limits, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.link.parent import Parent
from protocol.snapshot import Snapshot

PLACED = "placed"


class Delegate:
    """The manifests of all nodes, and which of them are to be made again."""

    def __init__(
        self, snapshot: Snapshot, parent: Parent, registry: Registry, resources: Resources, tasks: Tasks
    ) -> None:
        placed = msgspec.json.Decoder(list[str])
        self._placed = {node: placed.decode(raw) for node, raw in snapshot.spaces.get(PLACED, {}).items()}
        self.named = Named(snapshot, registry)
        self.releases = Releases(snapshot)
        self._parent = parent
        self._registry = registry
        self._resources = resources
        self._tasks = tasks
        self._now: dict[str, None] = {}
        self._soon: dict[str, None] = {}
        self._soon_at = math.inf
        self.also: Callable[[str], dict[str, bytes]] = lambda node: {}
        """What a child is asked beside work: document id -> bytes."""

    # -------------------------------------------------------------------------------------------- reading

    def placed(self, node: str) -> list[str]:
        """Return the keys of the resources that `node` was last asked to run."""
        return self._placed.get(node, [])

    def holds(self, key: str) -> Callable[[str], bool]:
        """Return the question whether a child was last asked for the resource `key`."""
        return lambda node: key in self.placed(node)

    def is_settled(self, node: str) -> bool:
        """Tell whether the node's manifest is up to date."""
        return node not in self._now and node not in self._soon

    def needs(self, node: str, artifact: str) -> bool:
        """Tell whether something that is placed on `node` needs `artifact`: what a ticket is given for (C3)."""
        return artifact in self._resources.artifacts_of(self.placed(node))

    # -------------------------------------------------------------------------------------------- marking

    def mark(self, node: str) -> None:
        """`node` is to be asked for something else now."""
        self._now[node] = None
        self._soon.pop(node, None)

    def mark_first(self, nodes: list[str]) -> None:
        """Somebody waits for `nodes`: they go before all others."""
        self._now = dict.fromkeys(nodes) | self._now

    def mark_soon(self, node: str, now: Now) -> None:
        """Something may leave the manifest of `node`; it waits limits.DELEGATE_SETTLE_S for company."""
        if node not in self._now:
            self._soon[node] = None
            self._soon_at = min(self._soon_at, now.mono + limits.DELEGATE_SETTLE_S)

    # -------------------------------------------------------------------------------------------- releases

    def ask_release(self, node: str, document: documents.ReleaseRequest, now: Now, fx: Effects) -> None:
        """Ask the person at `node` for an override back, or for the end of a hold."""
        self.releases.ask(node, document, now, fx)
        self.mark(node)

    def has_releases(self, node: str) -> bool:
        """Tell whether overrides of `node` are asked back."""
        return self.releases.has(node)

    def end_releases(self, node: str, report: status.Report, now: Now, fx: Effects) -> None:
        """Withdraw what is over (override or hold), by a report that saw the present manifest, and what has lapsed."""
        if self.releases.end(node, report, now, fx):
            self.mark_soon(node, now)

    # -------------------------------------------------------------------------------------------- making

    def process(self, now: Now, fx: Effects) -> None:
        """Make some of the manifests that are due."""
        if now.mono >= self._soon_at:
            self._now |= self._soon
            self._soon, self._soon_at = {}, math.inf
        for node in list(itertools.islice(self._now, limits.DELEGATE_NODES_PER_INPUT_MAX)):
            self.make(node, now, fx)

    def make(self, node: str, now: Now, fx: Effects) -> None:
        """Make the manifest of `node` now: before it is asked anew, so that nothing old is asked again."""
        self._now.pop(node, None)
        known = self._registry.get(node)
        if known.revoked_ms or known.moved or known.lodger:
            return
        had = self.placed(node)
        keys = self._resources.wanted(node, had)
        if keys != had:
            self._placed[node] = keys
            fx.store.append(Put(PLACED, node, msgspec.json.encode(keys)))
        self.named.also(node, self._resources.artifacts_of(keys), fx)
        self._parent.set_desired(node, self._items(node, keys), now, fx)

    def _items(self, node: str, keys: list[str]) -> dict[str, bytes]:
        asked = self._resources.items(node, keys) | self._tasks.items(node)
        return asked | self.releases.items(node) | self.also(node)

    def forget(self, node: str, fx: Effects) -> None:
        """`node` is revoked: nothing is asked of it any more, and what was is not kept."""
        self.releases.forget(node, fx)
        if self._placed.pop(node, None) is not None:
            fx.store.append(Delete(PLACED, node))

    def next_wake(self, now: Now) -> float:
        """Return the mono time at which manifests are due."""
        return now.mono if self._now else self._soon_at
