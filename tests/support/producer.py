"""Emits 1, 2, 3, ... through SKERRY_SOCKET; runs on a device with the standard library alone.

    python3 producer.py LEDGER-FOLDER SECONDS-APART

`NODE.tried` gets a number, fsynced, before it is emitted, and `NODE.kept` after the agent's answer. A number is never
emitted twice: one whose answer did not come stays `tried`, and nobody knows whether it was kept.
"""

import contextlib
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
