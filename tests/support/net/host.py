"""A host: a network namespace without a name, its TAP device, and sockets and processes that live in it.

The namespace, the device and all routes are held by two file descriptors of this process and by what runs inside:
when they are gone, all of it is gone. Nothing has to be cleaned up by name, even after kill -9 of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hub.demo.wire import Wire

NET = "10.77.0"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_COMMAND_WAIT_S = 10.0
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


@functools.cache
def missing() -> str:
    """Say what this machine lacks to make hosts, or ""."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not Path("/dev/net/tun").exists():
        return "this kernel has no TAP devices (/dev/net/tun)"
    for program in ("ip", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed here (sudo apt install iproute2 util-linux)"
    try:
        Host(1).close()
    except OSError as error:
        return f"no network namespace can be made here: {error.strerror or error}"
    return ""


class Host:
    """One namespace with one device, at 10.77.0.`number`. Raises OSError where the kernel does not let us."""

    def __init__(self, number: int) -> None:
        self.address = f"{NET}.{number}"
        self.mac = bytes((2, 0, 0, 0, 0, number))
        self.space, self.tap = _apart(_make)
        try:
            self._configure()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        mac = self.mac.hex(":")
        for words in (
            "ip link set lo up",
            f"ip link set tap0 address {mac}",
            f"ip address add {self.address}/24 dev tap0",
            "ip link set tap0 up",
        ):
            done = subprocess.run(
                [*self.inside, *words.split()],
                capture_output=True,
                text=True,
                timeout=_COMMAND_WAIT_S,
            )
            if done.returncode != 0:
                raise OSError(f"`{words}` in the namespace of {self.address}: {done.stderr.strip()}")

    @property
    def inside(self) -> tuple[str, ...]:
        """Words before a command that let it run on this host; its pid stays the one that was started."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.space}")

    def socket(self) -> socket.socket:
        """A TCP socket of this host, that does not block."""
        return _apart(functools.partial(_socket_in, self.space))

    def close(self) -> None:
        """Let go of it; what still runs inside keeps the namespace, not the device."""
        for one in (self.tap, self.space):
            with contextlib.suppress(OSError):
                os.close(one)


class Gate(Wire):
    """A wire from a loopback port of the tests' own namespace to a port on a host."""

    def __init__(self, host: Host, port: int) -> None:
        super().__init__(host.address, port)
        self._host = host

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from inside the host."""
        made = self._host.socket()
        try:
            await asyncio.get_running_loop().sock_connect(made, self.target)
        except BaseException:
            made.close()
            raise
        return await asyncio.open_connection(sock=made)


def _make() -> tuple[int, int]:
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    space = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH14x", b"tap0", _IFF_TAP | _IFF_NO_PI))
    return space, tap


def _socket_in(space: int) -> socket.socket:
    if _libc.setns(space, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    made = socket.socket()
    made.setblocking(False)
    return made


def _apart(deed: Callable[[], T]) -> T:
    """Run `deed` in a thread of its own, which takes its namespace with it; return or raise what it did."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(deed())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
