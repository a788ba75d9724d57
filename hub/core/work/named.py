"""Which artifacts the manifests name that each node was asked for and may still hold: of a node that is away, all since
it was last heard. Kept, so that a hub that restarts knows what a device may still come for."""

from __future__ import annotations

import msgspec

from hub.core.registry import Registry
from protocol.effects import Delete, Effects, Put
from protocol.snapshot import Snapshot

SPACE = "named"


class Named:
    """Digests by node; a node that may ask for none is not in it."""

    def __init__(self, snapshot: Snapshot, registry: Registry) -> None:
        decoder = msgspec.json.Decoder(list[str])
        self._of = {node: set(decoder.decode(raw)) for node, raw in snapshot.spaces.get(SPACE, {}).items()}
        self._registry = registry

    def __contains__(self, node: str) -> bool:
        return node in self._of

    def all(self) -> set[str]:
        """Return what any node may still ask for; a revoked one may not (C5)."""
        found: set[str] = set()
        for node, digests in self._of.items():
            known = self._registry.find(node)
            if known is not None and not known.revoked_ms:
                found |= digests
        return found

    def also(self, node: str, digests: list[str], fx: Effects) -> None:
        """`node` is asked for a manifest that names `digests`; it may still hold an older one."""
        self._set(node, self._of.get(node, set()) | set(digests), fx)

    def only(self, node: str, digests: list[str], fx: Effects) -> None:
        """`node` holds a manifest that names `digests`, and none older."""
        self._set(node, set(digests), fx)

    def _set(self, node: str, digests: set[str], fx: Effects) -> None:
        if digests == self._of.get(node, set()):
            return
        if digests:
            self._of[node] = digests
            fx.store.append(Put(SPACE, node, msgspec.json.encode(sorted(digests))))
        else:
            del self._of[node]
            fx.store.append(Delete(SPACE, node))
