"""What a hub relays: each entry stands at every hub above its origin once, with its origin, and no hole is silent.

Demands, of every hub that has child hubs: rows that come by way of one go on from what is held of their origin (node,
epoch, stream), or fill what is listed as missing there, or leave a hole that is listed in the same transaction; its
cursor of a relay of a child passes no row whose content is not held then. And of the disks that are read after Calm: of
each origin a hub holds as much as its child hub does (seq, hash), unless newer epochs took its room; nothing is missing
but what its origin or a hub on the way has declared, and no row stands twice.

Cannot see: what went before the hub's disk came from elsewhere; that the bytes are the origin's is A7's.
"""

from __future__ import annotations

import msgspec

from hub.core.up import held as back
from protocol import effects, limits, messages
from protocol.link import cursor, parent_entries
from protocol.link.relay import records, runs, unwrap
from protocol.link.relay.missing import Missing, Why
from protocol.messages import RELAYS
from tests.checkers import base, forgotten, served, world
from tests.checkers.forgotten import Origin
from tests.checkers.history import Born, Disk, Stored, Took

_Relayed = dict[tuple[str, str], dict[int, tuple[Origin, int]]]
"""(child, stream) -> row of it -> whose rows it brings, and up to which."""


class _Run(msgspec.Struct):
    at: str
    epoch: str
    stream: str
    last: int


class _Row(msgspec.Struct, array_like=True):
    seq: int
    time_ms: int
    kind: str
    key: str
    body: _Run


_HELD = f'"{runs.HELD}"'.encode()

_decode_row = msgspec.json.Decoder(_Row).decode

_decode_cursor = msgspec.json.Decoder(parent_entries.Record).decode
_decode_range = msgspec.json.Decoder(back.Range).decode
_decode_origin = msgspec.json.Decoder(records.Record).decode


class Relay(base.Checker):
    """See the module."""

    rule = "relay"

    def watch(self) -> None:
        """Ask for what is relayed and what becomes of it."""
        self._heard: dict[str, _Relayed] = {}
        self._disks: dict[str, Disk] = {}
        self._held_back: dict[Origin, list[tuple[int, int]]] = {}
        """The rows of whom some hub said that it holds them back."""
        self.on(Born, self._born)
        self.on(Stored, self._stored)
        self.on(Disk, self._disk)
        self.on_heard(messages.Entries, self._entries)
        self.on_op(effects.Rows, self._said)

    def _born(self, fact: Born) -> None:
        self._heard.pop(fact.node, None)

    def _entries(self, fact: Took, message: messages.Entries) -> None:
        if message.stream not in RELAYS:
            return
        where = getattr(fact.input, "node", ""), message.stream
        table = self._heard.setdefault(fact.node, {}).setdefault(where, {})
        for raw in message.rows:
            gap = cursor.decode_gap(bytes(raw))
            if gap is not None:  # heard before, perhaps, but not taken: the hub let go of it since, and says so
                for seq in [one for one in table if gap.first <= one <= gap.last]:
                    del table[seq]
            elif cursor.decode_head(raw).kind == runs.RUN:
                row = _decode_row(raw)
                node = row.body.at.rpartition("/")[2]
                table[row.seq] = (node, row.body.epoch, row.body.stream), row.body.last

    def _said(self, fact: Stored, op: effects.Rows) -> None:
        for _, raw, _ in op.rows if op.stream in RELAYS else ():
            said = unwrap.decode(runs.HELD, raw) if _HELD in raw[:80] else None
            if isinstance(said, runs.Held):
                found = self._held_back.setdefault((said.node, said.epoch, said.stream), [])
                found.append((said.gap.first, said.gap.last))

    # -------------------------------------------------------------------------------------------- as it comes

    def _stored(self, fact: Stored) -> None:
        origins = dict[Origin, records.Record]()
        waiting = dict[Origin, list[effects.Received]]()
        for op in fact.ops:
            if isinstance(op, effects.Received) and (op.node, op.epoch, op.stream) in self.world.relayed:
                waiting.setdefault((op.node, op.epoch, op.stream), []).append(op)
            elif isinstance(op, effects.Put) and op.space == records.ORIGIN:
                key = world.origin(op.key)
                now = _decode_origin(op.value)
                before = origins.get(key) or self.machine(fact).origins.get(key)
                sure = key in origins or self.machine(fact).is_sure(op.space, op.key)
                self._taken(fact, key, before if sure else None, now, waiting.pop(key, []), sure=sure)
                origins[key] = now
        for node, epoch, stream in waiting:
            raise self.broken(f"{fact.node} stores relayed rows of {stream} of {node} ({epoch}) without their cursor")
        for op in fact.ops:
            if (
                isinstance(op, effects.Put)
                and op.space == parent_entries.CURSOR
                and op.key.rpartition("/")[2] in RELAYS
            ):
                self._passed(fact, op, origins)

    def _taken(
        self,
        fact: Stored,
        key: Origin,
        before: records.Record | None,
        now: records.Record,
        ops: list[effects.Received],
        *,
        sure: bool,
    ) -> None:
        if before is None and not ops and not now.missing:
            return  # an epoch turned here: its numbering begins where it says
        if not sure:
            return  # what was committed last before a kill, nobody noted
        node, _, stream = key
        stood, listed = (before.seq, before.missing) if before is not None else (0, [])
        text = f"{fact.node} holds {stream} of {node} up to {now.seq}, and stood at {stood}"
        if now.seq < stood:
            raise self.broken(f"{text}: its cursor falls")
        come, rows_below = _come(ops, stood)
        for seq in rows_below:
            if not _covers(listed, seq):
                raise self.broken(f"{fact.node} stores row {seq} of {stream} of {node} again, by way of a hub")
        aside = now.aside - (before.aside if before is not None else 0)
        itself = self.machine(fact).cursors.get((node, stream))  # of one that was, or is, a child of this hub
        known = [one.seq for one in (itself, *itself.former) if one.epoch == key[1]] if itself is not None else []
        above = range(max([stood, *known]) + 1, now.seq + 1)
        silent = [seq for seq in above if seq not in come and not _covers(now.missing, seq)]
        closed = now.closed - (before.closed if before is not None else 0)
        self.judged += 1 + sum(len(op.rows) for op in ops)
        if len(silent) > aside + closed:
            raise self.broken(f"{text}: row {silent[0]} neither came nor is listed as missing")

    def _passed(self, fact: Stored, op: effects.Put, origins: dict[Origin, records.Record]) -> None:
        """Compare what a relay of a child brought, up to the cursor, with what is held of the origins."""
        child, _, stream = op.key.partition("/")
        table, upto = self._heard.get(fact.node, {}).get((child, stream), {}), _decode_cursor(op.value).seq
        for seq in sorted(one for one in table if one <= upto):
            key, last = table.pop(seq)
            held = origins.get(key) or self.machine(fact).origins.get(key)
            known = held is not None and (held.seq >= last or bool(held.forked) or held.aside > 0)
            text = f"{fact.node} passes row {seq} of {stream} of {child}, with {key[2]} of {key[0]} up to {last}"
            self.demand(known or not self.machine(fact).sure, f"{text}, and holds {held and held.seq} of it")

    # -------------------------------------------------------------------------------------------- at the end

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role == "hub" and self.world.calm_at is not None:
            self._disks[fact.node] = fact

    def end(self) -> None:
        """Compare every hub with its child hubs."""
        for hub in self._disks.values():
            self._once(hub)
            for name in served.by(hub, self._disks, self.world.revoked):
                child = self._disks.get(name)
                if child is not None:
                    self._equal(hub, child)

    def _once(self, hub: Disk) -> None:
        seen: set[tuple[str, str, str, int]] = set()
        for row in hub.entries:
            where = (row.node, row.epoch, row.stream, row.seq)
            if where in seen:
                raise self.broken(f"row {row.seq} of {row.stream} of {row.node} stands twice on {hub.node}")
            seen.add(where)

    def _equal(self, hub: Disk, child: Disk) -> None:
        above, theirs = _held_by(hub), _held_by(child)
        for raw in child.spaces.get(back.SPACE, {}).values():
            one = _decode_range(raw)  # it is told limits.HELD_EVERY_S after it began, and until then it grows
            key = one.at.rpartition("/")[2], one.epoch, one.stream
            if key in theirs:
                theirs[key] = one.first - 1, one.before, theirs[key][2]
        for key, (seq, tip, listed) in theirs.items():
            text = f"{child.node} holds {key[2]} of {key[0]} up to {seq}"
            if key not in above:
                self._forgotten(hub, child, key, text)
                continue
            stands, hash_, missing = above[key]
            same = stands == seq and (not tip or hash_ == tip)
            least = stands <= seq and not self.world.exact
            left = stands > seq and key[0] in self.world.homes  # what it said since came by another way
            self.demand(same or least or left, f"{text}; {hub.node} stands at {stands} of it")
            self._declared(hub, child, key, [one for one in missing or () if one.first <= seq], listed)

    def _forgotten(self, hub: Disk, child: Disk, key: Origin, text: str) -> None:
        """Only what newer epochs took the room of may be unknown; its rows stand, but those that a hub holds back."""
        node, _, stream = key
        at, older = forgotten.before(child, key)
        is_moved = node in self.world.homes  # its epochs are known at several addresses
        known = forgotten.known(hub, key, "" if is_moved else f"{child.node}/{at}")
        if len(known) <= limits.EPOCHS_KEPT_MAX:
            raise self.broken(f"{text}; {hub.node} has never heard of it")
        if not is_moved and not self.world.machine(child.node).foreign:
            self.demand(not older & {*known}, f"{text}; {hub.node} has forgotten that, and knows what was before it")
        stands = {(row.seq, row.raw) for row in hub.entries if (row.node, row.stream) == (node, stream)}
        held = self._held_back.get(key, [])
        for row in child.entries if stream in ("audit", "state") else ():
            lacks = (row.node, row.epoch, row.stream) == key and (row.seq, row.raw) not in stands
            if lacks and not any(first <= row.seq <= last for first, last in held):
                raise self.broken(f"{text}; {hub.node} has forgotten that, and lacks row {row.seq}")

    def _declared(
        self, hub: Disk, child: Disk, key: Origin, above: list[Missing], listed: list[Missing] | None
    ) -> None:
        """What is missing `above`, of what the child came to, is missing for a reason."""
        if self.world.machine(child.node).foreign or self.world.machine(hub.node).foreign:
            return
        for one in above:
            known = one.why is not Why.HOLE or (listed is not None and _covers(listed, one.first))
            text = f"{hub.node} lacks rows {one.first} to {one.last} of {key[2]} of {key[0]}, which {child.node} has"
            self.demand(known, text)


def _come(ops: list[effects.Received], stood: int) -> tuple[set[int], list[int]]:
    """Return the seqs above `stood` that came, those that a GAP covers included, and the rows at or below it that a hub
    brought: what the node itself brings may be there by way of a hub, and the store looks."""
    come: set[int] = set()
    below: list[int] = []
    for op in ops:
        for seq, raw, _, _, kind, _ in op.rows:
            gap = cursor.decode_gap(raw) if kind == cursor.GAP else None
            if seq <= stood and op.at:
                below.append(seq)
            come.update(range(gap.first, seq + 1) if gap is not None else (seq,))
    return come, below


def _covers(ranges: list[Missing], seq: int) -> bool:
    return any(one.first <= seq <= one.last for one in ranges)


def _held_by(hub: Disk) -> dict[Origin, tuple[int, str, list[Missing] | None]]:
    """Return what a hub holds of all below it: (seq, hash, what is missing); None: of its own children nothing is.

    Of one that came from another parent what it told there is missing, but for what came by way of a child hub.
    """
    held: dict[Origin, tuple[int, str, list[Missing] | None]] = {}
    for name, raw in hub.spaces.get(records.ORIGIN, {}).items():
        one = _decode_origin(raw)
        held[world.origin(name)] = one.seq, one.hash, one.missing
    for name, raw in hub.spaces.get(parent_entries.CURSOR, {}).items():
        node, _, stream = name.partition("/")
        one = _decode_cursor(raw)
        seq, hash_, listed = held.get((node, one.epoch, stream), (0, "", None))
        if stream not in RELAYS and one.seq >= max(1, seq):
            if one.base > seq:
                listed = [*(listed or ()), Missing(seq + 1, one.base, hash_, one.base_hash, Why.HOLE)]
            held[node, one.epoch, stream] = one.seq, one.hash, listed if one.base else None
    return held
