"""A workload that writes entries as fast as they become durable. Run by an agent as a plain script: no imports of ours.

For each file `GO/N.go` (N = 1, 2, ...; JSON {"count", "batch"}): write that many entries of 200 bytes, `batch` lines in
one write, at most 8 batches ahead of the acks; then `GO/N.NODE.done` (fsynced): {"count", "began", "ended"}, monotonic.
"""

import json
import os
import pathlib
import socket
import time
from typing import Any, BinaryIO

AHEAD_BATCHES = 8
LOOK_S = 0.005
BODY = json.dumps({"t": 21.5, "pad": "x" * 180}, separators=(",", ":"))  # 200 bytes
LINE = ('{"kind":"bench","body":' + BODY + "}\n").encode()


def main() -> None:
    """Serve one round after another, for ever."""
    folder, node = pathlib.Path(os.environ["GO"]), os.environ["SKERRY_NODE"]
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.environ["SKERRY_SOCKET"])
    replies = sock.makefile("rb")
    write_down(folder / f"0.{node}.done", {"count": 0})
    turn, acked = 0, 0
    while True:
        turn += 1
        order = wait(folder / f"{turn}.go")
        if node not in order["nodes"]:
            continue
        began, count = time.monotonic(), order["count"]
        send(sock, replies, acked, count, order["batch"])
        acked += count
        found = {"count": count, "began": began, "ended": time.monotonic()}
        write_down(folder / f"{turn}.{node}.done", found)


def wait(path: pathlib.Path) -> dict[str, Any]:
    """Return what stands in `path` once it is there."""
    while not path.exists():
        time.sleep(LOOK_S)
    return json.loads(path.read_text())


def send(sock: socket.socket, replies: BinaryIO, before: int, count: int, batch: int) -> None:
    """Write `count` entries and wait for all their acks."""
    block = LINE * batch
    sent = acked = 0
    while acked < count:
        while sent < count and sent - acked < AHEAD_BATCHES * batch:
            sock.sendall(block)
            sent += batch
        acked = json.loads(replies.readline())["acked"] - before


def write_down(path: pathlib.Path, what: dict[str, float]) -> None:
    """Write, fsync, and only then let it be seen."""
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write(json.dumps(what))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


if __name__ == "__main__":
    main()
