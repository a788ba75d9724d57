"""Emits 1, 2, 3, ... through SKERRY_SOCKET; runs on a device with the standard library alone.

    python3 producer.py LEDGER-FOLDER SECONDS-APART

`NODE.ran` gets a line when it begins: which socket it has, when, for which service, and whether it is alone (it holds
a lock as long as it lives). `NODE.tried` gets a number, fsynced, before it is emitted, and `NODE.kept` after the
answer. A number is never emitted twice: one whose answer did not come stays `tried`, and nobody knows whether it was
kept.
"""

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TextIO

FOLDER, EVERY_S = sys.argv[1], float(sys.argv[2])
NODE = os.environ["SKERRY_NODE"]


def account(what: str) -> Callable[[int], None]:
    """Return how to write a number down for good."""
    handle = os.open(f"{FOLDER}/{NODE}.{what}", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)

    def write(number: int) -> None:
        os.write(handle, b"%d\n" % number)
        os.fsync(handle)

    return write


def begin() -> int:
    """Write down that this process runs; return the lock, which is held until it is gone."""
    service, tag = os.environ["SKERRY_SERVICE"], os.path.basename(os.environ["SKERRY_SOCKET"]).removesuffix(".sock")
    lock = os.open(f"{FOLDER}/{NODE}.{service}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    alone = "alone"
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        alone = "beside"
    handle = os.open(f"{FOLDER}/{NODE}.ran", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(handle, f"{tag} {time.clock_gettime(time.CLOCK_MONOTONIC)} {service} {alone}\n".encode())
    os.fsync(handle)
    os.close(handle)
    return lock


def last() -> int:
    """Return the greatest number that was ever tried."""
    with contextlib.suppress(OSError), open(f"{FOLDER}/{NODE}.tried") as file:
        return max(map(int, file.read().split()), default=0)
    return 0


def connected() -> tuple[socket.socket, TextIO]:
    """Return a socket to the agent, when there is one."""
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(os.environ["SKERRY_SOCKET"])
        except OSError:
            link.close()
            time.sleep(0.02)  # bounded poll: the test that started this ends it
        else:
            return link, link.makefile("r")


def main() -> None:
    """Emit until stopped."""
    begin()
    number, tried, kept = last(), account("tried"), account("kept")
    link, answers = connected()
    while True:
        number += 1
        tried(number)
        answer = ""
        with contextlib.suppress(OSError):
            link.sendall(json.dumps({"kind": "number", "body": {"n": number}}).encode() + b"\n")
            answer = answers.readline()
        if '"acked"' in answer:
            kept(number)
        elif '"error"' not in answer:
            link.close()
            link, answers = connected()
        time.sleep(EVERY_S)  # paces


if __name__ == "__main__":
    main()
