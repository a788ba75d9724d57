"""What stands before every route: who asks, how much they may send, how fast (INVARIANTS C1, C10).

Default-deny by construction: only the paths in OPEN are served without an operator's token, and an artifact is served
on a ticket too. The body is read here, bounded in size and time, before any of it is parsed; uploads of artifacts are
the one exception, they stream and are bounded where they are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.shell.operators import Operators
from protocol import limits

OPEN = frozenset({("GET", "/v1/ca"), ("GET", "/v1/info"), ("POST", "/v1/enroll"), ("POST", "/v1/renew")})
_SMALL = frozenset(path for method, path in OPEN if method == "POST")
ARTIFACTS = "/v1/artifacts/"
ALARM = "skerry-alarm"


class Rate:
    """At most `per_s` a second, with a second's worth of burst."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._left = per_s
        self._at = clock()

    def take(self) -> bool:
        """Count one; False when it is one too many."""
        now = self._clock()
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Turned(Exception):
    """Turned away; `unread`: some of its body may still be on its way."""

    def __init__(self, status: int, error: str, *, unread: bool = True) -> None:
        super().__init__(error)
        self.status = status
        self.unread = unread


class Gate:
    """ASGI middleware; the names of those let in stand in `request.state.who`, a ticket in `request.state.ticket`."""

    def __init__(self, app: ASGIApp, operators: Operators, alarm: Callable[[], str]) -> None:
        """`alarm`: what an operator must decide; it stands in the header ALARM of each answer to one."""
        self._app = app
        self._alarm = alarm
        self._operators = operators
        self._enrollments = Rate(limits.ENROLLMENTS_PER_S)
        self._renewals = Rate(limits.RENEWALS_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._admit(scope)
            if scope["method"] != "PUT" or not scope["path"].startswith(ARTIFACTS):
                receive = await _whole_body(scope, receive)
        except _Turned as turned:
            if turned.unread:
                await _drain(receive)
            await _refuse(send, turned.status, str(turned))
            return
        alarm = self._alarm() if "who" in scope["state"] else ""
        await self._app(scope, receive, _with_alarm(send, alarm) if alarm else send)

    def _admit(self, scope: Scope) -> None:
        state = scope.setdefault("state", {})
        method, path = scope["method"], scope["path"]
        if (method, path) in OPEN:
            if path == "/v1/enroll" and not self._enrollments.take():
                raise _Turned(429, f"more than {limits.ENROLLMENTS_PER_S} enrollments a second: try again in a moment")
            if path == "/v1/renew" and not self._renewals.take():
                raise _Turned(429, f"more than {limits.RENEWALS_PER_S} renewals a second: try again in a while")
            return
        scheme, _, credential = _header(scope, b"authorization").partition(" ")
        if scheme.lower() == "ticket" and method == "GET" and path.startswith(ARTIFACTS):
            state["ticket"] = credential.strip()
            return
        who = self._operators.who(credential.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            raise _Turned(401, "the operator's token is missing or unknown: send `Authorization: Bearer TOKEN`")
        state["who"] = f"token:{who}"


def _with_alarm(send: Send, alarm: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (ALARM.encode(), alarm.encode("ascii", "replace"))]
        await send(message)

    return sending


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    bound = limits.ENROLL_BYTES_MAX if scope["path"] in _SMALL else limits.REQUEST_BYTES_MAX
    declared = _header(scope, b"content-length")
    if declared.isdecimal() and int(declared) > bound:
        raise _Turned(413, f"a request of {declared} bytes is over {bound}: send less at a time")
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.REQUEST_WAIT_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Turned(400, "the request broke off", unread=False)
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
                if size > bound:
                    raise _Turned(413, f"a request of more than {bound} bytes: send less at a time", unread=more)
    except TimeoutError as error:
        text = f"the request did not arrive within {limits.REQUEST_WAIT_S:.0f} s"
        raise _Turned(408, text, unread=False) from error
    return _replay(b"".join(chunks), receive)


async def _drain(receive: Receive) -> None:
    """Read on for a while and drop it: who is cut off while it sends does not see the answer."""
    size, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.REQUEST_WAIT_S):
            while more and size <= limits.DRAIN_BYTES_MAX:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


def _replay(body: bytes, receive: Receive) -> Receive:
    served = False

    async def replayed() -> Message:
        nonlocal served
        if served:
            return await receive()  # only a disconnect can follow
        served = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _header(scope: Scope, name: bytes) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


async def _refuse(send: Send, status: int, error: str) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body: dict[str, Any] = {"error": error}
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
