"""The gate before the API: who gets in, how much they may send, how fast. As an ASGI server sees it."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from hub.shell import operators
from hub.shell.api.gate.gate import Gate
from hub.shell.api.gate.rate import Callers
from hub.shell.operators import Operators
from protocol import limits

TOKEN, OPERATOR = operators.mint("ann", bytes(32), 1)
STORED = {"ann": msgspec.json.encode(OPERATOR)}


class Asked:
    """One request through the gate: what came out, and what the application behind it saw."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.scope: Scope = {}
        self.seen = b""
        self.reached = False

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached, self.scope = True, scope
        more = True
        while more:
            message = await receive()
            self.seen += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    @property
    def error(self) -> str:
        return json.loads(self.body)["error"]


async def ask(
    method: str,
    path: str,
    *,
    authorization: str = "",
    chunks: Sequence[bytes] = (b"",),
    length: int | None = None,
    breaks: bool = False,
    through: Gate | None = None,
) -> Asked:
    asked = Asked()
    gate = through or Gate(asked.app, Operators(STORED), str)
    headers = [(b"authorization", authorization.encode())] if authorization else []
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = breaks
    messages.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Message) -> None:
        asked.status = message.get("status", asked.status)
        asked.body += message.get("body", b"")

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": headers}
    await gate(scope, receive, send)
    return asked


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nodes"),
        ("POST", "/v1/ca"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
        ("POST", "/v1/apply"),
        ("GET", "/v1/enroll"),
        ("GET", "/v1//ca"),
    ],
)
async def test_nothing_is_served_to_strangers_but_what_is_listed(method: str, path: str):
    for authorization in (
        "",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        "Ticket gw-1.5.x",
        "Bearer so1.bob.AAAA",
    ):
        asked = await ask(method, path, authorization=authorization)
        assert (asked.status, asked.reached) == (401, False)
        assert "token is missing or unknown" in asked.error


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/ca"), ("GET", "/v1/info"), ("POST", "/v1/enroll")])
async def test_what_is_listed_needs_no_token(method: str, path: str):
    assert (await ask(method, path)).status == 200


async def test_an_operator_is_known_by_name():
    asked = await ask("GET", "/v1/nodes", authorization=f"Bearer {TOKEN}")
    assert (asked.status, asked.scope["state"]["who"]) == (200, "token:ann")


async def test_a_ticket_opens_artifacts_for_reading_and_nothing_else():
    asked = await ask("GET", "/v1/artifacts/sha256:x", authorization="Ticket gw-1.5.abc")
    assert asked.scope["state"] == {"ticket": "gw-1.5.abc"}
    assert (await ask("PUT", "/v1/artifacts/sha256:x", authorization="Ticket gw-1.5.abc")).status == 401
    assert (await ask("GET", "/v1/nodes", authorization="Ticket gw-1.5.abc")).status == 401


async def test_a_body_comes_through_whole():
    asked = await ask("POST", "/v1/apply", authorization=f"Bearer {TOKEN}", chunks=[b"ab", b"", b"c"])
    assert asked.seen == b"abc"


async def test_a_request_that_is_too_large_is_refused_unread():
    asked = await ask(
        "POST", "/v1/apply", authorization=f"Bearer {TOKEN}", length=limits.REQUEST_BYTES_MAX + 1, chunks=[b""]
    )
    assert (asked.status, asked.reached) == (413, False)


async def test_a_request_that_grows_too_large_is_refused_on_the_way():
    chunks = [bytes(limits.ENROLL_BYTES_MAX), b"x"]
    asked = await ask("POST", "/v1/enroll", chunks=chunks)
    assert (asked.status, asked.reached) == (413, False)


async def test_a_request_that_breaks_off_reaches_nobody():
    asked = await ask("POST", "/v1/enroll", chunks=[b"{"], breaks=True)
    assert (asked.status, asked.reached) == (400, False)


async def test_enrollments_come_at_a_bounded_rate():
    asked = Asked()
    gate = Gate(asked.app, Operators(STORED), str)
    statuses = [(await ask("POST", "/v1/enroll", through=gate)).status for _ in range(limits.ENROLLMENTS_PER_S + 5)]
    assert 429 in statuses
    assert (await ask("GET", "/v1/ca", through=gate)).status != 429


def test_one_address_uses_up_its_own_rate_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "CALLERS_MAX", 2)
    callers = Callers(1)
    assert [callers.take(host, 0.0) for host in ("10.0.0.1", "10.0.0.1", "10.0.0.2")] == [True, False, True]
    assert [callers.take(host, 0.0) for host in ("2001:db8::1", "2001:db8::2")] == [True, False], "one network"
    assert callers.take("10.0.0.1", 0.0), "only the newest are known"
    assert not callers.take("::ffff:10.0.0.1", 0.0)
    assert callers.take("::ffff:10.0.0.1", 1.0), "and heard again in their time"
