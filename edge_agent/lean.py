"""The daemon's memory is a feature (DESIGN 10): what keeps it small, and cannot be done by importing less.

Measured on x86-64 with mutual TLS, connected: 35 MiB, of which 20 are the process's own; the
others are pages of libraries that the kernel takes back when it needs them. Deliberately absent: handing those pages
back ourselves, which makes the figure smaller and the device no richer.
"""

from __future__ import annotations

import gc
import os
import sys
import types

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
    # msgspec prefers it to typing, which has all that it takes; an empty one is none to it
    sys.modules.setdefault("typing_extensions", types.ModuleType("typing_extensions"))


def settle() -> None:
    """Let go of what only the start needed, and keep the collector away from what stays."""
    gc.collect()
    gc.freeze()
