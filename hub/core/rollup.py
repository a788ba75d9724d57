"""What each node last said of itself, and when: a level, replaced and never appended (INVARIANTS A12).

The link lets only the newest Status through and stores it; here stands what goes with it, in the hub's own time, so
that a node that is away is never just "away": it is away since then, and this is what was last known (B). After a
restart every node is away until it says Hello; but a metered one, whose next contact may be an hour off, is not.
"""

from __future__ import annotations

import msgspec

from protocol import messages, status
from protocol.effects import Effects, Now, Put
from protocol.link.parent import Parent
from protocol.snapshot import Snapshot

SPACE = "seen"


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When one node was last known; milliseconds of the hub's clock."""

    contact_ms: int
    """When anything was last heard; stored with every Hello and Status, and when it went away."""
    since_ms: int
    """When it last became live or away."""
    live: bool = False
    """Whether it was online when this was stored; after a restart of the hub it is away since its last contact."""
    status_ms: int = 0
    version: str = ""
    held: messages.Held = messages.Held()
    heads: dict[str, int] = {}


class Rollup:
    """The last known of every node."""

    def __init__(self, snapshot: Snapshot, parent: Parent) -> None:
        decoder = msgspec.json.Decoder(Seen)
        self._parent = parent
        self._seen: dict[str, Seen] = {}
        self._reports: dict[str, status.Report] = {}
        self._live: dict[str, None] = {}
        for node, raw in snapshot.spaces.get(SPACE, {}).items():
            seen = decoder.decode(raw)
            link = parent.view(node)
            if seen.live and link.quiet:
                self._live[node] = None
            elif seen.live:
                seen = msgspec.structs.replace(seen, since_ms=seen.contact_ms)
            self._seen[node], said = seen, link.status
            self._reports[node] = (_read(said) if said is not None else None) or status.Report()

    # -------------------------------------------------------------------------------------------- reading

    def is_online(self, node: str) -> bool:
        """Tell whether `node` is connected, and was heard within its lease; or is metered, and not overdue."""
        return node in self._live

    def seen(self, node: str) -> Seen | None:
        """Return when `node` was last known; None when it never said Hello."""
        return self._seen.get(node)

    def report(self, node: str) -> status.Report | None:
        """Return what `node` last reported of itself; None when it never said Hello."""
        return self._reports.get(node)

    def contact_ms(self, node: str) -> int:
        """Return when `node` was last heard, 0 for never."""
        link = self._parent.view(node)
        if node in self._live and link.contact_mono:
            return int((link.last_contact_wall or 0.0) * 1000)
        seen = self._seen.get(node)
        return 0 if seen is None else seen.contact_ms

    # -------------------------------------------------------------------------------------------- hearing

    def live(self, node: str, hello: messages.Hello, now: Now, fx: Effects) -> bool:
        """`node` opened a session. Tells whether it was away before."""
        now_ms = int(now.wall * 1000)
        was_online = node in self._live
        self._live[node] = None
        before = self._seen.get(node) or Seen(contact_ms=now_ms, since_ms=now_ms)
        since_ms = before.since_ms if was_online else now_ms
        self._put(
            node,
            msgspec.structs.replace(
                before, contact_ms=now_ms, since_ms=since_ms, live=True, version=hello.version, held=hello.held
            ),
            fx,
        )
        return not was_online

    def away(self, node: str, now: Now, fx: Effects) -> bool:
        """`node` is connected no longer. Tells whether it was."""
        if node not in self._live:
            return False
        contact_ms = self.contact_ms(node)
        del self._live[node]
        since_ms = int(now.wall * 1000)
        seen = msgspec.structs.replace(self._seen[node], contact_ms=contact_ms, since_ms=since_ms, live=False)
        self._put(node, seen, fx)
        return True

    def status(self, node: str, said: messages.Status, now: Now, fx: Effects) -> status.Report | None:
        """Keep a Status; None when its body is no report, and then nothing is known of the node's work."""
        now_ms = int(now.wall * 1000)
        seen = msgspec.structs.replace(
            self._seen[node], contact_ms=now_ms, status_ms=now_ms, held=said.held, heads=said.heads
        )
        self._put(node, seen, fx)
        report = _read(said)
        self._reports[node] = report or status.Report()
        return report

    def carried(
        self, node: str, hello: messages.Hello, said: messages.Status, now: Now, fx: Effects
    ) -> status.Report | None:
        """Keep what a node's bundle says, as `status`. It was last known when it made that, as far as can be known."""
        now_ms = int(now.wall * 1000)
        before = self._seen.get(node) or Seen(contact_ms=0, since_ms=now_ms)
        made_ms = max(before.contact_ms, min(now_ms, said.time_ms))
        known = {"status_ms": made_ms, "version": hello.version, "held": said.held, "heads": said.heads}
        self._put(node, msgspec.structs.replace(before, contact_ms=made_ms, **known), fx)
        report = _read(said)
        self._reports[node] = report or status.Report()
        return report

    def _put(self, node: str, seen: Seen, fx: Effects) -> None:
        self._seen[node] = seen
        self._reports.setdefault(node, status.Report())
        fx.store.append(Put(SPACE, node, msgspec.json.encode(seen)))


def _read(said: messages.Status) -> status.Report | None:
    try:
        return status.decode(bytes(said.body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
