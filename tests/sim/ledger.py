"""The one check that the simulator brings along: what producers were told is kept, arrived, and arrived once.

The rules of INVARIANTS.md have their checkers in tests.checkers, for real histories too. This one knows of the world
what they cannot: which disks were taken away or overwritten, and with them what nobody can give back.
"""

from __future__ import annotations

import msgspec

from hub.core.up import held
from protocol.link import cursor
from protocol.link.relay import records
from protocol.messages import Entry
from tests.checkers import history, served
from tests.checkers.history import AnyFact, Broken
from tests.checkers.world import World

_LOSING = frozenset({"restore", "clone", "corrupt", "lost", "aside", "poison"})
_entries = msgspec.json.Decoder(Entry)


class Ledger:
    """Feed it all facts; `end` judges."""

    def __init__(self, world: World) -> None:
        """`world`: what the checkers know of it."""
        self._world = world
        self.tried: dict[str, str] = {}
        self.kept: dict[str, str] = {}
        self._excused: set[str] = set()
        self._at_home: set[str] = set()
        self._arrived: dict[str, dict[str, int]] = {}
        """Item -> how often it stands at each hub."""
        self._children: dict[str, list[str]] = {}
        self._declared: set[tuple[str, str]] = set()
        """(node, stream) of which a GAP stands where it can be told; which rows it covers tests.checkers judge."""

    def feed(self, fact: AnyFact) -> None:
        """Take the next fact."""
        match fact:
            case history.Tried(stream=stream, item=item):
                self.tried[item] = stream
            case history.Kept(item=item, node=node):
                self.kept[item] = node
            case history.Fault(kind=kind, node=node) if kind in _LOSING:
                self._excused.add(history.identity(node))
            case history.Disk(entries=entries, own=own, node=node, spaces=spaces) as disk:
                self._children[node] = served.by(disk, {}, ())
                if node in self._world.revoked:  # what it says at home is all that it can say
                    self._at_home.update(_item(row.raw) for row in own)
                    self._declare(own)
                self._declare(entries)
                self._held_back(spaces)
                for row in entries:
                    item = _item(row.raw)
                    if item:
                        found = self._arrived.setdefault(item, {})
                        found[node] = found.get(node, 0) + 1
            case _:
                pass

    def _declare(self, rows: list[history.Row]) -> None:
        self._declared.update((row.node, row.stream) for row in rows if cursor.decode_gap(row.raw) is not None)

    def _held_back(self, spaces: dict[str, dict[str, bytes]]) -> None:
        """What is listed as missing above is shown there, and a hub has still to tell what it holds back; the
        checkers judge whether it may be."""
        for key, raw in spaces.get(records.ORIGIN, {}).items():
            if msgspec.json.decode(raw, type=records.Record).missing:
                node, _, stream = key.split("/")
                self._declared.add((node, stream))
        for raw in spaces.get(held.SPACE, {}).values():
            one = msgspec.json.decode(raw, type=held.Range)
            self._declared.add((one.at.rpartition("/")[2], one.stream))

    def end(self) -> dict[str, int]:
        """Return how many items were judged. Raises Broken."""
        for item, node in self.kept.items():
            stream, node = self.tried[item], history.identity(node)
            declared = (node, stream) in self._declared
            lossy = stream not in ("audit", "state") or node in self._excused or declared
            missing = self._above(node) - self._arrived.get(item, {}).keys()
            if missing and item not in self._at_home and not lossy:
                raise Broken("A1", f"{item} on {self.tried[item]} was kept, and never arrived at {sorted(missing)[0]}")
        for item, found in self._arrived.items():
            times = max(found.values())
            node = history.identity(item.partition("/")[0])
            unproven = self.tried.get(item) not in ("audit", "state") and node in self._excused  # no chain to go by
            if times > 1 and not unproven:
                raise Broken("A4", f"{item} arrived {times} times")
        return {"ledger": len(self.kept)}

    def _above(self, node: str) -> set[str]:
        """Return the hubs above `node`, and above all that it ever belonged to, up to one that is revoked."""
        homes = self._world.homes.get(node, set())
        return self._over(node).intersection(*({home, *self._over(home)} for home in homes))

    def _over(self, node: str) -> set[str]:
        """Return the hubs above `node`, up to the root, or to one that is revoked: it is heard no more."""
        above: set[str] = set()
        revoked = self._world.revoked
        while node not in revoked:
            home = next((hub for hub, children in self._children.items() if node in children), "")
            if not home:
                break
            above.add(home)
            node = home
        return above


def _item(raw: bytes) -> str:
    if b'"app.' not in raw:
        return ""
    return msgspec.json.decode(_entries.decode(raw).body).get("item", "")
