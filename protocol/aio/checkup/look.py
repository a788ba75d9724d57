"""Looks at many things at the same time, and waits for none of them longer than it must.

Each look is a thread of its own that nobody joins: a folder on a network that is gone may hold it for ever, and then
that one fact is unseen and the others are told.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from protocol import limits
from protocol.doctor.facts import Clock
from protocol.doctor.findings import Unseen
from protocol.errors import SkerryError

T = TypeVar("T")
_RESTORE = "the other findings say which file; put it back from a backup"


class Look(Generic[T]):
    """One look, begun when it is made."""

    def __init__(self, what: str, find: Callable[[], T], again: str = "") -> None:
        """`what` names it for people; `again`: what to do when one may not look."""
        self._what, self._find, self._again = what, find, again
        self._seen: T | Unseen | None = None
        self._until = time.monotonic() + limits.DOCTOR_WAIT_S
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def seen(self) -> T | Unseen:
        """Return the fact, or why there is none, at most limits.DOCTOR_WAIT_S after the look began."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if self._seen is None:
            why = f"{self._what} did not answer within {limits.DOCTOR_WAIT_S:g} s"
            return Unseen(why=why, next="does it lie on a network or a disk that hangs? see dmesg, and try again")
        return self._seen

    def _run(self) -> None:
        try:
            self._seen = self._find()
        except PermissionError as error:
            self._seen = Unseen(why=f"you may not look at {error.filename or self._what}", next=self._again)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            why = f"{self._what} cannot be looked at: {where}{error.strerror or error}"
            self._seen = Unseen(why=why, next="see dmesg, and try again")
        except SkerryError as error:
            self._seen = Unseen(why=str(error), next=self._again)
        except ValueError as error:  # no text, no certificate, no JSON where there should be some
            self._seen = Unseen(why=f"{self._what}: a file is damaged ({error})", next=_RESTORE)
        except Exception as error:  # what lies there may be made by anybody, and one bad file hides no other finding
            why = f"{self._what} holds what nobody expects there ({type(error).__name__}: {error})"
            self._seen = Unseen(why=why, next=_RESTORE)


def clocks() -> tuple[float, float]:
    """Return (wall, monotonic) seconds."""
    return time.time(), time.monotonic()


def clock(began: tuple[float, float]) -> Clock:
    """Return our clock as it is now, and how far it went off the monotonic one since `began` (see `clocks`)."""
    wall, mono = clocks()
    return Clock(now_ms=int(wall * 1000), jumped_s=(wall - began[0]) - (mono - began[1]))


def quietly(find: Callable[[], T], otherwise: T) -> T:
    """Return what `find` finds, `otherwise` where this machine does not tell."""
    with contextlib.suppress(OSError, ValueError):
        return find()
    return otherwise
