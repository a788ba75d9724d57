"""What each service takes of the device: looked up by the one who looks, not by the daemon."""

from __future__ import annotations

import time

import msgspec
import psutil

from protocol.doctor import words


class Used(msgspec.Struct, frozen=True):
    """In words; `–` where it does not run, or may not be seen."""

    cpu: str = "–"
    memory: str = "–"


class Meter:
    """Measures; a share of the cpu is over the time since the last sample, and of one cpu."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def sample(self, pids: dict[str, int]) -> dict[str, Used]:
        """Return what the processes of each service take, by the pid that leads them (0: none)."""
        now, found = time.monotonic(), {name: _sum(pid) for name, pid in pids.items()}
        before, self._before = self._before, {name: (now, seen[0]) for name, seen in found.items() if seen}
        return {name: self._words(seen, before.get(name), now) for name, seen in found.items()}

    def _words(self, seen: tuple[float, int] | None, before: tuple[float, float] | None, now: float) -> Used:
        if seen is None:
            return Used()
        cpu_s, memory = seen
        share = "–"
        if before is not None and now > before[0]:
            share = f"{max(0.0, 100 * (cpu_s - before[1]) / (now - before[0])):.0f} %"
        return Used(share, words.size(memory))


def _sum(pid: int) -> tuple[float, int] | None:
    """Return (cpu seconds, bytes of memory) of a process and all that it started."""
    if not pid:
        return None
    try:
        lead = psutil.Process(pid)
        tree = [lead, *lead.children(recursive=True)]
    except psutil.Error:
        return None
    cpu_s, memory = 0.0, 0
    for one in tree:
        try:
            times = one.cpu_times()
            cpu_s += times.user + times.system
            memory += one.memory_info().rss
        except psutil.Error:
            continue  # it has ended, or is not ours to see
    return cpu_s, memory
