"""The life of one store file: who it belongs to, whether it is the file it was, which epochs it writes (INVARIANTS A6).

An epoch belongs to one database file. It is given up, for a new one, when the file

- is new,
- is a copy: its inode is another (a copy, a restored backup and a move to another disk all look so, rightly),
- is older than it was: its count of openings is behind the one that the lock file remembers, or its write-ahead log
  is gone, which a crash leaves,
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

from protocol import limits
from protocol.aio import sqlite
from protocol.aio.recovery import check
from protocol.aio.sqlite import checksum, of
from protocol.effects import NewEpoch
from protocol.errors import StoreDamaged, StoreError
from protocol.messages import STREAMS, FormerEpoch
from protocol.snapshot import DOUBT, STORE, Doubt, StreamState

_RESTORED = "restored"
_INTO_STREAM = """
    INSERT OR REPLACE INTO stream (name, epoch, last, hash, acked, former, sum) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
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

    `inode` names the file as the machine knows it: a copy has another one. `is_log_lost`: who had it open last died,
    and there is no write-ahead log beside it.
    """

    path: Path
    inode: str
    node: str
    streams: Sequence[str]
    mint: Callable[[], str]
    seen: int
    boot: str
    durable: bool
    is_log_lost: bool = False


def begin(db: sqlite3.Connection, opening: Opening) -> tuple[bool, int]:
    """Begin a life, inside a transaction: return whether the last one ended in order, and this one's count.

    Raises StoreError when the file belongs to another node, StoreDamaged when it is not whole.
    """
    meta = _papers(db, opening.path)
    if not meta and opening.seen:  # all that it ever held was in its write-ahead log
        raise StoreDamaged(f"{opening.path} is empty, and was not")
    if meta.get("node", opening.node) != opening.node:
        raise StoreError(
            f"{opening.path} belongs to node {meta['node']}, not to {opening.node}: "
            "give each node a data directory of its own"
        )
    clean = meta.get("clean", "1") == "1"
    if not clean:
        check.quickly(db, opening.path, opening.streams)
    life = max(int(meta.get("life", "0")), opening.seen) + 1
    reason = _why_new(meta, clean, opening)
    for stream in opening.streams:
        _begin_stream(db, stream, reason, opening.mint)
    if reason and opening.durable and not _is_doubted(db):
        put_doubt(db, Doubt(reason=reason, in_place=reason == _RESTORED))
    write_papers(db, opening, life)
    return clean, life


def _is_doubted(db: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM state WHERE space = ? AND key = ?"
    return db.execute(query, (STORE, DOUBT)).fetchone() is not None


def _papers(db: sqlite3.Connection, path: Path) -> dict[str, str]:
    meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta"))
    if meta and meta.get("sum") != str(checksum(meta.get("node"), meta.get("life"), meta.get("inode"))):
        raise StoreDamaged(f"{path} is damaged: its own papers (table meta) are not what was written")
    return meta


def write_papers(db: sqlite3.Connection, opening: Opening, life: int) -> None:
    """Write whose file this is, inside a transaction. `life`: the count of openings."""
    papers = {"node": opening.node, "life": str(life), "clean": "0", "inode": opening.inode, "boot": opening.boot}
    papers["sum"] = str(checksum(opening.node, life, opening.inode))
    db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", papers.items())


def put_doubt(db: sqlite3.Connection, doubt: Doubt) -> None:
    """Leave word for the core, inside a transaction."""
    value = msgspec.json.encode(doubt)
    row = (STORE, DOUBT, value, checksum(STORE, DOUBT, value))
    db.execute("INSERT OR REPLACE INTO state (space, key, value, sum) VALUES (?, ?, ?, ?)", row)


def settle(db: sqlite3.Connection) -> None:
    """Make durable what was committed, in a file whose commits are not."""
    db.execute("PRAGMA wal_checkpoint")


def end(db: sqlite3.Connection) -> None:
    """Mark this life as ended in order, inside a transaction."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('clean', '1')")


def _why_new(meta: dict[str, str], clean: bool, opening: Opening) -> str:
    if not meta:
        return ""
    if meta["inode"] != opening.inode:
        return "restored or copied"
    if int(meta["life"]) < opening.seen or (opening.is_log_lost and not clean):
        return _RESTORED
    if not opening.durable and not clean and (meta["boot"] != opening.boot or not opening.boot):
        return "power cut"
    return ""


def _begin_stream(db: sqlite3.Connection, stream: str, reason: str, mint: Callable[[], str]) -> None:
    assert stream in STREAMS
    if db.execute("SELECT 1 FROM stream WHERE name = ?", (stream,)).fetchone() is None:
        make_rows(db, stream)
        write_head(db, stream, Head(epoch=mint()))
    elif reason:
        head = read_head(db, stream)
        former = FormerEpoch(epoch=head.epoch, seq=head.last, hash=head.hash.hex(), reason=reason)
        head.epoch, head.former = mint(), former
        write_head(db, stream, head)


def make_tables(db: sqlite3.Connection, streams: Sequence[str]) -> None:
    """Make the tables of a new store that writes `streams`, inside a transaction: nothing lies between their roots.

    Each store is made so, a recovered one too: when its first page is lost, another one's tells where they begin.
    """
    sqlite.make_schema(db)
    for stream in streams:
        make_rows(db, stream)


def make_rows(db: sqlite3.Connection, stream: str) -> None:
    """Make the table for the rows of `stream`."""
    db.execute(of(stream, "CREATE TABLE own_STREAM (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL, hash BLOB NOT NULL)"))


def turn(db: sqlite3.Connection, head: Head, op: NewEpoch) -> None:
    """Turn to a new epoch, inside a transaction: `op` on `head`, which changes."""
    db.execute(of(op.stream, "DELETE FROM own_STREAM WHERE seq <= ?"), (op.base,))
    head.epoch, head.former, head.acked = op.epoch, op.former, op.base
    head.last = max(head.last, op.base)
    write_head(db, op.stream, head)


def write_head(db: sqlite3.Connection, stream: str, head: Head) -> None:
    """Store the head of `stream`, inside a transaction."""
    former = None if head.former is None else msgspec.json.encode(head.former)
    row = (stream, head.epoch, head.last, head.hash, head.acked, former)
    db.execute(_INTO_STREAM, (*row, checksum(*row)))


def read_head(db: sqlite3.Connection, stream: str) -> Head:
    """Return the head of `stream`: the stored one, or the newest row's when that is further.

    Raises StoreDamaged when it is not what was written.
    """
    head = stored_head(db, stream)
    if head is None:
        raise StoreDamaged(f"the store is damaged: the head of {stream} is not what was written")
    newest = db.execute(of(stream, "SELECT seq, hash FROM own_STREAM ORDER BY seq DESC LIMIT 1")).fetchone()
    if newest is not None and newest[0] >= head.last:
        head.last, head.hash = newest
    return head


def stored_head(db: sqlite3.Connection, stream: str) -> Head | None:
    """Return the head of `stream` as it is stored, rows aside; None when it is not there or not what was written."""
    query = "SELECT name, epoch, last, hash, acked, former, sum FROM stream WHERE name = ?"
    row = db.execute(query, (stream,)).fetchone()
    if row is None or checksum(*row[:-1]) != row[-1]:
        return None
    _, epoch, last, hash_, acked, former, _ = row
    return Head(epoch, last, hash_, acked, None if former is None else msgspec.json.decode(former, type=FormerEpoch))


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
