"""What people ask of the core: each request waits here for its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agent.core import inputs
from edge_agent.shell.people.callers import Caller
from protocol import limits
from protocol.errors import Refused


class Asking:
    """Requests and their replies. `put` hands a Local to the driver."""

    def __init__(self, put: Callable[[inputs.Local], None]) -> None:
        self._put = put
        self._count = 0
        self._waiting: dict[int, asyncio.Future[inputs.LocalReply]] = {}

    async def ask(self, command: inputs.LocalCommand, caller: Caller) -> bytes:
        """Return the core's answer (JSON), after its commit. Raises Refused."""
        self._count += 1
        number = self._count
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        self._put(inputs.Local(request=number, user=caller.user, uid=caller.uid, command=command))
        try:
            reply = await asyncio.wait_for(answer, limits.ASK_WAIT_S)
        except TimeoutError:
            raise Refused("the agent does not answer: see its log (journalctl -u skerry-agent)") from None
        finally:
            self._waiting.pop(number, None)
        if reply.error:
            raise Refused(reply.error)
        return reply.data

    def reply(self, action: inputs.LocalReply) -> None:
        """Perform a LocalReply; harmless when the caller is gone."""
        waiting = self._waiting.pop(action.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(action)

    def lost(self, reason: str) -> None:
        """The store failed and what was asked is dropped: say so to all who wait."""
        for number in list(self._waiting):
            self.reply(inputs.LocalReply(request=number, error=f"not done: {reason}"))
