"""`skerry-agent top`: this device on a full screen, again and again, until q or ctrl-c.

It draws on the terminal's other screen and gives the former one back, cursor and all, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edge_agent.cli import client, human, view
from edge_agent.cli.person import load, rows, screen, tell
from protocol.doctor import words

Json = dict[str, Any]

EVENTS = 8  # the newest ones that are shown
_ASK_S = 5.0
_COLUMNS = ("SERVICE", "STATE", "SINCE", "CPU", "MEMORY", "LAST EXIT")


def watch(data: Path | None, every_s: float) -> None:
    """Draw until q, ctrl-c or SIGTERM."""
    console, meter = Console(highlight=False), load.Meter()
    with screen.ending(), screen.keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(Group(*draw(data, meter)), refresh=True)
            if screen.quits(keys, every_s):
                return


def draw(data: Path | None, meter: load.Meter) -> list[RenderableType]:
    """Return what to show now, from the top; what is wrong is part of it. What has no room is left out."""
    try:
        answer: Json = client.ask(data, {"do": "status"}, wait_s=_ASK_S)
        request: dict[str, object] = {"do": "events", "limit": EVENTS, "kind": ""}
        events = [one for one in client.stream(data, request, wait_s=_ASK_S) if one is not None]
    except client.SkerryError as error:
        return [Text(time.strftime("%H:%M:%S"), "dim"), _line(str(error), "red")]
    return [*_head(answer), Text(), *_services(answer, meter), *_workflows(answer), *_wrong(answer), *_lately(events)]


def _head(answer: Json) -> Iterator[Text]:
    clock = time.strftime("%H:%M:%S", time.localtime(answer["now_ms"] / 1000))
    is_live = answer["link"]["state"] == "live"
    link = (view.clean(tell.link(answer)), "" if is_live else "yellow")
    yield Text.assemble((answer["node"], "bold"), "   ", link)
    vitals = _vitals(answer["vitals"])
    yield Text.assemble((f"{clock}   q ends   ", "dim"), vitals, no_wrap=True, overflow="ellipsis")
    if answer["hold"] is not None:
        yield _line(tell.held(answer["hold"], answer["now_ms"]), "yellow")


def _vitals(seen: Json | None) -> str:
    if not seen:
        return "vitals come within a minute"
    said = [*words.vitals(seen), f"agent {words.size(seen.get('rss', 0))}"]
    return ", ".join([*said, f"up {words.duration(seen.get('uptime_s', 0.0))}"])


def _services(answer: Json, meter: load.Meter) -> list[RenderableType]:
    if not answer["services"]:
        return [Text("no services here yet")]
    used = meter.sample({name: one.get("pid", 0) for name, one in answer["services"].items()})
    made: list[view.Row] = []
    for row, name in zip(rows.services(answer), sorted(answer["services"]), strict=True):
        made.append([*row[:3], used[name].cpu, used[name].memory, row[3]])
    return [view.made(_COLUMNS, made)]


def _workflows(answer: Json) -> list[RenderableType]:
    return [Text(), view.made(rows.WORKFLOWS, rows.workflows(answer))] if answer["workflows"] else []


def _wrong(answer: Json) -> list[RenderableType]:
    found = [_line(text, "yellow") for text in tell.conditions(answer)]
    return [Text(), *found] if found else []


def _lately(events: list[Json]) -> list[RenderableType]:
    made: list[view.Row] = [[human.stamp(one["time"])[11:19], one["kind"], one["key"]] for one in reversed(events)]
    return [Text(), view.made(("LATELY", "WHAT", "OF"), made)] if made else []


def _line(text: str, style: str = "") -> Text:
    return Text(view.clean(text), style, no_wrap=True, overflow="ellipsis")
