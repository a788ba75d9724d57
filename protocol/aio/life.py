"""The life of one store file: who it belongs to, whether it is the file it was, which epochs it writes (INVARIANTS A6).

An epoch belongs to one database file. It is given up, for a new one, when the file

- is new,
- is a copy: its inode is another (a copy, a restored backup and a move to another disk all look so, rightly),
- is older than it was: its count of openings is behind the one that the lock file remembers,
- (not durable) may have lost its last rows: it was not closed, and the machine has started anew since.

The rows go over into the new epoch as they are, with their seqs and hashes; `former` tells the parent where the one
before ended, so that it goes on from its own cursor there and takes none of them twice (A9, protocol.link.own_stream).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from protocol import ids, limits
from protocol.aio.sqlite import of
from protocol.effects import NewEpoch
from protocol.errors import StoreDamaged, StoreError
from protocol.messages import FormerEpoch
from protocol.snapshot import StreamState

_SEGMENTS = """
    SELECT min(seq), max(seq), sum(length(raw) + length(hash)) FROM own_STREAM GROUP BY (seq - 1) / ? ORDER BY 1
"""


@dataclass(slots=True)
class Head:
    """Where one of our streams stands; changed by each transaction, read again from the file after a failed one."""

    epoch: str
    last: int = 0
    hash: bytes = b""
    acked: int = 0
    former: FormerEpoch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a life begins with. `seen`: the highest count of openings heard of. `boot`: this machine's boot.

    `inode` names the file as the machine knows it: a copy has another one.
    """

    path: Path
    inode: str
    node: str
    streams: Sequence[str]
    mint: Callable[[], str]
    seen: int
    boot: str
    durable: bool


def begin(db: sqlite3.Connection, opening: Opening) -> tuple[bool, int]:
    """Begin a life, inside a transaction: return whether the last one ended in order, and this one's count.

    Raises StoreError when the file belongs to another node, StoreDamaged when it is not whole.
    """
    meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta"))
    if meta.get("node", opening.node) != opening.node:
        raise StoreError(
            f"{opening.path} belongs to node {meta['node']}, not to {opening.node}: "
            "give each node a data directory of its own"
        )
    clean = meta.get("clean", "1") == "1"
    if not clean:
        _check(db, opening.path)
    life = max(int(meta.get("life", "0")), opening.seen) + 1
    reason = _why_new(meta, clean, opening)
    for stream in opening.streams:
        _begin_stream(db, stream, reason, opening.mint)
    papers = {"node": opening.node, "life": str(life), "clean": "0", "inode": opening.inode, "boot": opening.boot}
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", papers.items())
    return clean, life


def end(db: sqlite3.Connection) -> None:
    """Mark this life as ended in order, inside a transaction."""
    db.execute("INSERT OR REPLACE INTO meta VALUES ('clean', '1')")


def _why_new(meta: dict[str, str], clean: bool, opening: Opening) -> str:
    if not meta:
        return ""
    if meta["inode"] != opening.inode:
        return "restored or copied"
    if int(meta["life"]) < opening.seen:
        return "restored"
    if not opening.durable and not clean and (meta["boot"] != opening.boot or not opening.boot):
        return "power cut"
    return ""


def _check(db: sqlite3.Connection, path: Path) -> None:
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    if pages * db.execute("PRAGMA page_size").fetchone()[0] > limits.QUICK_CHECK_BYTES_MAX:
        return
    found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreDamaged(
            f"{path} is damaged ({found.splitlines()[-1]}): keep the file for a look, and put a backup in its place or "
            "move it aside (a new one is made, with a new epoch)"
        )


def _begin_stream(db: sqlite3.Connection, stream: str, reason: str, mint: Callable[[], str]) -> None:
    assert ids.is_name(stream)
    if db.execute("SELECT 1 FROM stream WHERE name = ?", (stream,)).fetchone() is None:
        db.execute(
            of(stream, "CREATE TABLE own_STREAM (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL, hash BLOB NOT NULL)")
        )
        write_head(db, stream, Head(epoch=mint()))
    elif reason:
        head = read_head(db, stream)
        former = FormerEpoch(epoch=head.epoch, seq=head.last, hash=head.hash.hex(), reason=reason)
        head.epoch, head.former = mint(), former
        write_head(db, stream, head)


def turn(db: sqlite3.Connection, head: Head, op: NewEpoch) -> None:
    """Turn to a new epoch, inside a transaction: `op` on `head`, which changes."""
    db.execute(of(op.stream, "DELETE FROM own_STREAM WHERE seq <= ?"), (op.base,))
    head.epoch, head.former, head.acked = op.epoch, op.former, op.base
    head.last = max(head.last, op.base)
    write_head(db, op.stream, head)


def write_head(db: sqlite3.Connection, stream: str, head: Head) -> None:
    """Store the head of `stream`, inside a transaction."""
    former = None if head.former is None else msgspec.json.encode(head.former)
    db.execute(
        "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?, ?)",
        (stream, head.epoch, head.last, head.hash, head.acked, former),
    )


def read_head(db: sqlite3.Connection, stream: str) -> Head:
    """Return the head of `stream`: the stored one, or the newest row's when that is further."""
    row = db.execute("SELECT epoch, last, hash, acked, former FROM stream WHERE name = ?", (stream,)).fetchone()
    epoch, last, hash_, acked, former_raw = row
    newest = db.execute(of(stream, "SELECT seq, hash FROM own_STREAM ORDER BY seq DESC LIMIT 1")).fetchone()
    if newest is not None and newest[0] >= last:
        last, hash_ = newest
    former = None if former_raw is None else msgspec.json.decode(former_raw, type=FormerEpoch)
    return Head(epoch, last, hash_, acked, former)


def read_stream(db: sqlite3.Connection, stream: str) -> tuple[Head, StreamState]:
    """Return the head of `stream` and all that a core is told of it."""
    head = read_head(db, stream)
    segments: list[tuple[int, int, int]] = db.execute(of(stream, _SEGMENTS), (limits.SEGMENT_ROWS,)).fetchall()
    state = StreamState(
        epoch=head.epoch,
        first=segments[0][0] if segments else head.last + 1,
        last=head.last,
        hash=head.hash,
        acked=head.acked,
        segments=segments,
        former=head.former,
    )
    return head, state
