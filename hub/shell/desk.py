"""Where the API and the core meet: requests wait here for their replies, streams for a word to look again.

All on the loop's one thread. What is kept is bounded: requests by REQUEST_WAIT_S, watches by WATCHERS_MAX, questions
by the stream that asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager

from hub.core import inputs
from protocol import limits
from protocol.errors import Refused

_STOPPING = "the hub is stopping: try again in a moment"


class Failed(Refused):
    """A request turned down; `status` is the HTTP status code."""

    def __init__(self, text: str, status: int = 409) -> None:
        super().__init__(text)
        self.status = status


class Watch:
    """One listener: the topics under its prefixes that were named since it last looked; each once."""

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = prefixes
        self._topics: dict[str, None] = {}
        self._word = asyncio.Event()
        self._closed = False

    def tell(self, topic: str) -> None:
        """Note `topic` if it is under a prefix of ours. Too many at once become the empty topic: look at everything."""
        if not topic.startswith(self._prefixes):
            return
        if len(self._topics) >= limits.WATCHER_TOPICS_MAX:
            self._topics = {"": None}
        else:
            self._topics[topic] = None
        self._word.set()

    def close(self) -> None:
        """Wake the listener for the last time."""
        self._closed = True
        self._word.set()

    async def heard(self, wait_s: float | None = None) -> list[str] | None:
        """Wait for topics; [] after `wait_s` without any, None when the hub stops."""
        try:
            async with asyncio.timeout(wait_s):
                await self._word.wait()
        except TimeoutError:
            return []
        if self._closed:
            return None
        self._word.clear()
        topics, self._topics = list(self._topics), {}
        return topics


class Desk:
    """Hands requests to the core and its replies, words and answers back."""

    def __init__(self, put: Callable[[inputs.Input], None], room: Callable[[], Awaitable[None]]) -> None:
        self._put = put
        self._room = room
        self._count = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._watches: set[Watch] = set()
        self._questions: dict[str, asyncio.Queue[inputs.Answered | None]] = {}
        self._closed = False
        self._failure = ""

    # -------------------------------------------------------------------------------------------- for the API

    async def ask(self, who: str, op: inputs.AnyOp) -> bytes:
        """Return the core's answer (JSON), after its commit. Raises Failed."""
        if self._closed:
            raise Failed(_STOPPING, 503)
        if self._failure:
            raise Failed(self._failure, 503)
        self._count += 1
        number = self._count
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            async with asyncio.timeout(limits.REQUEST_WAIT_S):
                await self._room()
                self._put(inputs.Request(request=number, who=who, op=op))
                return await waiting
        except TimeoutError as error:
            text = f"the hub did not answer within {limits.REQUEST_WAIT_S:.0f} s; it may still do this: look again"
            raise Failed(text, 504) from error
        finally:
            self._waiting.pop(number, None)

    @contextmanager
    def watch(self, *prefixes: str) -> Generator[Watch]:
        """Listen to the topics under `prefixes`. Raises Failed when too many listen already."""
        if len(self._watches) >= limits.WATCHERS_MAX:
            raise Failed(f"{limits.WATCHERS_MAX} listeners are connected already: close some", 503)
        watch = Watch(prefixes)
        if self._closed:
            watch.close()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def question(self, who: str, op: inputs.AskNode) -> AsyncGenerator[inputs.Answered]:
        """Put a question to a node and yield its answer's parts until the last. Raises Failed."""
        parts: asyncio.Queue[inputs.Answered | None] = asyncio.Queue()
        self._questions[op.id] = parts
        until = asyncio.get_running_loop().time() + op.wait_s + limits.ASK_WAIT_S
        try:
            await self.ask(who, op)
            while (part := await _next(parts, until, op)) is not None:
                yield part
                if part.last or part.error:
                    return
        finally:
            del self._questions[op.id]

    # -------------------------------------------------------------------------------------------- for actions

    def reply(self, action: inputs.Reply) -> None:
        """Give a request its answer; nobody may wait for it any more. What was done is an entry of the hub's own."""
        self.notify(inputs.Notify(topic="entries"))
        waiting = self._waiting.get(action.request)
        if waiting is None or waiting.done():
            return
        if action.error:
            waiting.set_exception(Failed(action.error, action.status if action.status >= 400 else 409))
        else:
            waiting.set_result(action.data)

    def notify(self, action: inputs.Notify) -> None:
        """Tell all who listen."""
        for watch in self._watches:
            watch.tell(action.topic)

    def answered(self, action: inputs.Answered) -> None:
        """Hand on one part of an answer; nobody may wait for it any more, or read slower than the device speaks."""
        parts = self._questions.get(action.ask)
        if parts is None or parts.qsize() > limits.ANSWER_PARTS_WAITING_MAX:
            return
        if parts.qsize() == limits.ANSWER_PARTS_WAITING_MAX:
            text = "the answer came faster than it was read, and was cut off: ask again, for less"
            action = inputs.Answered(ask=action.ask, part=action.part, last=True, error=text)
        parts.put_nowait(action)

    def fail(self, text: str) -> None:
        """The store failed: what waits for an answer, or asks before it is `healed`, gets none but this."""
        self._failure = text
        self._turn_away(text)

    def healed(self) -> None:
        """The store can be written again."""
        self._failure = ""

    def _turn_away(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Failed(text, 503))

    def close(self) -> None:
        """The hub stops: end every stream and fail every request."""
        self._closed = True
        for watch in self._watches:
            watch.close()
        for parts in self._questions.values():
            parts.put_nowait(None)
        self._turn_away(_STOPPING)


async def _next(
    parts: asyncio.Queue[inputs.Answered | None], until: float, op: inputs.AskNode
) -> inputs.Answered | None:
    try:
        async with asyncio.timeout_at(until):
            return await parts.get()
    except TimeoutError as error:
        raise Failed(f"{op.node} did not answer within {op.wait_s:.0f} s: is it still connected?", 504) from error
