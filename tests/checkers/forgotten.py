"""Epochs that a hub knows no more, as newer ones took their room: what of that the disks of its child hub can tell."""

from __future__ import annotations

import msgspec

from protocol.link import parent_entries
from protocol.link.relay import records
from tests.checkers import world
from tests.checkers.history import Disk

Origin = tuple[str, str, str]
"""(node, epoch, stream)."""

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_origin = msgspec.json.Decoder(records.Record).decode


def before(child: Disk, key: Origin) -> tuple[str, set[str]]:
    """Return the address, below `child`, of whom it holds in `key`, and the epochs that it had there before."""
    node, epoch, stream = key
    raw = child.spaces.get(parent_entries.CURSOR, {}).get(f"{node}/{stream}")
    held = _decode_cursor(raw) if raw is not None else None
    if held is not None and held.epoch == epoch:
        return node, {one.epoch for one in held.former}
    known = _of(child, node, stream)
    its = known[epoch]
    return its.at, {name for name, one in known.items() if one.at == its.at and one.since < its.since}


def known(hub: Disk, key: Origin, at: str) -> list[str]:
    """Return the epochs of the same stream that `hub` knows; `at`: at this address alone, unless it is empty."""
    node, _, stream = key
    return [name for name, one in _of(hub, node, stream).items() if at in ("", one.at)]


def _of(hub: Disk, node: str, stream: str) -> dict[str, records.Record]:
    found = {world.origin(name): raw for name, raw in hub.spaces.get(records.ORIGIN, {}).items()}
    return {key[1]: _decode_origin(raw) for key, raw in found.items() if (key[0], key[2]) == (node, stream)}
