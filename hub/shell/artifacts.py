"""Artifacts on the hub's disk: one file for each, named by the digest of its bytes, verified before it gets its name.

An upload goes to a file of its own, is hashed as it comes, and is renamed into place only when it is whole: whatever
breaks off, or would be beyond limits.ARTIFACTS_BYTES_MAX with all others, leaves nothing. Which of them go, the core
decides (hub.core.work.artifacts). What a device fetches is read from the file by Starlette's FileResponse, ranges
included.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from hub.core.work.artifacts import no_room
from hub.shell.desk import Failed
from protocol import ids, limits
from protocol.aio.upkeep import synced
from protocol.errors import TooLarge

_PART = ".part-"


class Artifacts:
    """The folder of artifacts."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, and remove what interrupted uploads left in it."""
        self._folder = folder
        self._uploads = 0
        self.coming = 0
        """Bytes of uploads that are under way."""
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in folder.glob(f"{_PART}*"):
            path.unlink(missing_ok=True)
        self._whole = sum(self.here().values())

    def path(self, digest: str) -> Path:
        """Return where the artifact lies or would lie. Raises BadId: a name from outside is checked first (C6)."""
        return self._folder / ids.digest(digest).removeprefix("sha256:")

    def size(self, digest: str) -> int | None:
        """Return its size in bytes, or None when it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def here(self) -> dict[str, int]:
        """Return the size in bytes of each artifact in the folder, by digest."""
        names = {f"sha256:{path.name}": path for path in self._folder.iterdir()}
        return {digest: path.stat().st_size for digest, path in names.items() if ids.is_digest(digest)}

    def lacks(self, size: int) -> bool:
        """Tell whether `size` more bytes are more than there is room for."""
        return self._whole + self.coming + size > limits.ARTIFACTS_BYTES_MAX

    def drop(self, digest: str) -> None:
        """Delete the file of an artifact; harmless when there is none. Who reads it reads on."""
        size = self.size(digest)
        if size is not None:
            self.path(digest).unlink()
            self._whole -= size

    async def receive(self, digest: str, chunks: AsyncIterator[bytes]) -> int:
        """Store what `chunks` yields as `digest`; return its size. Raises TooLarge, Failed; then nothing is kept."""
        target = self.path(digest)
        if self._uploads >= limits.UPLOADS_MAX:
            raise Failed(f"{limits.UPLOADS_MAX} uploads are under way: try again in a moment", 503)
        self._uploads += 1
        size = 0

        def take(more: int) -> None:
            nonlocal size
            if self.lacks(more):
                raise Failed(no_room(self._whole + self.coming - size, size + more), 507)
            size += more
            self.coming += more

        part = self._folder / f"{_PART}{secrets.token_hex(8)}"
        try:
            found = await _write(part, chunks, take)
            if found != digest:
                raise Failed(f"the bytes that came are {found}, not {digest}: did the folder change under way?", 422)
            is_new = self.size(digest) is None  # else another upload of the same was quicker
            part.replace(target)
            self._whole += size if is_new else 0
            await asyncio.to_thread(synced.sync_folder, self._folder)
            return size
        except OSError as error:
            raise _unstored(error) from error
        finally:
            self._uploads -= 1
            self.coming -= size
            part.unlink(missing_ok=True)


def _unstored(error: OSError) -> Failed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed("the hub's disk is full: free some space there, then upload again", 507)
    return Failed(f"the hub cannot store the artifact: {error.strerror or error}", 500)


async def _write(part: Path, chunks: AsyncIterator[bytes], take: Callable[[int], None]) -> str:
    """Write `chunks` to `part`; return their digest. `take` hears each one's size first, and raises when it is full."""
    hashed = hashlib.sha256()
    size = 0
    gathered = bytearray()
    with open(part, "xb", opener=_private) as file:  # noqa: ASYNC230 - the writes are in a thread
        async for chunk in chunks:
            size += len(chunk)
            if size > limits.ARTIFACT_BYTES_MAX:
                raise TooLarge(f"an artifact of more than {limits.ARTIFACT_BYTES_MAX} bytes: make it smaller")
            take(len(chunk))
            gathered += chunk
            if len(gathered) >= limits.ARTIFACT_CHUNK_BYTES:
                await asyncio.to_thread(_take, file.write, hashed.update, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(_take, file.write, hashed.update, bytes(gathered))
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    return "sha256:" + hashed.hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _take(write: Callable[[bytes], int], update: Callable[[bytes], None], data: bytes) -> None:
    update(data)
    write(data)
