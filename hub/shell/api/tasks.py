"""One-off work: ask nodes for it, and hear how it goes, live; runs of workflows, asked for in the same way or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.core import inputs, views
from hub.shell.api import errors
from hub.shell.api import lines as ndjson
from hub.shell.api.hub import Hub, who
from protocol import limits
from protocol.spec.parts.isolation import Isolation, Resources

ENDED = frozenset({"ok", "failed", "refused", "unknown", "cancelled"})


class TasksBody(BaseModel):
    """What to do, and where: `nodes` or a `selector`; one of `command`, `workflow`, `cancel_run`.

    `isolation` and `resources` of a command: in the words of a service. `deadline_s` null: no deadline. `wait`: stream
    the results, at most `wait_s` long.
    """

    model_config = ConfigDict(extra="forbid")
    nodes: list[str] = []
    selector: str = ""
    command: list[str] = []
    workflow: str = ""
    cancel_run: str = ""
    params: dict[str, str] = {}
    timeout_s: Annotated[float, Field(gt=0, le=limits.TASK_TIMEOUT_S_MAX)] = limits.TASK_TIMEOUT_S_DEFAULT
    deadline_s: Annotated[float, Field(gt=0)] | None = limits.TASK_TIMEOUT_S_DEFAULT
    repeatable: bool = False
    user: str = ""
    isolation: Isolation = Isolation()
    resources: Resources = Resources()
    wait: bool = False
    wait_s: Annotated[float, Field(gt=0, le=limits.TASK_WAIT_S_MAX)] = 60.0


class _Made(msgspec.Struct, frozen=True):
    group: str


def router(hub: Hub) -> APIRouter:
    """Return the routes of tasks and runs."""
    routes = APIRouter(tags=["tasks"])

    @routes.post("/v1/tasks")
    async def create(request: Request, body: TasksBody) -> Response:
        """Ask nodes for one-off work.

        With `wait`, newline-delimited JSON: first {"group", "nodes": [...]}, then a line for each task that changes; it
        ends when every task has ended or its node is away, or after `wait_s`.
        """
        reply = await hub.desk.ask(who(request), _operation(body))
        if not body.wait:
            return errors.raw(reply)
        group = msgspec.json.decode(reply, type=_Made).group
        return ndjson.stream(_results(hub, group, body.wait_s))

    @routes.get("/v1/tasks/{group}")
    async def read(group: str) -> Response:
        """Return a group of tasks and how each of them goes."""
        return errors.answer(views.task_group(hub.core(), group, hub.now()))

    _runs(routes, hub)
    return routes


def _runs(routes: APIRouter, hub: Hub) -> None:
    @routes.get("/v1/runs")
    async def runs(
        workflow: str = "",
        node: str = "",
        limit: Annotated[int, Query(ge=1, le=limits.PAGE_ROWS_MAX)] = 100,
    ) -> Response:
        """Return the newest runs."""
        return errors.answer(views.runs(hub.core(), workflow, views.named(hub.core(), node), limit))

    @routes.get("/v1/runs/{run:path}")
    async def run(run: str) -> Response:
        """Return one run, by its id or as NODE/ID."""
        return errors.answer(views.run(hub.core(), run))


def _operation(body: TasksBody) -> inputs.CreateTasks:
    asked = body.model_dump(exclude={"wait", "wait_s", "isolation", "resources"})
    return inputs.CreateTasks(**asked, isolation=body.isolation.document(), limits=body.resources.document())


async def _results(hub: Hub, group: str, wait_s: float) -> AsyncIterator[bytes]:
    """Yield the first view, then what changed since, whenever the core says to look again."""
    until = asyncio.get_running_loop().time() + wait_s
    with hub.desk.watch(f"task/{group}", "node/") as word:
        told: dict[str, Any] = {}
        view = views.task_group(hub.core(), group, hub.now())
        yield ndjson.line({"group": group, "nodes": view["tasks"]})
        told = {task["node"]: task for task in view["tasks"]}
        while any(task["state"] not in ENDED and task["state"] != "away" for task in told.values()):
            left = until - asyncio.get_running_loop().time()
            if left <= 0 or (topics := await word.heard(min(left, limits.STREAM_ALIVE_S))) is None:
                return
            if not topics:
                yield b"\n"
                continue
            if len(told) > limits.STREAM_TASKS_MANY:
                await asyncio.sleep(limits.STREAM_BEAT_S)
            now_so = {task["node"]: task for task in views.task_group(hub.core(), group, hub.now())["tasks"]}
            yield b"".join(ndjson.line(task) for node, task in now_so.items() if told.get(node) != task)
            told = now_so
