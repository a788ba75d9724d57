"""`skerry-agent top`: this device on a full screen, again and again, until q or ctrl-c.

It draws on the terminal's other screen and gives the former one back, cursor and all, however it ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, Group
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
            live.update(_crop(draw(data, meter), console), refresh=True)
            if screen.quits(keys, every_s):
                return


def draw(data: Path | None, meter: load.Meter) -> list[Text]:
    """Return the lines to show now; what is wrong is one of them."""
    try:
        answer: Json = client.ask(data, {"do": "status"}, wait_s=_ASK_S)
        request: dict[str, object] = {"do": "events", "limit": EVENTS, "kind": ""}
        events = [one for one in client.stream(data, request, wait_s=_ASK_S) if one is not None]
    except client.SkerryError as error:
        return [Text(time.strftime("%H:%M:%S"), "dim"), Text(view.clean(str(error)), "red")]
    return [*_head(answer), Text(), *_services(answer, meter), *_workflows(answer), *_wrong(answer), *_lately(events)]


def _head(answer: Json) -> Iterator[Text]:
    clock = time.strftime("%H:%M:%S", time.localtime(answer["now_ms"] / 1000))
    is_live = answer["link"]["state"] == "live"
    yield Text.assemble((answer["node"], "bold"), "   ", (view.clean(tell.link(answer)), "" if is_live else "yellow"))
    yield Text.assemble((clock, "dim"), "   ", _vitals(answer["vitals"]), ("   q ends", "dim"))
    if answer["hold"] is not None:
        yield Text(view.clean(tell.held(answer["hold"], answer["now_ms"])), "yellow")


def _vitals(seen: Json | None) -> str:
    if not seen:
        return "vitals come within a minute"
    said = [f"cpu {100 * seen.get('cpu', 0.0):.0f} %"]
    if seen.get("memory_total"):
        said.append(f"memory {words.size(seen.get('memory_used', 0))} of {words.size(seen['memory_total'])}")
    if seen.get("disk_total"):
        said.append(f"disk {100 * seen.get('disk_used', 0) / seen['disk_total']:.0f} %")
    if seen.get("temperature_c") is not None:
        said.append(f"{seen['temperature_c']:.0f} °C")
    said.append(f"agent {words.size(seen.get('rss', 0))}")
    return ", ".join([*said, f"up {words.duration(seen.get('uptime_s', 0.0))}"])


def _services(answer: Json, meter: load.Meter) -> list[Text]:
    if not answer["services"]:
        return [Text("no services here yet")]
    used = meter.sample({name: one.get("pid", 0) for name, one in answer["services"].items()})
    made: list[view.Row] = []
    for row, name in zip(rows.services(answer), sorted(answer["services"]), strict=True):
        made.append([*row[:3], used[name].cpu, used[name].memory, row[3]])
    return view.lines(_COLUMNS, made)


def _workflows(answer: Json) -> list[Text]:
    return [Text(), *view.lines(rows.WORKFLOWS, rows.workflows(answer))] if answer["workflows"] else []


def _wrong(answer: Json) -> list[Text]:
    found = [Text(view.clean(text), "yellow") for text in tell.conditions(answer)]
    return [Text(), *found] if found else []


def _lately(events: list[Json]) -> list[Text]:
    made: list[view.Row] = [[human.stamp(one["time"])[11:19], one["kind"], one["key"]] for one in reversed(events)]
    return [Text(), *view.lines(("LATELY", "WHAT", "OF"), made)] if made else []


def _crop(lines: list[Text], console: Console) -> Group:
    """Return what of `lines` the screen has room for: what is below it is left out, and so is what is beside it."""
    shown = lines[: max(1, console.height - 1)]
    for line in shown:
        line.truncate(console.width, overflow="ellipsis")
    return Group(*shown)
