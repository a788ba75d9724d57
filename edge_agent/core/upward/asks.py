"""The parent's questions (DESIGN 4: not durable, bounded). Data of an answer's part, as JSON:

logs            a list of lines, part by part; why there are none is said in a line, too
status, runs    what LocalStatus and LocalRuns reply; or {"error": "..."}
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.context import Context
from edge_agent.core.local import Local
from protocol import limits
from protocol.effects import Effects, Now
from protocol.messages import Ask


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to what cannot be answered: one sentence."""

    error: str


class Asks:
    """Answers the parent's questions; remembers only the open ones that wait for log lines."""

    def __init__(self, ctx: Context, local: Local) -> None:
        self._ctx = ctx
        self._local = local
        self._open: dict[str, float] = {}

    def asked(self, ask: Ask, now: Now, fx: Effects) -> None:
        """Answer at once, or have the shell read."""
        match ask.what:
            case "logs":
                self._logs(ask, now, fx)
            case "status":
                self._answer(ask.id, self._local.status(now), now, fx)
            case "runs":
                self._answer(ask.id, self._local.runs(ask.params.get("workflow", "")), now, fx)
            case _:
                self._answer(ask.id, Failure(error=f"this agent cannot answer {ask.what[:20]!r}"), now, fx)

    def _logs(self, ask: Ask, now: Now, fx: Effects) -> None:
        service, tail = ask.params.get("service", ""), ask.params.get("tail", "100")
        self._open = {key: until for key, until in self._open.items() if until > now.mono}
        if not self._local.knows(service):
            self._answer(ask.id, [f"skerry-agent: no service {service[:63]!r} is on this device"], now, fx)
        elif len(self._open) >= limits.ASKS_OPEN_MAX:
            self._answer(ask.id, ["skerry-agent: too many questions are open on this device"], now, fx)
        else:
            until_ms = ask.deadline_ms - self._ctx.child.offset_ms
            self._open[ask.id] = now.mono + max(until_ms / 1000 - now.wall, limits.ASK_WAIT_S)
            read = inputs.ReadLogs(
                ask=ask.id,
                service=service,
                tail=min(int(tail[:9]), limits.TAIL_LINES_MAX) if tail.isdecimal() else limits.TAIL_LINES_MAX,
                follow=ask.params.get("follow", "") == "true",
                until_ms=until_ms,
            )
            fx.act.append(read)

    def read(self, got: inputs.LogRead, now: Now, fx: Effects) -> None:
        """Lines were read: pass them on."""
        if got.ask in self._open:
            data = context.encoded(got.lines)
            if len(data) > limits.ANSWER_BYTES_MAX:
                data = context.encoded(["skerry-agent: lines too large to pass on; read them on the device"])
            self._ctx.child.answer(got.ask, got.part, got.last, data, now, fx)
            if got.last:
                del self._open[got.ask]

    def _answer(self, ask: str, reply: object, now: Now, fx: Effects) -> None:
        data = context.encoded(reply)
        if len(data) > limits.ANSWER_BYTES_MAX:
            data = context.encoded(Failure(error="the answer is too large: ask on the device"))
        self._ctx.child.answer(ask, 0, True, data, now, fx)
