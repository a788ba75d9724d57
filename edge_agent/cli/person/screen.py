"""The terminal while it shows a full screen: it is given back as it was, however that ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Generator
from types import FrameType


@contextlib.contextmanager
def ending() -> Generator[None]:
    """Let SIGTERM and SIGHUP end it in order, as ctrl-c does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def keys() -> Generator[int | None]:
    """Give keys as they are pressed, unseen; None where no person types."""
    if not sys.stdin.isatty():
        yield None
        return
    import termios
    import tty

    handle = sys.stdin.fileno()
    former = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield handle
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, former)


def quits(keys: int | None, wait_s: float) -> bool:
    """Wait; tell whether the person wants to leave."""
    if keys is None:
        time.sleep(wait_s)
        return False
    pressed, _, _ = select.select([keys], [], [], wait_s)
    return bool(pressed) and os.read(keys, 64)[:1] in (b"q", b"Q", b"")
