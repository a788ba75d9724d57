"""A hub and agents as real processes, for acceptance tests and the bench: the demo's kit, and the API beside it.

    async with fleet.fleet(folder, agents=["oslo", "bergen"]) as it:
        await it.until(lambda: it.online("oslo"), "oslo is online")

All is ended by its own pid at the end, workloads too. No wait is without a bound, none is a guess: conditions are asked
of the API.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from hub.cli import client
from hub.demo import fleet as demo
from hub.demo.wire import Wire

READY_WAIT_S = 60.0
ASK_EVERY_S = 0.02


class Fleet(demo.Fleet):
    """See the module; `hub` and `agents[NAME].daemon` can be killed, stopped and started, `agents[NAME].wire` cut."""

    def __init__(self, folder: Path, name: str = "cloud") -> None:
        super().__init__(folder, name)
        self._api: httpx.AsyncClient | None = None
        self._proves = ""
        self.through: tuple[str, ...] = ()
        """Words of `hub serve` that say by which transport."""

    @property
    def api(self) -> httpx.AsyncClient:
        """The hub's API with the operator's right; open from `begin` on."""
        assert self._api is not None
        return self._api

    def go_through(self, broker_url: str) -> None:
        """Let the hub, from its next life on, meet its children at an external broker."""
        super().go_through(broker_url)
        self.through = ("--broker", broker_url)

    async def begin(self) -> None:
        """Make the hub, serve it, and open its API."""
        await self.init()
        await self.begin_made()

    async def begin_below(self, parent: Fleet, labels: Mapping[str, str] | None = None) -> None:
        """Make the hub as a region of `parent`, serve it, open its API, and wait until `parent` sees it."""
        body = {"ttl_s": 3_600, "uses": 1, "labels": labels or {}, "kind": "hub"}
        await self.init_below(parent, (await parent.ask("POST", "/v1/tokens", body))["token"])
        await self.begin_made()
        await parent.until(lambda: parent.online(self.name), f"{self.name} is online at {parent.name}")

    async def begin_made(self) -> None:
        """Serve the hub that `init` made, and open its API."""
        context = client.Context(**json.loads((self.folder / "context.json").read_text()))
        self._proves = context.name
        self._api = httpx.AsyncClient(
            base_url=context.url,
            verify=client.trust(context),
            headers={"Authorization": f"Bearer {context.token}"},
            timeout=READY_WAIT_S,
            trust_env=False,
        )
        await self.hub.start()
        await self.until(self.answers, "the hub answers")

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return what the API answers, as JSON. Raises httpx.HTTPStatusError with the answer's text in its notes."""
        answer = await self._answer(method, path, body)
        return answer.json() if answer.content else None

    async def nodes(self) -> list[Any]:
        """Return all nodes, page by page."""
        answer = await self._answer("GET", "/v1/nodes", None)
        found: list[Any] = answer.json()
        while more := answer.headers.get("skerry-more"):
            answer = await self._answer("GET", f"/v1/nodes?start={more}", None)
            found += answer.json()
        return found

    async def _answer(self, method: str, path: str, body: object) -> httpx.Response:
        answer = await self.api.request(method, path, json=body, extensions={"sni_hostname": self._proves})
        if answer.is_error:
            raise httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)
        return answer

    @asynccontextmanager
    async def stream(self, method: str, path: str, body: object = None) -> AsyncGenerator[AsyncIterator[str]]:
        """The lines of an answer that comes by and by (application/x-ndjson)."""
        extensions = {"sni_hostname": self._proves}
        async with self.api.stream(method, path, json=body, extensions=extensions) as answer:
            answer.raise_for_status()
            yield answer.aiter_lines()

    async def join(self, names: Sequence[str], *, wire: bool = True, labels: Mapping[str, str] | None = None) -> None:
        """Enroll agents and start them; each behind a wire of its own that can be cut, unless `wire` is False."""
        made = await self.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": len(names), "labels": labels or {}})
        for name in names:
            if wire:
                await self.enroll(name, made["token"])
            else:
                await self._enroll_directly(name, made["token"])
        for name in names:
            await self.until(lambda name=name: self.online(name), f"{name} is online")

    async def _enroll_directly(self, name: str, token: str) -> None:
        data = self.folder / name
        await self.command(
            *("enroll", "--hub", f"https://127.0.0.1:{self.api_port}", "--token", token, "--name", name),
            *("--data", str(data)),
            program="skerry-agent",
        )
        run = [str(demo.BIN / "skerry-agent"), "run", "--data", str(data)]
        daemon = demo.Daemon(name, run, self.folder / f"{name}.log", self.env)
        unused = Wire("127.0.0.1", self.mqtt_port)
        self.agents[name] = demo.Agent(name=name, data=data, daemon=daemon, wire=unused)
        await daemon.start()

    async def node(self, name: str) -> dict[str, Any]:
        """Return what the hub knows of a node."""
        return await self.ask("GET", f"/v1/nodes/{name}")

    async def online(self, name: str) -> bool:
        """Tell whether the hub sees the node now."""
        return (await self.node(name))["state"] == "online"

    async def until(self, question: Callable[[], Awaitable[bool]], what: str, wait_s: float = READY_WAIT_S) -> None:
        """Ask until the answer is yes. Raises AssertionError after `wait_s`, naming `what`; DemoFailed if one died."""
        try:
            async with asyncio.timeout(wait_s):
                while not await question():
                    self.hub.check()
                    await asyncio.sleep(ASK_EVERY_S)  # bounded poll
        except TimeoutError:
            raise AssertionError(f"after {wait_s:g} s not yet so: {what}; logs are in {self.folder}") from None

    async def answers(self) -> bool:
        """Tell whether the hub's API is there."""
        try:
            await self.ask("GET", "/v1/info")
        except httpx.TransportError:
            return False
        return True

    async def close(self) -> None:
        """End everything that was started."""
        if self._api is not None:
            await self._api.aclose()
        await super().close()


@asynccontextmanager
async def fleet(
    folder: Path, *, agents: Sequence[str] = (), wire: bool = True, labels: Mapping[str, str] | None = None
) -> AsyncGenerator[Fleet]:
    """A hub and `agents`, enrolled and online; ended when the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Fleet(folder)
    try:
        await made.begin()
        if agents:
            await made.join(agents, wire=wire, labels=labels)
        yield made
    finally:
        await made.close()
