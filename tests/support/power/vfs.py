"""The disk of this kit as SQLite sees it, by APSW. For one connection with exclusive locking (no shared memory).

Says of itself what the operating system's own VFS says (sectors of 4,096 bytes, a write harms no bytes beside it), and
syncs the folder when that one does: at the first sync of a new write-ahead log or rollback journal.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator
from pathlib import PurePath
from types import TracebackType

import apsw

from tests.support.power.disk import Disk, DiskFailed, DiskFull

_SECTOR_SAID = 4_096
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
_count = itertools.count()


@contextlib.contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except DiskFull:
        raise apsw.FullError("no room") from None
    except DiskFailed:
        raise apsw.IOError("the disk failed") from None


class PowerVfs(apsw.VFS):
    """Use it as a context; `name` is what a connection asks for. Files are known by the last part of their path."""

    def __init__(self, disk: Disk) -> None:
        self.name = f"power-{next(_count)}"
        self._disk = disk
        super().__init__(self.name, base="")

    def excepthook(
        self, etype: type[BaseException] | None, evalue: BaseException | None, etraceback: TracebackType | None
    ) -> bool:
        """Tell that a failure which SQLite ignores (of a checkpoint, of a close) is ours."""
        return isinstance(evalue, apsw.Error)

    def xFullPathname(self, name: str) -> str:
        """Return `name`."""
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:
        """Tell whether the file is there."""
        return PurePath(pathname).name in self._disk.names

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Remove a name."""
        name = PurePath(filename).name
        if name not in self._disk.names:
            raise apsw.IOError  # not there: nothing to do for SQLite
        with _told():
            self._disk.remove(name)
        if syncdir:
            self._disk.sync_names()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open or make a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        assert path is not None, "a temporary file: the schema and the statements need none"
        flags[1] = flags[0]
        known = self._disk.names.get(PurePath(path).name)
        file = self._disk.make(PurePath(path).name) if known is None else known
        new_journal = known is None and bool(flags[0] & _JOURNALS)
        return _File(self._disk, file, new_journal)  # pyright: ignore[reportReturnType] - has all methods of one


class _File:
    """One open file."""

    def __init__(self, disk: Disk, file: int, new_journal: bool) -> None:
        self._disk, self._file, self._names_too = disk, file, new_journal
        self._data = disk.files[file]

    def excepthook(self, etype: object, evalue: object, etraceback: object) -> bool:
        return isinstance(evalue, apsw.Error)

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        with _told():
            self._disk.write(self._file, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:
        with _told():
            self._disk.cut(self._file, newsize)

    def xSync(self, flags: int) -> None:
        with _told():
            self._disk.sync(self._file)
        if self._names_too:
            self._names_too = False
            self._disk.sync_names()

    def xFileSize(self) -> int:
        return len(self._data)

    def xSectorSize(self) -> int:
        return _SECTOR_SAID

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xClose(self) -> None:
        pass
