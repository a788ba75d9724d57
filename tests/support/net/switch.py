"""A switch between hosts, in this process: a heap of timed frames and a seeded dice.

Each ordered pair of ports is a Way, and each way has its own faults: a one-way cut is one Way that is cut. What the
kernel of this machine cannot do (it has no netem) is done here, to real frames of real TCP.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import os
import random
from dataclasses import dataclass

from tests.support.net.host import Host

FRAME_BYTES_MAX = 2_048
FRAMES_PER_TURN = 64
_EVERYBODY = b"\xff" * 6
_IPV4 = b"\x08\x00"
_SPOKEN = (_IPV4, b"\x08\x06")  # IPv4 and ARP; what else a kernel says by itself is noise


@dataclass(kw_only=True)
class Way:
    """How frames go from one host to another. Shares are of 1; a frame beyond `queue_s` of the rate is dropped."""

    cut: bool = False
    loss: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.02
    rate_bytes_s: float = 0.0
    queue_s: float = 1.0
    carried_bytes: int = 0
    ip_bytes: int = 0
    """Of what was carried, as a provider counts: IP packets, without what frames them."""
    dropped: int = 0
    """Frames that were lost."""
    free_at: float = 0.0


class Switch:
    """Joins hosts; on the running loop, from `open` to `close`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._dice = random.Random(seed)
        self._hosts: dict[bytes, Host] = {}
        self._ways: dict[tuple[bytes, bytes], Way] = {}
        self._due: list[tuple[float, int, bytes, bytes]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def join(self, host: Host) -> None:
        """Give a host a port."""
        self._hosts[host.mac] = host
        asyncio.get_running_loop().add_reader(host.tap, self._read, host)

    def way(self, source: Host, target: Host) -> Way:
        """The way from one host to another, to be made bad or good."""
        return self._ways.setdefault((source.mac, target.mac), Way())

    def both(self, one: Host, other: Host) -> tuple[Way, Way]:
        """Both ways between two hosts."""
        return self.way(one, other), self.way(other, one)

    def close(self) -> None:
        """Carry nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        for host in self._hosts.values():
            asyncio.get_running_loop().remove_reader(host.tap)
        self._hosts.clear()

    # ---------------------------------------------------------------------------------------- frames

    def _read(self, host: Host) -> None:
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = os.read(host.tap, FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            if frame[12:14] in _SPOKEN:
                self._route(host, frame)

    def _route(self, source: Host, frame: bytes) -> None:
        target = frame[:6]
        targets = [one for one in self._hosts if one != source.mac] if target == _EVERYBODY else [target]
        for mac in targets:
            if mac in self._hosts:
                self._carry(self.way(source, self._hosts[mac]), mac, frame)

    def _carry(self, way: Way, target: bytes, frame: bytes) -> None:
        dice, now = self._dice, asyncio.get_running_loop().time()
        if way.cut or dice.random() < way.loss:
            way.dropped += 1
            return
        at = now
        if way.rate_bytes_s:
            at = max(now, way.free_at) + len(frame) / way.rate_bytes_s
            if at - now > way.queue_s:
                way.dropped += 1
                return
            way.free_at = at
        way.carried_bytes += len(frame)
        way.ip_bytes += int.from_bytes(frame[16:18]) if frame[12:14] == _IPV4 else 0
        for _ in range(2 if dice.random() < way.duplicate else 1):
            late = dice.random() * way.jitter_s + (way.reorder_s if dice.random() < way.reorder else 0.0)
            self._deliver(at + way.delay_s + late, now, target, frame)

    def _deliver(self, at: float, now: float, target: bytes, frame: bytes) -> None:
        if at <= now:
            self._write(target, frame)
            return
        self._count += 1
        heapq.heappush(self._due, (at, self._count, target, frame))
        if self._due[0][1] == self._count:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._due[0][0], self._expire) if self._due else None

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._due and self._due[0][0] <= now:
            _, _, target, frame = heapq.heappop(self._due)
            self._write(target, frame)
        self._arm()

    def _write(self, target: bytes, frame: bytes) -> None:
        host = self._hosts.get(target)
        if host is None:
            return
        try:
            os.write(host.tap, frame)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOBUFS, errno.EIO):  # full, or going down: a lost frame
                raise
