"""The store of a node: its streams, its state, and (a hub's) its children's entries. One writer, group commits.

One `commit` is one transaction with an fsync, in one hop of the file's thread. With `telemetry`, the rows of `metrics`
and `logs` go to a file of their own, which survives a crash but not a power cut; no transaction spans both (DESIGN 5).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from protocol import effects, limits
from protocol.aio import life
from protocol.aio.life import Opening
from protocol.aio.lock import Lock
from protocol.aio.operations import Operations
from protocol.aio.recovery import check, suspect, swap
from protocol.aio.sqlite import PAGE_BYTES, SqliteFile, checksum, explain, of, read_only
from protocol.aio.tail import Tail
from protocol.aio.upkeep import wal
from protocol.aio.upkeep.retention import Kept, Retention
from protocol.effects import StoredRow
from protocol.errors import StoreDamaged, StoreError, StoreLost
from protocol.messages import CHAINED
from protocol.snapshot import Doubt, Snapshot, StreamState

if TYPE_CHECKING:
    from protocol.aio.recovery.ladder import Judge

__all__ = ["Journal", "Kept", "read_only"]

log = logging.getLogger("skerry.store")
T = TypeVar("T")

TELEMETRY = frozenset({"metrics", "logs"})
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class _Part:
    """One file of the journal, the streams in it, and what it held when it was last read."""

    opening: Opening
    file: SqliteFile
    streams: list[str]
    damaged: bool = False
    """Its bytes are not whole: it is recovered before it is read again."""
    is_cleared: bool = False
    """It was suspected and looked at in this life, and is whole."""
    operations: Operations = field(default_factory=lambda: Operations({}))
    states: dict[str, StreamState] = field(default_factory=dict[str, StreamState])

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`; remember damage."""
        try:
            return await self.file.run(work)
        except StoreDamaged:
            self.damaged = True
            raise

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction; remember damage."""
        try:
            return await self.file.transact(work)
        except StoreDamaged:
            self.damaged = True
            raise

    async def look(self) -> StoreDamaged | None:
        """Look at the whole of an open file, once in a life, when it is suspected; return the damage that is found."""
        if self.damaged or self.is_cleared or self.file.is_closed:
            return None
        try:
            self.is_cleared = await _is_cleared(self.opening, self.file)
        except StoreDamaged as error:
            self.damaged = True
            return error
        return None


class Journal:
    """See the module. Not for several tasks at once: the driver is its one user; but `retire` may run beside it."""

    def __init__(self, node: str, lock: Lock, cache_kib: int, judge: Judge | None) -> None:
        self._node = node
        self._judge = judge
        self._wal_bytes = limits.WAL_BYTES_MAX
        self._retention = Retention()
        self._cache_kib = cache_kib
        self._lock = lock
        self._parts: list[_Part] = []
        self._tails: dict[str, Tail] = {}
        self._snapshot: Snapshot | None = None
        self._clean = True
        self._failed = False

    @classmethod
    async def open(
        cls,
        path: Path | str,
        *,
        node: str,
        streams: Sequence[str],
        telemetry: Path | str | None = None,
        mint: Callable[[], str],
        cache_kib: int = limits.STORE_CACHE_KIB,
        wal_bytes: int = limits.WAL_BYTES_MAX,
        judge: Judge | None = None,
    ) -> Journal:
        """Open or make the store at `path` for `node`, which writes `streams`; `mint` returns a new epoch (A6).

        `cache_kib` bounds the pages that each file keeps in memory, `wal_bytes` its write-ahead log. A damaged file is
        set aside and what can be read of it is recovered, now and in `reload` (protocol.aio.recovery.ladder); `judge`
        may find that too little.
        Raises StoreLocked, StoreNewer, StoreLost, StoreDamaged, StoreError; then nothing is held.
        """
        path = Path(path)
        journal = cls(node, Lock.take(path), cache_kib, judge)
        journal._wal_bytes = wal_bytes
        try:
            apart = [name for name in streams if telemetry is not None and name in TELEMETRY]
            await journal._add(path, [name for name in streams if name not in apart], mint, durable=True)
            if telemetry is not None:
                await journal._add(Path(telemetry), apart, mint, durable=False)
            await journal.reload()
        except BaseException:
            await journal._drop()
            raise
        return journal

    def snapshot(self) -> Snapshot:
        """Return the whole store as it was read, but for the rows; until the first commit after it was read."""
        assert self._snapshot is not None, "the snapshot is outdated: reload()"
        return self._snapshot

    async def reload(self) -> Snapshot:
        """Read the store anew, after a failed commit; return what it holds. Damage is recovered.

        Raises StoreError; the next call goes on where this one failed, and recovers nothing twice.
        """
        try:
            await self._repair()
            return await self._read()
        except StoreLost:
            raise
        except StoreDamaged:
            await self._repair()
            return await self._read()

    def suspect(self) -> bool:
        """A reader beside us met damage: reload() is to look at the whole store, and recovers it if that finds any.

        Return False when that has been done in this life, and found nothing: it is not done for each reader.
        """
        doubtful = [part for part in self._parts if part.damaged or not part.is_cleared]
        with suppress(OSError):  # the next reader says so again
            for part in doubtful:
                suspect.mark(part.opening.path)
        return bool(doubtful)

    async def _read(self) -> Snapshot:
        spaces: dict[str, dict[str, bytes]] = {}
        states: dict[str, StreamState] = {}
        for part in self._parts:
            await part.run(lambda db, part=part: _load(db, part))
            states |= part.states
        await self._parts[0].run(lambda db: _load_spaces(db, spaces))
        self._tails = {name: Tail(limits.TAIL_BYTES) for name in states}
        self._failed = False
        self._snapshot = Snapshot(node=self._node, streams=states, spaces=spaces, clean=self._clean)
        return self._snapshot

    async def commit(self, ops: Sequence[effects.Store]) -> None:
        """Make `ops` durable, all or none of each file's. After StoreError nothing more is accepted until reload()."""
        assert not self._failed, "a commit failed: reload() first"
        self._snapshot = None
        self._failed = True  # until proven otherwise: a cancelled commit may or may not have happened
        for part, its in self._split(ops):
            await part.transact(lambda db, part=part, its=its: part.operations.apply(db, its))
        self._failed = False
        for op in ops:
            self._remember(op)

    async def rows(self, stream: str, epoch: str, after: int, upto: int, bytes_max: int) -> list[StoredRow]:
        """Return our rows `after` < seq <= `upto` as stored, lowest first, at most `bytes_max` (or one row)."""
        part = self._part_of(stream)
        if upto <= after or part.operations.epoch(stream) != epoch:
            return []
        rows = self._tails[stream].rows(after, upto)
        if rows is None:
            rows = await part.run(lambda db: _select(db, stream, after, upto, bytes_max))
        return _within(rows, bytes_max)

    async def retire(self, *, now_ms: int, mono_ms: int, kept: Kept) -> int:
        """Take one step of retention (protocol.aio.upkeep.retention); return how much it did: 0 when all is done.

        `now_ms` is the wall clock, `mono_ms` the monotonic one.
        """
        part = self._parts[0]

        def step(db: sqlite3.Connection) -> int:
            part.operations.forget_channels()  # in the file's thread, where the next commit may wait behind this
            return self._retention.step(db, now_ms, mono_ms, kept)

        return await part.transact(step)

    async def close(self) -> None:
        """Mark this life as ended in order, and let the store go.

        What cannot be written, or is damaged, stays marked unclean: the next opening looks at it.
        """
        for part in self._parts:
            if not part.damaged:
                with suppress(StoreError):
                    await part.file.transact(life.end)
        await self._drop()

    async def _add(self, path: Path, streams: list[str], mint: Callable[[], str], *, durable: bool) -> None:
        opening = Opening(
            path=path,
            inode="",
            node=self._node,
            streams=streams,
            mint=mint,
            seen=self._lock.life if durable else 0,
            boot=_boot(),
            durable=durable,
        )
        await asyncio.to_thread(_finish, path)
        self._parts.append(await self._begun(opening))

    async def _begun(self, opening: Opening) -> _Part:
        """Begin a life of a file; when it is damaged, of what is recovered of it."""
        try:
            if opening.seen and _is_empty(opening.path):
                raise StoreDamaged(f"{opening.path} is empty, and was not")
            return await self._begin(opening)
        except StoreDamaged as error:
            await self._recover(opening, error)
            return await self._begin(opening)

    async def _begin(self, opening: Opening) -> _Part:
        """Open a file and begin a life of it."""
        opening = replace(opening, is_log_lost=self._lock.was_left and not wal.of(opening.path).exists())
        file = await SqliteFile.open(
            opening.path, durable=opening.durable, cache_kib=self._cache_kib, wal_bytes=self._wal_bytes
        )
        try:
            await _is_cleared(opening, file)
            opening = replace(opening, inode=str(opening.path.stat().st_ino))
            clean, count = await file.transact(lambda db: life.begin(db, opening))
            if not opening.durable:  # that it is open must survive a power cut: else its seqs are used again (A6)
                await file.run(life.settle)
            else:
                self._note(opening.path, count)
        except BaseException:
            await file.give_up()
            raise
        self._clean = self._clean and clean
        return _Part(replace(opening, seen=count if opening.durable else 0), file, list(opening.streams))

    def _note(self, path: Path, count: int) -> None:
        try:
            self._lock.note(count)
        except OSError as error:
            raise explain(error, path) from error

    async def _repair(self) -> None:
        """Recover the files whose damage was noticed while they were open; open what a former try left closed."""
        for place, part in enumerate(self._parts):
            found = await part.look()
            if part.damaged:
                with suppress(StoreError):
                    await part.file.close()
                await self._recover(part.opening, found)
                part.damaged = False
            if part.file.is_closed:
                self._parts[place] = await self._begun(part.opening)

    async def _recover(self, opening: Opening, error: StoreError | None) -> None:
        from protocol.aio.recovery import ladder  # by who needs it: it costs an agent's daemon a megabyte and more

        if await asyncio.to_thread(_finish, opening.path):
            return  # it was recovered, and a disk that failed kept it from its place
        log.error("%s; what can be read is recovered", error or f"{opening.path} is damaged")
        if not opening.durable:
            await asyncio.to_thread(ladder.start_anew, opening.path)
            suspect.clear(opening.path)
            return
        doubt = await asyncio.to_thread(ladder.recover, opening, self._judge)
        suspect.clear(opening.path)
        log.error(
            "%s is recovered, with new epochs; the damaged file is kept as %s; %s%s",
            opening.path,
            doubt.aside,
            _losses(doubt),
            "; some of the state is lost" if doubt.partial else "",
        )

    async def _drop(self) -> None:
        for part in self._parts:
            with suppress(StoreError):
                await part.file.close()
        self._parts.clear()
        self._lock.release()

    def _split(self, ops: Sequence[effects.Store]) -> list[tuple[_Part, Sequence[effects.Store]]]:
        if len(self._parts) == 1:
            return [(self._parts[0], ops)]
        apart = self._parts[1]
        kept = [op for op in ops if not _is_of(op, apart.streams)]
        rest = [op for op in ops if _is_of(op, apart.streams)]
        return [(part, its) for part, its in ((self._parts[0], kept), (apart, rest)) if its]

    def _part_of(self, stream: str) -> _Part:
        return next(part for part in self._parts if stream in part.streams)

    def _remember(self, op: effects.Store) -> None:
        match op:
            case effects.Rows():
                self._tails[op.stream].append(op.rows)
            case effects.Acked():
                self._tails[op.stream].trim(op.seq)
            case effects.Trim():
                self._tails[op.stream].trim(op.upto)
            case effects.NewEpoch():
                self._tails[op.stream].trim(op.base)
            case effects.Gap():
                self._tails[op.stream].clear()
            case _:
                pass


async def _is_cleared(opening: Opening, file: SqliteFile) -> bool:
    """Check the whole of a suspected file; tell whether it was one. Raises StoreDamaged when it is not whole."""
    if not suspect.is_marked(opening.path):
        return False
    await file.run(lambda db: suspect.look(db, opening.path, opening.streams))
    return True


def _losses(doubt: Doubt) -> str:
    known = [f"{count} rows of {stream} are lost" for stream, count in doubt.lost.items()]
    unknown = [f"rows of {stream} after {seq}, if there were any, are lost" for stream, seq in doubt.unknown.items()]
    return "; ".join(known + unknown) or "no row of its own streams is lost"


def _finish(path: Path) -> bool:
    """End a change of stores that a crash or a failing disk interrupted; tell whether there was one."""
    try:
        return swap.finish(path)
    except OSError as error:
        raise explain(error, path) from error


def _is_of(op: effects.Store, streams: list[str]) -> bool:
    match op:
        case effects.Rows() | effects.Acked() | effects.Trim() | effects.Gap() | effects.NewEpoch():
            return op.stream in streams
        case _:
            return False


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""  # unknown: each unclean start then counts as a power cut


def _load(db: sqlite3.Connection, part: _Part) -> None:
    read = {name: life.read_stream(db, name) for name in part.streams}
    part.states = {name: state for name, (_, state) in read.items()}
    part.operations = Operations({name: head for name, (head, _) in read.items()})


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size < PAGE_BYTES  # SQLite takes less than a page for a new store


def _load_spaces(db: sqlite3.Connection, spaces: dict[str, dict[str, bytes]]) -> None:
    for space, key, value, total in db.execute("SELECT space, key, value, sum FROM state ORDER BY space, key"):
        if checksum(space, key, value) != total:
            raise StoreDamaged(f"the store is damaged: {space} {key} is not what was written")
        spaces.setdefault(space, {})[key] = value


def _select(db: sqlite3.Connection, stream: str, after: int, upto: int, bytes_max: int) -> list[StoredRow]:
    """Read rows, and hold them against the chain: SQLite does not notice a bit that fell over inside a row."""
    rows: list[StoredRow] = []
    size = 0
    query = of(stream, "SELECT seq, raw, hash FROM own_STREAM WHERE seq >= ? AND seq <= ? ORDER BY seq")
    found = db.execute(query, (after, upto))
    for row in found:
        rows.append(row)
        size += len(row[1]) if row[0] > after else 0
        if size > bytes_max:
            break
    found.close()
    if stream in CHAINED and not check.is_chain(rows):
        raise StoreDamaged(f"the store is damaged: rows of {stream} after {after} do not come to their hashes")
    return rows[1:] if rows and rows[0][0] == after else rows


def _within(rows: list[StoredRow], bytes_max: int) -> list[StoredRow]:
    size = 0
    for index, (_, raw, _) in enumerate(rows):
        size += len(raw)
        if size > bytes_max and index:
            return rows[:index]
    return rows
