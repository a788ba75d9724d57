"""What stands before every route: who asks, how much they may send, how fast (INVARIANTS C1, C10).

Default-deny by construction: only the paths in OPEN, and what a device installs, are served without an operator's
token, and an artifact is served on a ticket too. The body is read before any of it is parsed; uploads of artifacts are
the one exception: they stream, and are bounded where they are written.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.shell.api.gate import body
from hub.shell.api.gate.body import Turned
from hub.shell.api.gate.rate import Callers
from hub.shell.operators import Operators
from protocol import limits
from protocol.link.flow import bucket

OPEN = frozenset({("GET", "/v1/ca"), ("GET", "/v1/info"), ("POST", "/v1/enroll"), ("POST", "/v1/renew")})
_SMALL = frozenset(path for method, path in OPEN if method == "POST")
INSTALL = "/install"
ARTIFACTS = "/v1/artifacts/"
ALARM = "skerry-alarm"


class Gate:
    """ASGI middleware; the names of those let in stand in `request.state.who`, a ticket in `request.state.ticket`."""

    def __init__(self, app: ASGIApp, operators: Operators, alarm: Callable[[], str]) -> None:
        """`alarm`: what an operator must decide; it stands in the header ALARM of each answer to one."""
        self._app = app
        self._alarm = alarm
        self._operators = operators
        self._enrollments = bucket.per_second(limits.ENROLLMENTS_PER_S)
        self._renewals = Callers(limits.RENEWALS_PER_CALLER_S)
        self._installs = Callers(limits.INSTALLS_PER_CALLER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or turn it away."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._admit(scope)
            if scope["method"] != "PUT" or not scope["path"].startswith(ARTIFACTS):
                receive = await body.whole(scope, receive, _bytes_max(scope["path"]))
        except Turned as turned:
            if turned.unread:
                await body.drain(receive)
            await _refuse(send, turned.status, str(turned))
            return
        alarm = self._alarm() if "who" in scope["state"] else ""
        await self._app(scope, receive, _with_alarm(send, alarm) if alarm else send)

    def _admit(self, scope: Scope) -> None:
        state = scope.setdefault("state", {})
        method, path = scope["method"], scope["path"]
        caller: str = (scope.get("client") or ("", 0))[0]
        if method == "GET" and (path == INSTALL or path.startswith(f"{INSTALL}/")):
            if not self._installs.take(caller, time.monotonic()):
                few = limits.INSTALLS_PER_CALLER_S
                raise Turned(429, f"more than {few} installers or packages a second to one address: try again")
            return
        if (method, path) in OPEN:
            if path == "/v1/enroll" and not self._enrollments.take(time.monotonic()):
                raise Turned(429, f"more than {limits.ENROLLMENTS_PER_S} enrollments a second: try again in a moment")
            if path == "/v1/renew" and not self._renewals.take(caller, time.monotonic()):
                few = limits.RENEWALS_PER_CALLER_S
                raise Turned(429, f"more than {few} renewals a second from one address: try again in a while")
            return
        scheme, _, credential = body.header(scope, b"authorization").partition(" ")
        if scheme.lower() == "ticket" and method == "GET" and path.startswith(ARTIFACTS):
            state["ticket"] = credential.strip()
            return
        who = self._operators.who(credential.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            raise Turned(401, "the operator's token is missing or unknown: send `Authorization: Bearer TOKEN`")
        state["who"] = f"token:{who}"


def _with_alarm(send: Send, alarm: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (ALARM.encode(), alarm.encode("ascii", "replace"))]
        await send(message)

    return sending


def _bytes_max(path: str) -> int:
    return limits.ENROLL_BYTES_MAX if path in _SMALL else limits.REQUEST_BYTES_MAX


async def _refuse(send: Send, status: int, error: str) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode({"error": error})})
