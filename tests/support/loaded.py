"""What was loaded before in this process: a core is a function of its store and of what it is told when it is made.

The beginnings that fixtures tell are the same in test after test, byte by byte. To load each such store once checks as
much as to load it each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from hub.core.hub import HubConfig, HubCore
from protocol.snapshot import Snapshot

_met: set[int] = set()
_shown: dict[int, bytes] = {}


def check(snapshot: Snapshot, config: HubConfig) -> None:
    """Load a core from `snapshot`, unless it was done before: what is stored can always be loaded."""
    one = _sum(snapshot, config)
    if one not in _met:
        HubCore(snapshot, config)
        _met.add(one)


def compare(core: HubCore, snapshot: Snapshot, config: HubConfig, show: Callable[[HubCore], dict[str, Any]]) -> None:
    """Assert that a core loaded from `snapshot` shows what `core` does. `show` is the same in each call."""
    one = _sum(snapshot, config)
    shown = show(core)
    if _shown.get(one) != _digest(shown):
        again = show(HubCore(snapshot, config))
        assert again == shown
        _shown[one] = _digest(again)


def _sum(snapshot: Snapshot, config: HubConfig) -> int:
    """Return a number that stands for all of a store, its values in their order, and for what differs between tests in
    `config`: keys follow from names."""
    spaces = tuple((space, tuple(values.items())) for space, values in snapshot.spaces.items())
    told = (config.node, config.parent, config.relay_bytes, repr(config.haven), snapshot.clean)
    return hash((spaces, msgspec.json.encode(snapshot.streams), told))


def _digest(shown: dict[str, Any]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(shown, order="sorted")).digest()
