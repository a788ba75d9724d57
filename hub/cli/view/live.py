"""A list that stays up to date until Ctrl-C: in place on a terminal, anew in a file, by the line for programs."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from hub.cli import client
from hub.cli.view import output
from hub.cli.view.output import Format
from hub.cli.view.table import table as tables

if TYPE_CHECKING:
    from rich.console import Console


LOOK_EVERY_S = 5.0
LOOK_APART_S = 0.25
SPACE_ROWS = 4  # of a terminal, for the head and the prompt


def watch(
    hub: client.Client,
    topic: str,
    fetch: Callable[[int | None], Any],
    table: Callable[[Iterable[dict[str, Any]]], tables.Table],
    form: Format,
) -> None:
    """Show it again whenever the hub says "look again", and every few seconds, for what only time changes.

    `topic`: what the hub's words are about, "" for all of them. `fetch` is told how many are shown (None: all). Ends by
    an exception alone.
    """
    word = threading.Event()
    threading.Thread(target=_listen, args=(hub, topic, word), daemon=True).start()
    if form.is_exact:
        last: Any = None
        while True:
            data = exactly(fetch(None))
            if data != last:
                output.emit_line(data, form)
                last = data
            _pause(word)
    console = output.console()
    if not console.is_terminal:
        while True:
            tables.show(table(listed(fetch(None))))
            _pause(word)
    _in_place(console, fetch, table, word)


def _in_place(
    console: Console,
    fetch: Callable[[int | None], Any],
    table: Callable[[Iterable[dict[str, Any]]], tables.Table],
    word: threading.Event,
) -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            rows = max(console.height - SPACE_ROWS, 1)
            made = table(itertools.islice(listed(fetch(rows)), rows))
            live.update(Group(*made.pages(console)), refresh=True)
            _pause(word)


def listed(data: Any) -> Iterable[dict[str, Any]]:
    """Return what the hub answered as a list: one thing is a list of one."""
    return [cast("dict[str, Any]", data)] if isinstance(data, dict) else data


def exactly(data: Any) -> Any:
    """Return what the hub answered with all that is read as it is wanted: one thing, or a list."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else list(data)


def _pause(word: threading.Event) -> None:
    word.wait(LOOK_EVERY_S)
    time.sleep(LOOK_APART_S)  # what changes meanwhile shares the next look
    word.clear()


def _listen(hub: client.Client, topic: str, word: threading.Event) -> None:
    """Set `word` at each "look again"; when the stream ends, the slow look every few seconds still serves."""
    with contextlib.suppress(client.HubAway, client.ApiRefused), client.Client(hub.context) as own:
        for _ in own.lines("GET", "/v1/watch", params={"topic": topic}):
            word.set()
