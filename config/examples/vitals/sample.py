"""Samples this machine and tells it through SKERRY_SOCKET; the standard library is all it needs.

It goes on while nobody listens: what could not be told waits here, and goes up when the agent is back. One sample is
on its way at a time. If the agent dies before it answers, nobody knows whether that one was kept; then it is said again
under the same id, and the agent keeps it once.
"""

import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

EVERY_S = float(os.environ.get("EVERY", "1"))
NODE = os.environ.get("SKERRY_NODE", "here")
WAITING_MAX = 100_000
RECENT_BYTES_MAX = 1_000_000
ANSWER_WAIT_S = 10.0


def recent_file() -> Path:
    """Return where the last samples lie for vitals-report: a folder of this user's own."""
    folder = Path(tempfile.gettempdir()) / f"skerry-vitals-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise SystemExit(f"{folder} belongs to somebody else: remove it")
    return folder / f"{NODE}.jsonl"


def processors() -> tuple[int, int]:
    """Return (busy, all) in ticks since the machine started."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def memory_used() -> float:
    """Return the share of memory that is in use."""
    fields = (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    sizes = {name: int(value.split()[0]) for name, value in fields}
    return 1 - sizes["MemAvailable"] / sizes["MemTotal"]


def temperature() -> float | None:
    """Return degrees Celsius, where the machine has a sensor."""
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp")):
        with contextlib.suppress(OSError, ValueError):
            return int(zone.read_text()) / 1000
    return None


def sample(number: int, before: tuple[int, int], now: tuple[int, int]) -> dict:
    """Return one sample; the processors' share is that since the one before."""
    disk = shutil.disk_usage("/")
    return {
        "n": number,
        "cpu": round((now[0] - before[0]) / max(1, now[1] - before[1]), 3),
        "load": os.getloadavg()[0],
        "memory": round(memory_used(), 3),
        "disk": round(disk.used / disk.total, 3),
        "temperature": temperature(),
    }


class Ledger:
    """The producer's own account, fsynced: which numbers it stands for. Without a folder it keeps none."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / f"{NODE}.samples" if folder else None

    def last(self) -> int:
        """Return the greatest number it ever stood for."""
        known = self.path.read_text().split() if self.path and self.path.exists() else []
        return max(map(int, known), default=0)

    def add(self, number: int) -> None:
        """Stand for `number`, durably."""
        if self.path:
            with self.path.open("a") as file:
                file.write(f"{number}\n")
                file.flush()
                os.fsync(file.fileno())


class Agent:
    """The agent on this device, as it is reached through SKERRY_SOCKET."""

    def __init__(self) -> None:
        self.path = os.environ.get("SKERRY_SOCKET", "")
        self.link: socket.socket | None = None

    def connect(self) -> bool:
        """Tell whether it listens."""
        if self.link is None and self.path:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(ANSWER_WAIT_S)
            try:
                link.connect(self.path)
            except OSError:
                link.close()
            else:
                self.link = link
        return self.link is not None

    def tell(self, body: dict) -> bool:
        """Tell one sample; False when nobody knows whether it was kept."""
        assert self.link is not None
        try:
            self.link.sendall(json.dumps({"kind": "sample", "id": body["n"], "body": body}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = self.link.recv(4096)
                if not part:
                    raise ConnectionError("it hung up")
                answer += part
        except OSError:
            self.link.close()
            self.link = None
            return False
        if "error" in json.loads(answer):
            print("refused:", answer.decode().strip())
        return True


def keep_recent(path: Path, body: dict) -> None:
    """Append to the file of recent samples; the older half goes when it is full."""
    if path.exists() and path.stat().st_size > RECENT_BYTES_MAX:
        lines = path.read_text().splitlines(keepends=True)
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(lines[len(lines) // 2 :]))
        fresh.replace(path)
    with path.open("a") as file:
        file.write(json.dumps(body) + "\n")


def main() -> None:
    """Sample until SIGTERM; then tell what is still waiting, if somebody listens."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    ledger, agent, recent = Ledger(os.environ.get("LEDGER", "")), Agent(), recent_file()
    number, waiting = ledger.last(), collections.deque(maxlen=WAITING_MAX)
    before = processors()
    due = time.monotonic() + EVERY_S
    while True:
        while not stopped and time.monotonic() < due:
            time.sleep(max(0.0, min(0.05, due - time.monotonic())))
        if not stopped:
            due, now = max(due + EVERY_S, time.monotonic()), processors()
            number += 1
            body = sample(number, before, now)
            before = now
            ledger.add(number)
            keep_recent(recent, body)
            waiting.append(body)
            print(f"sample {number}: cpu {body['cpu']:.0%}, memory {body['memory']:.0%}")
        while waiting and agent.connect():
            if agent.tell(waiting[0]):
                waiting.popleft()
        if stopped:
            return


if __name__ == "__main__":
    main()
