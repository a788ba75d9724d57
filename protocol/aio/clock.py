"""Where the moment of an input comes from. One of the two places (with the driver's timer) where time is read."""

from __future__ import annotations

import time
from typing import Protocol

from protocol.effects import Now

_MONO = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""CLOCK_BOOTTIME goes on while the device sleeps; where there is none, CLOCK_MONOTONIC serves."""


class Clock(Protocol):
    """What the driver asks for the time; the simulator has its own."""

    def now(self) -> Now:
        """Return the present moment: `mono` never jumps, `wall` is seconds since 1970; both in seconds."""
        ...

    def mono(self) -> float:
        """Return `now().mono`, without the rest."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Now:
        """Return the present moment."""
        return Now(time.clock_gettime(_MONO), time.time())

    def mono(self) -> float:
        """Return the monotonic seconds, which count a sleep of the device too."""
        return time.clock_gettime(_MONO)
