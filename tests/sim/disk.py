"""A node's disk: real SQLite databases in memory under the real journal, and what can befall them.

`MemoryFile` stands where protocol.aio.sqlite.SqliteFile does; everything above it is the product's: schema, life,
operations, tails, journal. A kill loses what is not committed, which is nothing here: a transaction is one call. A
power cut takes from a file that is not `synchronous = FULL` what it had not written yet: an image of a while ago comes
back.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar, cast

import msgspec

from protocol import limits
from protocol.aio import journal as journals
from protocol.aio import life, sqlite
from protocol.aio.journal import Journal
from protocol.aio.life import Opening
from protocol.aio.lock import Lock
from protocol.aio.recovery import ladder
from protocol.errors import StoreDamaged, StoreError
from protocol.link import cursor, own_stream, parent_entries
from tests.checkers.history import Row

T = TypeVar("T")
_FULL = 2  # what PRAGMA synchronous says
_IMAGES_KEPT = 3
_COMMITS_APART = 16
_LADDERS_MAX = 4


class Crash(BaseException):
    """The process is killed here."""


class MemoryFile:
    """One database in memory, with the face of SqliteFile."""

    def __init__(self, disk: Disk, name: str, *, durable: bool) -> None:
        self.path = Path(name)
        self._disk = disk
        self.inode = disk.mint_inode()
        self.durable = durable
        self._commits = 0
        self._images: list[bytes] = []
        self.damaged: bytes | None = None
        """What the next opening will find in its place."""
        self._raw: bytes | None = None
        self.db = _connect()
        self._set_up()

    def _set_up(self) -> None:
        sqlite.set_up(self.db, durable=self.durable, cache_kib=limits.STORE_CACHE_KIB)
        if not self.db.execute("PRAGMA user_version").fetchone()[0]:
            sqlite.transaction(self.db, sqlite.make_schema)
        self._safe = self.db.execute("PRAGMA synchronous").fetchone()[0] == _FULL

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As SqliteFile."""
        try:
            return work(self.db)
        except sqlite3.Error as error:
            raise sqlite.explain(error, self.path) from error

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As SqliteFile."""
        result = await self.run(lambda db: sqlite.transaction(db, lambda one: self._work(one, work)))
        if not self._safe:
            self._remember()
        return result

    def _work(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        result = work(db)
        if self._disk.full:
            raise StoreError(f"{self.path}: the disk is full")
        if self._disk.crash_in_store:
            self._disk.crash_in_store = False
            raise Crash
        return result

    async def close(self) -> None:
        """As SqliteFile: the next life opens the same database."""

    def _remember(self) -> None:
        self._commits += 1
        if self._commits % _COMMITS_APART == 1:
            self._images = [*self._images[1 - _IMAGES_KEPT :], self.db.serialize()]

    def power_cut(self, chance: Random) -> bool:
        """Lose what was not written yet; tell whether that is anything."""
        if self._safe or not self._images or chance.random() < 0.3:
            return False
        self.replace(chance.choice(self._images))
        self._images = []
        return True

    def look(self) -> None:
        """See the damage, if there is any. Raises StoreDamaged."""
        if self.damaged is not None:
            self._raw, self.damaged = self.damaged, None
            self.replace(self._raw)

    def bytes(self) -> bytes:
        """Return what is on the disk, damaged as it may be."""
        try:
            return self.db.serialize()
        except sqlite3.Error:
            assert self._raw is not None
            return self._raw

    def replace(self, image: bytes) -> None:
        """Put `image` in the file's place; a copy that is to be known as one needs a new inode too."""
        self.db.close()
        self.db = _connect()
        self.db.deserialize(image)
        try:
            self._set_up()
        except sqlite3.DatabaseError as error:
            raise StoreDamaged(f"{self.path} is damaged: {error}") from error


def _connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)


@dataclass
class LockMemory:
    """Stands where protocol.aio.lock.Lock does."""

    life: int = 0

    def note(self, count: int) -> None:
        """As Lock."""
        self.life = count

    def release(self) -> None:
        """As Lock."""


@dataclass(frozen=True)
class Image:
    """A backup of a whole data directory."""

    files: dict[str, bytes]
    life: int


@dataclass
class Disk:
    """The data directory of one machine."""

    name: str
    wall: Callable[[], float]
    full: bool = False
    crash_in_store: bool = False
    files: dict[str, MemoryFile] = field(default_factory=dict[str, MemoryFile])
    lock: LockMemory = field(default_factory=LockMemory)
    recovered: list[str] = field(default_factory=list[str])
    """The files that had to be, in their order."""
    _inodes: int = 0

    def mint_inode(self) -> str:
        """Return a number that no file of this disk had."""
        self._inodes += 1
        return f"{self.name}/{self._inodes}"

    def open(
        self, *, node: str, streams: Sequence[str], telemetry: bool, mint: Callable[[], str], boot: str
    ) -> Journal:
        """Begin a life of the store; damage is recovered by the product's own ladder. Raises as Journal.open."""
        apart = [name for name in streams if telemetry and name in journals.TELEMETRY]
        rest = [name for name in streams if name not in apart]
        plan = [("journal.db", rest, True)] + ([("telemetry.db", apart, False)] if telemetry else [])
        for _ in range(_LADDERS_MAX):
            journal = MemoryJournal(node, cast("Lock", self.lock), limits.STORE_CACHE_KIB, None)
            opening = life.Opening(
                path=Path(), inode="", node=node, streams=rest, mint=mint, seen=self.lock.life, boot=boot, durable=True
            )
            try:
                for name, its, durable in plan:
                    opening = replace(opening, path=Path(name), streams=its, durable=durable)
                    journal.begin(self._file(name, durable=durable), opening, self.lock)
                opening = replace(opening, path=Path("journal.db"), streams=rest, durable=True)
                done(journal.reload())
                return journal
            except StoreDamaged:
                self._recover(opening)
        raise StoreError(f"{self.name} cannot be recovered")

    def _file(self, name: str, *, durable: bool) -> MemoryFile:
        if name not in self.files:
            self.files[name] = MemoryFile(self, name, durable=durable)
        self.files[name].look()
        return self.files[name]

    def _recover(self, opening: Opening) -> None:
        """As Journal: telemetry begins anew, the journal goes up the ladder, over real files."""
        name = opening.path.name
        file = self.files[name]
        self.recovered.append(name)
        if not opening.durable:
            self.files[name] = MemoryFile(self, name, durable=False)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(file.bytes())
            ladder.recover(replace(opening, path=path), None, wall=self.wall)
            file.replace(path.read_bytes())
        file.inode = self.mint_inode()  # as the journal's file keeps the one that its papers name
        named = replace(opening, inode=file.inode)
        sqlite.transaction(file.db, lambda db: life.write_papers(db, named, opening.seen))
        sqlite.transaction(file.db, life.end)

    def power_cut(self, chance: Random) -> list[str]:
        """Lose what was not written yet; return the files that lost something."""
        return [name for name, file in self.files.items() if file.power_cut(chance)]

    def image(self) -> Image:
        """Return a backup."""
        return Image({name: file.db.serialize() for name, file in self.files.items()}, self.lock.life)

    def restore(self, image: Image, *, in_place: bool, lock_too: bool) -> None:
        """Put a backup in the place of what is there. `in_place`: the inodes stay; `lock_too`: it had the lock file."""
        for name, raw in image.files.items():
            self.files[name].replace(raw)
            if not in_place:
                self.files[name].inode = self.mint_inode()
        if lock_too:
            self.lock.life = image.life

    def copy_of(self, image: Image) -> None:
        """Be a copy of another machine's disk."""
        for name, raw in image.files.items():
            self.files[name] = MemoryFile(self, name, durable=name == "journal.db")
            self.files[name].replace(raw)
        self.lock.life = image.life

    def corrupt(self, name: str, pages: int, chance: Random) -> None:
        """Overwrite pages of a file."""
        file = self.files[name]
        image = bytearray(file.db.serialize())
        size = file.db.execute("PRAGMA page_size").fetchone()[0]
        for _ in range(pages):
            at = chance.randrange(len(image) // size) * size
            image[at : at + size] = bytes(size)
        file.damaged = bytes(image)

    def poison(self, stream: str, raw: bytes, held: tuple[str, int]) -> bool:
        """Replace the newest row of `stream` by `raw`, chained right, if a parent that is at `held` has it not yet."""
        for file in self.files.values():
            if file.db.execute("SELECT 1 FROM stream WHERE name = ?", (stream,)).fetchone():
                return sqlite.transaction(file.db, lambda db: _poison(db, stream, raw, held))
        return False

    # -------------------------------------------------------------------------------------------- what stands on it

    def own_rows(self, node: str) -> list[Row]:
        """Return all rows of this machine's own streams."""
        rows: list[Row] = []
        for file in self.files.values():
            for stream, epoch in file.db.execute("SELECT name, epoch FROM stream ORDER BY name").fetchall():
                found = file.db.execute(sqlite.of(stream, "SELECT seq, raw, hash FROM own_STREAM ORDER BY seq"))
                rows += [Row(node, epoch, stream, *row) for row in found]
        return rows

    def heads(self) -> dict[str, tuple[str, int, bytes, int]]:
        """Return (epoch, last, hash, acked) of each own stream."""
        heads: dict[str, tuple[str, int, bytes, int]] = {}
        for file in self.files.values():
            for (stream,) in file.db.execute("SELECT name FROM stream ORDER BY name").fetchall():
                head = life.read_head(file.db, stream)
                heads[stream] = (head.epoch, head.last, head.hash, head.acked)
        return heads

    def spaces(self) -> dict[str, dict[str, bytes]]:
        """Return the state table."""
        spaces: dict[str, dict[str, bytes]] = {}
        for space, key, value in self.files["journal.db"].db.execute(
            "SELECT space, key, value FROM state ORDER BY space, key"
        ):
            spaces.setdefault(space, {})[key] = value
        return spaces

    def cursor(self, node: str, stream: str) -> tuple[str, int] | None:
        """Return (epoch, seq) of a hub's cursor for a child's stream; None when it has none."""
        key = (parent_entries.CURSOR, f"{node}/{stream}")
        query = "SELECT value FROM state WHERE space = ? AND key = ?"
        found = self.files["journal.db"].db.execute(query, key).fetchone()
        held = None if found is None else msgspec.json.decode(found[0], type=parent_entries.Record)
        return None if held is None else (held.epoch, held.seq)

    def entries(self) -> list[Row]:
        """Return a hub's rows of its children, in the order of their arrival."""
        query = """
            SELECT c.node, c.epoch, c.stream, e.seq, e.raw, e.hash FROM entry e JOIN channel c ON c.id = e.channel
            ORDER BY e.id
        """
        return [Row(*row) for row in self.files["journal.db"].db.execute(query)]


class MemoryJournal(Journal):
    """The journal over files in memory. Damage is found when a life begins (`Disk.open`), and by its owner's hands."""

    async def _repair(self) -> None:
        pass

    def begin(self, file: MemoryFile, opening: Opening, lock: LockMemory) -> None:
        """Begin a life of `file`, as Journal.open does."""
        opening = replace(opening, inode=file.inode, seen=lock.life if opening.durable else 0)
        clean, count = done(file.transact(lambda db: life.begin(db, opening)))
        streams = list(opening.streams)
        part = journals._Part(opening, cast("sqlite.SqliteFile", file), streams)  # pyright: ignore[reportPrivateUsage]
        self._parts.append(part)
        self._clean = self._clean and clean
        if opening.durable:
            lock.note(count)


def _poison(db: sqlite3.Connection, stream: str, raw: bytes, held: tuple[str, int]) -> bool:
    head = life.read_head(db, stream)
    query = sqlite.of(stream, "SELECT seq, hash FROM own_STREAM ORDER BY seq DESC LIMIT 2")
    rows = db.execute(query).fetchall()
    if held[0] != head.epoch or len(rows) < 2 or held[1] >= rows[0][0] or rows[1][0] != rows[0][0] - 1:
        return False
    seq, before = rows[0][0], rows[1][1]
    ends = (own_stream.SEGMENTS, f"{stream}/{seq:016}")
    if db.execute("SELECT 1 FROM state WHERE space = ? AND key = ?", ends).fetchone():
        return False  # what the room keeps of it has its hash too
    head.hash = cursor.chain(before, raw) if head.hash else b""
    db.execute(sqlite.of(stream, "UPDATE own_STREAM SET raw = ?, hash = ? WHERE seq = ?"), (raw, head.hash, seq))
    life.write_head(db, stream, head)
    return True


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")
