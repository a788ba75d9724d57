"""Questions that are open to nodes below this hub: put to the child on whose side a node is, answered part by part.

Nothing of it outlasts a life: who asked asks again. A child hub passes on what is for a node below it, and so on down;
whichever tier is away, the answer says which, and since when (INVARIANTS B).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from hub.core import views
from hub.core.registry import Refusal
from protocol import limits
from protocol.effects import Effects, Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

QUESTIONS = frozenset({"logs", "status", "runs"})

Reply = Callable[[int, bool, bytes, str, Effects], None]
"""Takes one part of an answer: (part, last, JSON, why there is none or "", the effects)."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an answer that says why there is none; part of the wire (`{"error": TEXT}`)."""

    error: str


_failure = msgspec.json.Decoder(Failure)


def failure(text: str) -> bytes:
    """Return the data of the answer that says why there is none."""
    return msgspec.json.encode(Failure(error=text))


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    child: str
    due: float
    wait_s: float
    reply: Reply


class Asking:
    """The questions that wait for answers from below."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._open: dict[str, _Open] = {}

    def ask(
        self,
        id: str,  # noqa: A002 - the link's word
        address: str,
        what: str,
        params: dict[str, str],
        wait_s: float,
        reply: Reply,
        now: Now,
        fx: Effects,
    ) -> None:
        """Put a question to the node at `address`. Raises Refusal when it cannot be put, and says why."""
        core = self._core
        if what not in QUESTIONS:
            raise Refusal(f"{what[:80]!r} is no question: ask for {', '.join(sorted(QUESTIONS))}", 422)
        spot = core.subtree.get(address)
        if not spot.through:
            core.registry.living(spot.name)
        if spot.state != "online" or (not spot.through and core.parent.view(spot.name).quiet):
            raise Refusal(views.away_text(core, spot))
        if sum(1 for one in self._open.values() if one.address == spot.address) >= limits.ASKS_OPEN_MAX:
            raise Refusal(f"{limits.ASKS_OPEN_MAX} questions to {spot.address} are open: try again in a moment", 503)
        child, _, below = spot.address.partition("/")
        self._open[id] = _Open(address=spot.address, child=child, due=now.mono + wait_s, wait_s=wait_s, reply=reply)
        core.parent.ask(child, id, int((now.wall + wait_s) * 1000), what, params, now, fx, at=below)

    def forget(self, ids: list[str]) -> None:
        """Nobody waits for these any more."""
        for one in ids:
            self._open.pop(one, None)

    def answer(self, child: str, id: str, part: int, last: bool, data: bytes, fx: Effects) -> None:  # noqa: A002
        """A part of an answer came; one that nobody waits for, or that comes by another child, is dropped."""
        question = self._open.get(id)
        if question is None or question.child != child:
            return
        if len(data) > limits.ANSWER_BYTES_MAX:
            text = f"{question.address} answered more than {limits.ANSWER_BYTES_MAX} bytes at once: not passed on"
            self._end([id], text, fx)
        elif data.startswith(b'{"error"'):
            self._end([id], _why(data), fx)
        else:
            if last:
                del self._open[id]
            question.reply(part, last, data, "", fx)

    def left(self, child: str, fx: Effects) -> None:
        """`child` is away: it answers no more, nor does what is below it."""
        for ask, question in list(self._open.items()):
            if question.child == child:
                whom = f"{question.address} had" if question.address != child else "it had"
                self._end([ask], f"{child} went away before {whom} answered", fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """End the questions whose time is over."""
        for ask, question in list(self._open.items()):
            if now.mono >= question.due:
                self._end([ask], f"{question.address} did not answer within {question.wait_s:.0f} s", fx)

    def next_wake(self) -> float:
        """Return the mono time at which a question's time is over."""
        return min((question.due for question in self._open.values()), default=float("inf"))

    def _end(self, asks: list[str], error: str, fx: Effects) -> None:
        for ask in asks:
            self._open.pop(ask).reply(0, True, b"null", error, fx)


def _why(data: bytes) -> str:
    try:
        return _failure.decode(data).error[: limits.ANSWER_ERROR_CHARS_MAX]
    except (msgspec.DecodeError, ValueError):
        return "it answered what cannot be read: is it of another version?"
