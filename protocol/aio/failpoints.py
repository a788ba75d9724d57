"""Named places where a process can be told to die, for acceptance tests: `SKERRY_FAILPOINT=NAME[:N]`.

At the N-th time (default 1) that NAME is passed, the process kills itself with SIGKILL: no handler runs, nothing is
flushed, as in a crash. Unset, `armed` is None and a place costs one comparison:

    if failpoints.armed is not None:
        failpoints.hit("after-store")

Places in the driver, in the order of effects: `before-store`, `in-store` (rows written, not committed),
`after-store`, `after-send`, `after-act`.
"""

from __future__ import annotations

import os
import signal

PLACES = ("before-store", "in-store", "after-store", "after-send", "after-act")


def _parse(text: str) -> tuple[str | None, int]:
    name, _, count = text.partition(":")
    return (name or None), int(count) if count.isdecimal() else 1


armed, _left = _parse(os.environ.get("SKERRY_FAILPOINT", ""))


def hit(place: str) -> None:
    """Die here when `place` is the armed one and its count is reached."""
    global _left
    if place != armed:
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
