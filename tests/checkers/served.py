"""Who is served where, as the disks say: whom nobody promises anything is left out.

Whom an operator revoked, and who has that on its own disk, stays down for good (INVARIANTS C5), though its parent was
restored since to before it said so. Who has it there, and nobody revoked it, is served: it is not where it belongs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from hub.core import registry
from protocol.link import child, parent
from tests.checkers.history import Disk

_decode_child = msgspec.json.Decoder(parent.Record).decode
_decode_node = msgspec.json.Decoder(registry.Node).decode


def by(hub: Disk, disks: Mapping[str, Disk], revoked: Collection[str]) -> list[str]:
    """Return the children of `hub` that are neither revoked nor quarantined, and belong to it still.

    `disks`: those that were read, by node. `revoked`: whom operators have revoked.
    """
    nodes = hub.spaces.get(registry.SPACE, {})
    known = hub.spaces.get(parent.CHILD, {})
    out = {name for name in revoked if name in disks and is_out(disks[name])}
    return [name for name, raw in known.items() if _is_served(raw, nodes.get(name)) and name not in out]


def quarantined(hub: Disk) -> list[str]:
    """Return the children of `hub` that wait for an operator."""
    return [name for name, raw in hub.spaces.get(parent.CHILD, {}).items() if _decode_child(raw).quarantined]


def is_out(own: Disk) -> bool:
    """Tell whether a node has on its disk that it was revoked."""
    return child.REVOKED in own.spaces.get(child.SPACE, {})


def _is_served(raw: bytes, known: bytes | None) -> bool:
    record = _decode_child(raw)
    node = _decode_node(known) if known is not None else None
    return not (record.revoked or record.quarantined or (node is not None and node.moved))
