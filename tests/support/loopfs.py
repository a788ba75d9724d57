"""A file system of its own, in a file, whose power can be cut: only what was fsynced is there after `mend`.

Needs root, loop devices and ext4; skips with the reason where one is missing. Unmounted at the end, whatever happened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest

SIZE = "64M"
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2
_UMOUNT_WAIT_S = 30.0


class LoopDisk:
    """The disk at `place`, which lives in the file `image`."""

    def __init__(self, place: Path, image: Path) -> None:
        self.place, self._image = place, image

    def lose_power(self) -> None:
        """From now on nothing reaches the disk; whoever writes gets EIO."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(handle)

    def mend(self) -> None:
        """Put what was durable back in place. Nobody may have a file open there; waits for those who are ending.

        Those in mount namespaces of their own too: as long as one has it mounted, a new mount is the dead disk again.
        """
        until = time.monotonic() + _UMOUNT_WAIT_S
        while (done := _run("umount", str(self.place))).returncode:
            assert time.monotonic() < until, f"still in use: {done.stderr.decode()}"
            time.sleep(0.02)  # bounded poll
        while used := _run("losetup", "-j", str(self._image)).stdout:
            assert time.monotonic() < until, f"still mounted somewhere: {used.decode()}"
            time.sleep(0.02)  # bounded poll
        mounted = self.mount()
        assert not mounted.returncode, mounted.stderr.decode()

    def mount(self) -> subprocess.CompletedProcess[bytes]:
        """Mount it."""
        return _run("mount", "-o", "loop", "-t", "ext4", str(self._image), str(self.place))


@contextlib.contextmanager
def loop_disk(place: Path, image: Path) -> Generator[LoopDisk]:
    """A new, empty disk at `place`."""
    if os.geteuid() != 0:
        pytest.skip("a disk that loses its power needs root, to mount it")
    if shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        pytest.skip("a disk that loses its power needs mkfs.ext4 (sudo apt install e2fsprogs)")
    place.mkdir(parents=True)
    _run("truncate", "-s", SIZE, str(image))
    made = _run("mkfs.ext4", "-q", "-F", str(image))
    assert not made.returncode, made.stderr.decode()
    disk = LoopDisk(place, image)
    mounted = disk.mount()
    if mounted.returncode:
        pytest.skip(f"this machine mounts no loop device: {mounted.stderr.decode().strip()}")
    try:
        (place / "lost+found").rmdir()
        os.sync()
        yield disk
    finally:
        _run("umount", "-l", str(place))


def _run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, check=False, capture_output=True)
