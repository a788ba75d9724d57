"""The daemon's memory is a feature (DESIGN 10): what keeps it small, and cannot be done by importing less.

Measured on x86-64 with mutual TLS, connected, its bytecode cached: 40 MiB with `become`, of which 20 are the process's
own; the others are pages of libraries, most of which only the start needed. After `settle` 29, and 35 once a task has
run. Without cached bytecode it is 7 more: what is compiled at the start leaves holes in the heap.
"""

from __future__ import annotations

import gc
import os
import sys
import types

_MADV_DONTNEED = 4
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",  # one heap for all threads
    # without it, zoneinfo loads all of Python's build configuration to learn this very path
    "PYTHONTZPATH": "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo",
}


def become() -> None:
    """Start this process over in a lean environment, once; pid and arguments stay. Before anything heavy is imported.

    Workloads get none of that environment (shell/runners/script.py).
    """
    missing = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **missing})  # noqa: S606 - ourselves
    # paho imports it to look for proxies, and with it http, tempfile and more: a megabyte for what a link never uses
    unused = types.ModuleType("urllib.request")
    unused.__dict__["getproxies"] = dict
    sys.modules.setdefault("urllib.request", unused)


def settle() -> None:
    """Let go of what only the start needed: garbage, and the pages of code that ran once.

    Code is dropped where it is mapped read-only and not one byte of it was changed here; what is needed again comes
    back from the file, a page at a time.
    """
    gc.collect()
    gc.freeze()
    try:
        import ctypes

        madvise = ctypes.CDLL(None).madvise
    except (ImportError, OSError, AttributeError):
        return
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, size in _untouched_code():
        madvise(start, size, _MADV_DONTNEED)


def _untouched_code() -> list[tuple[int, int]]:
    """Return (address, bytes) of each mapping of a file's code that holds no page of our own."""
    found: list[tuple[int, int]] = []
    place: tuple[int, int] | None = None
    try:
        with open("/proc/self/smaps") as smaps:
            for line in smaps:
                words = line.split()
                if not words[0].endswith(":"):
                    start, end = (int(word, 16) for word in words[0].split("-"))
                    is_code = words[1] == "r-xp" and len(words) > 5 and words[5].startswith("/")
                    place = (start, end - start) if is_code else None
                elif words[0] == "Anonymous:" and words[1] == "0" and place is not None:
                    found.append(place)
    except OSError:
        return []
    return found
