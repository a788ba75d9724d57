"""What is asked of the devices themselves: how one is now, and the last lines of a service's output, side by side."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from hub.core import inputs, views
from hub.shell.api import errors
from hub.shell.api import lines as ndjson
from hub.shell.api.hub import Hub, who
from protocol import limits
from protocol import status as said
from protocol.errors import Refused, SkerryError


def router(hub: Hub) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["logs"])

    @routes.get("/v1/status/{node:path}")
    async def status(request: Request, node: str) -> Response:
        """Return what a device says when it is asked how it is: of one below another hub, more than that hub tells."""
        return errors.answer(await _status(hub, who(request), views.named(hub.core(), node)))

    @routes.get("/v1/logs/{service}")
    async def logs(
        request: Request,
        service: str,
        node: str = "",
        tail: Annotated[int, Query(ge=0, le=limits.TAIL_LINES_MAX)] = 100,
        follow: bool = False,
    ) -> Response:
        """Return a service's last lines: {"node", "line"} each; {"node", "error"} where there are none, and why."""
        core = hub.core()
        nodes = [views.named(core, node)] if node else views.nodes_of(core, service)
        return ndjson.stream(_logs(hub, who(request), service, nodes, tail, follow))

    return routes


async def _status(hub: Hub, name: str, node: str) -> said.Report:
    asked = inputs.AskNode(id=secrets.token_hex(8), node=node, what="status", params={}, wait_s=limits.STATUS_WAIT_S)
    async with aclosing(hub.desk.question(name, asked)) as parts:
        part = await anext(parts, None)
    if part is None:
        raise Refused("this hub stops: try again when it is back")
    return _report(part)


def _report(part: inputs.Answered) -> said.Report:
    if part.error:
        raise Refused(part.error)
    try:
        return msgspec.json.decode(part.data, type=said.Report)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused("the device's answer is no report: is it of another version?") from error


async def _logs(hub: Hub, name: str, service: str, nodes: list[str], tail: int, follow: bool) -> AsyncIterator[bytes]:
    """Ask all nodes at once and yield their lines as they come."""
    out: asyncio.Queue[bytes] = asyncio.Queue(limits.LOG_PARTS_WAITING_MAX)
    asking = [asyncio.create_task(_ask(hub, name, service, node, tail, follow, out)) for node in nodes]
    try:
        while not out.empty() or not all(task.done() for task in asking):
            yield await out.get()
    finally:
        for task in asking:
            task.cancel()


async def _ask(
    hub: Hub, name: str, service: str, node: str, tail: int, follow: bool, out: asyncio.Queue[bytes]
) -> None:
    wait_s = limits.LOG_FOLLOW_S if follow else limits.ASK_WAIT_S
    params = {"service": service, "tail": str(tail), "follow": "true" if follow else "false"}
    try:
        while True:
            asked = inputs.AskNode(id=secrets.token_hex(8), node=node, what="logs", params=params, wait_s=wait_s)
            async with aclosing(hub.desk.question(name, asked)) as parts:
                await _pass_on(node, parts, out)
            if not follow:
                break
            params["tail"] = "0"  # its time is over: go on with a new question
    except SkerryError as error:
        await out.put(ndjson.line({"node": node, "error": str(error)}))
    await out.put(b"")  # wakes the reader, which then sees that this node is done


async def _pass_on(node: str, parts: AsyncIterator[inputs.Answered], out: asyncio.Queue[bytes]) -> None:
    async for part in parts:
        if part.error:
            raise Refused(part.error)
        await out.put(b"".join(ndjson.line({"node": node, "line": line}) for line in _lines(part.data)))


def _lines(data: bytes) -> list[str]:
    try:
        return msgspec.json.decode(data, type=list[str])
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: texts that are not UTF-8
        raise Refused("the device's answer is no list of lines: is it of another version?") from error
