"""A request's body: read whole, bounded in size and time, before anybody parses it (INVARIANTS C10)."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Message, Receive, Scope

from protocol import limits


class Turned(Exception):
    """Turned away; `unread`: some of its body may still be on its way."""

    def __init__(self, status: int, error: str, *, unread: bool = True) -> None:
        super().__init__(error)
        self.status = status
        self.unread = unread


async def whole(scope: Scope, receive: Receive, bound: int) -> Receive:
    """Read the body, of at most `bound` bytes; return what gives it at once. Raises Turned."""
    declared = header(scope, b"content-length")
    if declared.isdecimal() and int(declared) > bound:
        raise Turned(413, f"a request of {declared} bytes is over {bound}: send less at a time")
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.REQUEST_WAIT_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Turned(400, "the request broke off", unread=False)
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
                if size > bound:
                    raise Turned(413, f"a request of more than {bound} bytes: send less at a time", unread=more)
    except TimeoutError as error:
        text = f"the request did not arrive within {limits.REQUEST_WAIT_S:.0f} s"
        raise Turned(408, text, unread=False) from error
    return _replay(b"".join(chunks), receive)


async def drain(receive: Receive) -> None:
    """Read on for a while and drop it: who is cut off while it sends does not see the answer."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.REQUEST_WAIT_S):
            while more and size <= limits.DRAIN_BYTES_MAX:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def header(scope: Scope, name: bytes) -> str:
    """Return the value of the header `name`, "" without one."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def _replay(body: bytes, receive: Receive) -> Receive:
    served = False

    async def replayed() -> Message:
        nonlocal served
        if served:
            return await receive()  # only a disconnect can follow
        served = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
