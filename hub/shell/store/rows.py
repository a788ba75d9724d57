"""The SQL of the feed: rows of the children's entries and of the hub's own streams, filtered, in order of arrival."""

# ruff: noqa: S608 - only our own words are put into the texts; what was asked for is bound

from __future__ import annotations

import sqlite3

import msgspec

from hub.core import streams


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: empty means any. `node` is an id, or an address below this hub.

    `kind` matches whole, or as a prefix when it ends in a dot or a star.
    """

    node: str = ""
    stream: str = ""
    kind: str = ""
    key: str = ""
    since_ms: int = 0


class Row(msgspec.Struct, frozen=True):
    """One row of one of the three sources; `at` counts within its source."""

    at: int
    path: str
    """From this hub to the node."""
    node: str
    epoch: str
    stream: str
    seq: int
    time_ms: int
    kind: str
    key: str
    raw: bytes


_ADDRESS = "CASE at WHEN '' THEN node ELSE at END"


def children(db: sqlite3.Connection, hub: str, after: int, chosen: Filter, limit: int, newest: bool) -> list[Row]:
    """Return up to `limit` matching entries of children with an id over `after`; the newest first, or the oldest."""
    where, values = ["entry.id > ?"], [after]
    if chosen.node or chosen.stream:
        channels = _channels(db, chosen)
        where.append(f"entry.channel IN ({','.join('?' * len(channels))})")
        values += channels
    clauses, bound = _conditions(chosen, "time_ms", "kind", "key")
    rows = db.execute(
        f"SELECT entry.id, ? || '/' || {_ADDRESS}, node, epoch, stream, seq, time_ms, kind, key, raw"
        f" FROM entry JOIN channel ON channel.id = entry.channel WHERE {' AND '.join(where + clauses)}"
        f" ORDER BY entry.id {'DESC' if newest else 'ASC'} LIMIT ?",
        (hub, *values, *bound, limit),
    )
    return [Row(*row) for row in rows]


def _channels(db: sqlite3.Connection, chosen: Filter) -> list[int]:
    found = db.execute(
        "SELECT id FROM channel WHERE (?1 = '' OR node = ?1 OR at = ?1) AND (?2 = '' OR stream = ?2)",
        (chosen.node, chosen.stream),
    )
    return [row[0] for row in found]


def own(
    db: sqlite3.Connection, hub: str, stream: str, after: int, chosen: Filter, limit: int, newest: bool
) -> list[Row]:
    """Return up to `limit` matching rows of our own `stream` after seq `after`; the newest first, or the oldest."""
    if chosen.node not in ("", hub) or chosen.stream not in ("", stream):
        return []
    text = "CAST(raw AS TEXT)"
    parts = [f"json_extract({text}, '$[{index}]')" for index in (1, 2, 3)]
    clauses, bound = _conditions(chosen, *parts)
    epoch = db.execute("SELECT epoch FROM stream WHERE name = ?", (stream,)).fetchone()
    rows = db.execute(
        f"SELECT seq, {', '.join(parts)}, raw FROM own_{stream} WHERE {' AND '.join(['seq > ?', *clauses])}"
        f" ORDER BY seq {'DESC' if newest else 'ASC'} LIMIT ?",
        (after, *bound, limit),
    )
    return [Row(seq, hub, hub, epoch[0], stream, seq, time_ms, kind, key, raw) for seq, time_ms, kind, key, raw in rows]


def _conditions(chosen: Filter, time_ms: str, kind: str, key: str) -> tuple[list[str], list[int | str]]:
    clauses: list[str] = []
    bound: list[int | str] = []
    if chosen.since_ms:
        clauses.append(f"{time_ms} >= ?")
        bound.append(chosen.since_ms)
    if chosen.kind.endswith((".", "*")):
        prefix = chosen.kind.removesuffix("*")
        clauses.append(f"substr({kind}, 1, ?) = ?")
        bound += [len(prefix), prefix]
    elif chosen.kind:
        clauses.append(f"{kind} = ?")
        bound.append(chosen.kind)
    if chosen.key:
        clauses.append(f"{key} = ?")
        bound.append(chosen.key)
    return clauses, bound


def ends(db: sqlite3.Connection) -> list[int]:
    """Return the greatest number in each source: the children's entries, then each of our own streams."""
    tables = (("id", "entry"), *(("seq", f"own_{name}") for name in streams.NAMES))
    return [db.execute(f"SELECT max({column}) FROM {table}").fetchone()[0] or 0 for column, table in tables]
