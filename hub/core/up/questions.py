"""What this hub's parent asks: answered here, or passed on to the child on whose side the node is (DESIGN 4).

A question holds as long as the session in which it came. Every refusal names the tier that stands in the way: an
operator two tiers up reads which hub is away, since when, and when the device was last heard through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import views
from hub.core.down.asking import QUESTIONS, failure
from hub.core.registry import Refusal
from protocol import limits, messages
from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.child import Child

if TYPE_CHECKING:
    from hub.core.down.asking import Reply
    from hub.core.hub import HubCore

_PREFIX = "^"
"""Before the id of a question that is passed on: no operator's own begins so."""


class Questions:
    """The questions of a hub's parent."""

    def __init__(self, core: HubCore, child: Child) -> None:
        self._core, self._child = core, child
        self._passed: dict[str, None] = {}

    def told(self, event: events.ChildEvent, now: Now, fx: Effects) -> None:
        """The link says something: a question, or that the session is over and nobody hears an answer any more."""
        match event:
            case events.Asked(ask=ask):
                self.asked(ask, now, fx)
            case events.WentOffline():
                self._core.asking.forget(list(self._passed))
                self._passed.clear()
            case _:
                pass

    def asked(self, ask: messages.Ask, now: Now, fx: Effects) -> None:
        """Answer a question, or have it answered."""
        try:
            if ask.at:
                self._pass_on(ask, now, fx)
            else:
                self._child.answer(ask.id, 0, True, self._own(ask), now, fx)
        except Refusal as error:
            self._child.answer(ask.id, 0, True, failure(str(error)), now, fx)

    def _own(self, ask: messages.Ask) -> bytes:
        core = self._core
        match ask.what:
            case "status":
                return msgspec.json.encode(core.subtree.sum())
            case "runs":
                return msgspec.json.encode(views.runs(core, ask.params.get("workflow", "")))
            case _:
                known = ", ".join(sorted(QUESTIONS))
                text = f"{core.node} is a hub, and has no {ask.what[:20]!r} of its own: ask a node below it for {known}"
                raise Refusal(text, 422)

    def _pass_on(self, ask: messages.Ask, now: Now, fx: Effects) -> None:
        core, passed = self._core, f"{_PREFIX}{ask.id}"
        if passed in self._passed:
            return
        if len(self._passed) >= limits.ASKS_PASSED_MAX:
            raise Refusal(f"{limits.ASKS_PASSED_MAX} questions pass through {core.node} already: try again", 503)
        if core.subtree.find(ask.at) is None:
            raise Refusal(f"{core.node} knows no node {ask.at[:80]!r} (any more)", 404)
        left_s = (ask.deadline_ms - self._child.offset_ms) / 1000 - now.wall
        wait_s = min(max(left_s, 1.0), limits.LOG_FOLLOW_S)
        core.asking.ask(passed, ask.at, ask.what, ask.params, wait_s, self._relay(ask.id, now), now, fx)
        self._passed[passed] = None

    def _relay(self, id: str, asked: Now) -> Reply:  # noqa: A002 - the link's word
        session = self._child.session

        def reply(part: int, last: bool, data: bytes, error: str, fx: Effects) -> None:
            if last:
                self._passed.pop(f"{_PREFIX}{id}", None)
            if session == self._child.session:
                self._child.answer(id, part, last, failure(error) if error else data, asked, fx)

        return reply
