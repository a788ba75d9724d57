"""What each node last said of itself, and when: a level, replaced and never appended (INVARIANTS A12).

The link lets only the newest Status through; here it is kept over restarts of the hub, so that a node that is away is
never just "away": it is away since then, and this is what was last known (B). Live or away itself is not stored: after
a restart every node is away until it says Hello, since its last contact.
"""

from __future__ import annotations

import math

import msgspec

from protocol import limits, messages, status
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE = "seen"
LEASE_S = limits.CONTACT_EVERY_S * limits.CONTACT_MISSES_MAX


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last known of one node; milliseconds of the hub's clock, `time_ms` of the device's."""

    contact_ms: int
    """When anything was last heard; stored with every Hello, Status and Bye."""
    since_ms: int
    """When it last became live or away."""
    version: str = ""
    held: messages.Held = messages.Held()
    heads: dict[str, int] = {}
    status_ms: int = 0
    time_ms: int = 0
    report: msgspec.Raw = msgspec.Raw(b"{}")


class _Live(msgspec.Struct, kw_only=True):
    """A node that is connected; `contact` is mono time, `contact_ms` wall time of the last message."""

    contact: float
    contact_ms: int


class Rollup:
    """The last known of every node."""

    def __init__(self, snapshot: Snapshot) -> None:
        decoder = msgspec.json.Decoder(Seen)
        self._seen = {node: decoder.decode(raw) for node, raw in snapshot.spaces.get(SPACE, {}).items()}
        self._reports = {node: status.decode(seen.report) for node, seen in self._seen.items()}
        self._live: dict[str, _Live] = {}
        self._sweep_at = math.inf
        for node, seen in self._seen.items():
            self._seen[node] = msgspec.structs.replace(seen, since_ms=seen.contact_ms)

    # -------------------------------------------------------------------------------------------- reading

    def is_online(self, node: str) -> bool:
        """Tell whether `node` is connected and was heard within its lease."""
        return node in self._live

    def seen(self, node: str) -> Seen | None:
        """Return what was last known of `node`; None when it never said Hello."""
        return self._seen.get(node)

    def report(self, node: str) -> status.Report | None:
        """Return what `node` last reported of itself; None when it never said Hello."""
        return self._reports.get(node)

    def contact_ms(self, node: str) -> int:
        """Return when `node` was last heard, 0 for never."""
        live = self._live.get(node)
        if live is not None:
            return live.contact_ms
        seen = self._seen.get(node)
        return 0 if seen is None else seen.contact_ms

    # -------------------------------------------------------------------------------------------- hearing

    def heard(self, node: str, now: Now) -> None:
        """Anything came from `node`; called for every message."""
        live = self._live.get(node)
        if live is not None:
            live.contact, live.contact_ms = now.mono, int(now.wall * 1000)

    def live(self, node: str, hello: messages.Hello, now: Now, fx: Effects) -> None:
        """`node` opened a session."""
        now_ms = int(now.wall * 1000)
        before = self._seen.get(node)
        since = before.since_ms if before is not None and node in self._live else now_ms
        self._live[node] = _Live(contact=now.mono, contact_ms=now_ms)
        self._sweep_at = min(self._sweep_at, now.mono + LEASE_S)
        base = before or Seen(contact_ms=now_ms, since_ms=now_ms)
        seen = msgspec.structs.replace(base, contact_ms=now_ms, since_ms=since, version=hello.version, held=hello.held)
        self._put(node, seen, fx)

    def away(self, node: str, now: Now, fx: Effects) -> bool:
        """`node` is connected no longer. Tells whether it was."""
        live = self._live.pop(node, None)
        if live is None:
            return False
        since = int(now.wall * 1000)
        self._put(node, msgspec.structs.replace(self._seen[node], contact_ms=live.contact_ms, since_ms=since), fx)
        return True

    def status(self, node: str, said: messages.Status, now: Now, fx: Effects) -> status.Report:
        """Keep a Status. Raises msgspec.DecodeError when its body is no report; then the former one stays."""
        report = status.decode(said.body)
        now_ms = int(now.wall * 1000)
        before = self._seen.get(node) or Seen(contact_ms=now_ms, since_ms=now_ms)
        seen = msgspec.structs.replace(
            before,
            contact_ms=now_ms,
            held=said.held,
            heads=said.heads,
            status_ms=now_ms,
            time_ms=said.time_ms,
            report=said.body,
        )
        self._reports[node] = report
        self._put(node, seen, fx)
        return report

    def _put(self, node: str, seen: Seen, fx: Effects) -> None:
        self._seen[node] = seen
        self._reports.setdefault(node, status.Report())
        fx.store.append(Put(SPACE, node, msgspec.json.encode(seen)))

    # -------------------------------------------------------------------------------------------- leases

    def overdue(self, now: Now) -> list[str]:
        """Return the connected nodes that were not heard for a whole lease."""
        if now.mono < self._sweep_at:
            return []
        silent = [node for node, live in self._live.items() if now.mono >= live.contact + LEASE_S]
        rest = [live.contact + LEASE_S for node, live in self._live.items() if node not in silent]
        self._sweep_at = max(min(rest, default=math.inf), now.mono + 1.0)
        return silent

    def next_wake(self) -> float:
        """Return the mono time at which the next lease may end."""
        return self._sweep_at
