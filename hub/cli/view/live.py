"""A list that stays up to date until Ctrl-C: in place on a terminal, anew in a file, by the line for programs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from hub.cli import client
from hub.cli.view import output
from hub.cli.view.output import Format

if TYPE_CHECKING:
    from rich.table import Table

LOOK_EVERY_S = 5.0
LOOK_APART_S = 0.25
SPACE_ROWS = 4  # of a terminal, for the head and the prompt


def watch(
    hub: client.Client,
    topic: str,
    fetch: Callable[[], Any],
    table: Callable[[list[dict[str, Any]]], Table],
    form: Format,
) -> None:
    """Show it again whenever the hub says "look again", and every few seconds, for what only time changes.

    `topic`: what the hub's words are about, "" for all of them. Ends by an exception alone.
    """
    word = threading.Event()
    threading.Thread(target=_listen, args=(hub, topic, word), daemon=True).start()
    if form.is_exact:
        last: Any = None
        while True:
            data = fetch()
            if data != last:
                output.emit_line(data, form)
                last = data
            _pause(word)
    console = output.console()
    if not console.is_terminal:
        while True:
            output.show(table(listed(fetch())))
            _pause(word)
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            live.update(table(listed(fetch())[: console.height - SPACE_ROWS]), refresh=True)
            _pause(word)


def listed(data: Any) -> list[dict[str, Any]]:
    """Return what the hub answered as a list: one thing is a list of one."""
    return cast("list[dict[str, Any]]", data) if isinstance(data, list) else [data]


def _pause(word: threading.Event) -> None:
    word.wait(LOOK_EVERY_S)
    time.sleep(LOOK_APART_S)  # what changes meanwhile shares the next look
    word.clear()


def _listen(hub: client.Client, topic: str, word: threading.Event) -> None:
    """Set `word` at each "look again"; when the stream ends, the slow look every few seconds still serves."""
    with contextlib.suppress(client.HubAway, client.ApiRefused), client.Client(hub.context) as own:
        for _ in own.lines("GET", "/v1/watch", params={"topic": topic}):
            word.set()
