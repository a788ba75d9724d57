"""What a package of Debian says of itself (deb(5), deb-control(5)), read where there may be no dpkg."""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import zstandard

from protocol import limits

_MAGIC, _HEAD_BYTES = b"!<arch>\n", 60
_FAILED = (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def fields(path: Path) -> dict[str, str]:
    """Return the fields of its control file, of each the first line. Raises ValueError: it is no whole package."""
    try:
        with path.open("rb") as file:
            kind, raw = _control(file, path.stat().st_size)
        with tarfile.open(fileobj=io.BytesIO(_opened(kind, raw))) as archive:
            member = next(one for one in archive if one.name.removeprefix("./") == "control" and one.isfile())
            text = archive.extractfile(member)
            assert text is not None
            lines = text.read(limits.DEB_CONTROL_BYTES_MAX).decode().splitlines()
    except StopIteration as error:
        raise ValueError("it holds no control file") from error
    except _FAILED as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def members(file: IO[bytes], size: int) -> list[tuple[str, int, int]]:
    """Return the members of a package of `size` bytes: the name of each, where it begins, how long it is.

    Raises ValueError unless it ends where the last one ends: a copy may still go on. Raises OSError.
    """
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as a package does")
    found: list[tuple[str, int, int]] = []
    place = len(_MAGIC)
    while place < size and len(found) < limits.DEB_MEMBERS_MAX:
        file.seek(place)
        head = file.read(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES or head[58:] != b"`\n" or not head[48:58].strip().isdigit():
            break
        length = int(head[48:58])
        found.append((head[:16].decode().strip().removesuffix("/"), place + _HEAD_BYTES, length))
        place += _HEAD_BYTES + length + length % 2
    if place != size or not found:
        raise ValueError("it is not whole: copy it again")
    return found


def _control(file: IO[bytes], size: int) -> tuple[str, bytes]:
    """Return how the control archive is compressed, and its bytes."""
    for name, place, length in members(file, size):
        if name.startswith("control.tar") and length <= limits.DEB_CONTROL_BYTES_MAX:
            file.seek(place)
            return name.removeprefix("control.tar").removeprefix("."), file.read(length)
    raise ValueError("it holds no control file")


def _opened(kind: str, raw: bytes) -> bytes:
    """Return what `raw` holds, compressed as `kind`, at most DEB_CONTROL_BYTES_MAX of it."""
    most = limits.DEB_CONTROL_BYTES_MAX
    ways: dict[str, Callable[[], bytes]] = {
        "": lambda: raw,
        "xz": lambda: lzma.LZMADecompressor().decompress(raw, most),
        "gz": lambda: zlib.decompressobj(31).decompress(raw, most),
        "zst": lambda: zstandard.ZstdDecompressor().stream_reader(raw).read(most),
    }
    if kind not in ways:
        raise ValueError(f"its control file is compressed as {kind[:20]!r}, which is not known")
    return ways[kind]()
