"""Each declared service is placed as often as it was asked for, over all regions together, and no share counts twice.

Demands, of the disks that are read after Calm: a hub has placed of a counted resource no more than its number, on its
own nodes and as shares of its regions together (of `N per region`: in each); a region that holds the document places
by the share that it was handed, and each of the hub's own nodes that is chosen is asked for it.

Cannot see: whether more would have found room; a resource that a region's operators have overridden, or that the
region refused; regions that are revoked or quarantined.
"""

from __future__ import annotations

import msgspec

from hub.core.down import delegated
from hub.core.work import declared, resources
from protocol import documents
from protocol.link import parent_desired
from tests.checkers import base, served
from tests.checkers.history import Disk

_OVERRIDES = "override"

_decode_resource = msgspec.json.Decoder(declared.Resource).decode
_decode_given = msgspec.json.Decoder(delegated.Given).decode
_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode


class Shares(base.Checker):
    """See the module."""

    rule = "shares"

    def watch(self) -> None:
        """Ask for the disks."""
        self._disks: dict[str, Disk] = {}
        self.on(Disk, self._disk)

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role == "hub" and self.world.calm_at is not None:
            self._disks[fact.node] = fact

    def end(self) -> None:
        """Look at every hub's resources."""
        for hub in self._disks.values():
            for raw in hub.spaces.get(resources.SPACE, {}).values():
                record = _decode_resource(raw)
                if not record.deleted and record.count is not None:
                    self._number(hub, record, record.count)
                    self._asked(hub, record)
                    self._handed(hub, record)

    def _number(self, hub: Disk, record: declared.Resource, count: int) -> None:
        text = f"{hub.node} was asked for {count} of {record.key}"
        most = max(len(record.nodes), *record.shares.values(), 0) if record.per_region else _placed(record)
        self.demand(most <= count, f"{text}{' per region' * record.per_region}, and has placed {most}")

    def _asked(self, hub: Disk, record: declared.Resource) -> None:
        asked = hub.spaces.get(parent_desired.ASKED, {})
        key = _document_id(record)
        for node in record.nodes:
            items = _decode_asked(asked[node]).items if node in asked else {}
            self.demand(key in items, f"{hub.node} has placed {record.key} on {node}, and does not ask it for that")

    def _handed(self, hub: Disk, record: declared.Resource) -> None:
        for name, share in record.shares.items():
            region = self._disks.get(name)
            if region is None or name not in served.by(hub, self._disks, self.world.revoked):
                continue
            text = f"{hub.node} has a share of {share} of {record.key} at {name}"
            given = region.spaces.get(delegated.SPACE, {}).get(record.key)
            if given is None:
                raise self.broken(f"{text}, which holds nothing of it")
            document = _decode_given(given)
            self.demand(document.document.share == share, f"{text}, which holds {document.document.share}")
            stored = region.spaces.get(resources.SPACE, {}).get(record.key)
            if document.refused or record.key in region.spaces.get(_OVERRIDES, {}) or stored is None:
                continue
            placed = _decode_resource(stored)
            self.demand(placed.count == share, f"{text}, which places by a count of {placed.count}")


def _placed(record: declared.Resource) -> int:
    return len(record.nodes) + sum(record.shares.values())


def _document_id(record: declared.Resource) -> str:
    return documents.document_id(documents.decode(bytes(record.document)))
