"""get: lists, as a table for people or exactly for programs; live with -w."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer

from hub.cli import client, options
from hub.cli.view import human, lists, nodes, output
from hub.cli.view.output import Format

KINDS = ("nodes", "services", "workflows", "runs", "tokens")
LOOK_EVERY_S = 5.0
LOOK_APART_S = 0.25
SPACE_ROWS = 4  # of a terminal, for the head and the prompt


def _complete_kind(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def get(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS), autocompletion=_complete_kind)],
    name: Annotated[str, typer.Argument(metavar="[NAME]")] = "",
    selector: options.Selector = "",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Keep it up to date until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of runs: at most so many, the newest.")] = 50,
    form: options.Output = Format.TABLE,
) -> None:
    """List nodes, services, workflows, runs or tokens."""
    chosen = _kind(kind)
    options.checked_selector(selector)
    if selector and chosen != "nodes":
        raise client.UsageError("-l selects nodes: skerry get nodes -l SELECTOR")
    with client.Client() as hub:

        def fetch() -> Any:
            return _fetch(hub, chosen, name, selector, limit)

        if watch:
            with contextlib.suppress(KeyboardInterrupt):
                _watch(hub, chosen, fetch, form)
            return
        data = fetch()
        if form.is_exact:
            output.emit(data, form)
            return
        listed = _listed(data)
        if listed:
            wide = form is Format.WIDE
            output.show(lists.table(chosen, listed, wide=wide, now_ms=_now_ms()), wide=wide)
        _afterword(chosen, listed, selector)


def _kind(word: str) -> str:
    wanted = word.lower()
    for kind in KINDS:
        if wanted in (kind, kind[:-1]):
            return kind
    from protocol.spec.mistakes import suggestion

    raise client.UsageError(f'"{word}" is no kind: write {", ".join(KINDS)}{suggestion(word, KINDS)}')


def _fetch(hub: client.Client, kind: str, name: str, selector: str, limit: int) -> Any:
    if kind == "tokens":
        found = hub.get("/v1/tokens")
        if not name:
            return found
        return next((one for one in found if one["id"] == name), None) or _no_token(name)
    if name:
        data = hub.get(f"/v1/{kind}/{name}")
        return _exact_node(data) if kind == "nodes" else data
    data = hub.get(f"/v1/{kind}", selector=selector, limit=limit if kind == "runs" else None)
    return [_exact_node(one) for one in data] if kind == "nodes" else data


def _listed(data: Any) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", data) if isinstance(data, list) else [data]


def _no_token(name: str) -> Any:
    raise client.ApiRefused(f'there is no token "{name}": see `skerry get tokens`', 404, [])


def _exact_node(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node as programs get it: the stable fields first."""
    first = ("name", "path", "kind", "labels", "state")
    head = {key: node[key] for key in first} | {"last_contact": human.iso(node["last_contact_ms"])}
    return head | {key: value for key, value in node.items() if key not in first}


def _watch(hub: client.Client, kind: str, fetch: Callable[[], Any], form: Format) -> None:
    """Show it again whenever the hub says "look again", and every few seconds, for what only time changes."""
    word = threading.Event()
    topic = {"nodes": "node/", "runs": "run/", "tokens": "token/"}.get(kind, "")
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
            output.show(lists.table(kind, _listed(fetch()), wide=form is Format.WIDE, now_ms=_now_ms()))
            _pause(word)
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            data = fetch()
            listed = _listed(data)
            shown = listed[: console.height - SPACE_ROWS]
            live.update(lists.table(kind, shown, wide=form is Format.WIDE, now_ms=_now_ms()), refresh=True)
            _pause(word)


def _pause(word: threading.Event) -> None:
    word.wait(LOOK_EVERY_S)
    time.sleep(LOOK_APART_S)  # what changes meanwhile shares the next look
    word.clear()


def _listen(hub: client.Client, topic: str, word: threading.Event) -> None:
    """Set `word` at each "look again"; when the stream ends, the slow look every few seconds still serves."""
    with contextlib.suppress(client.HubAway, client.ApiRefused), client.Client(hub.context) as own:
        for _ in own.lines("GET", "/v1/watch", params={"topic": topic}):
            word.set()


def _now_ms() -> int:
    return int(time.time() * 1000)


def _afterword(kind: str, listed: list[dict[str, Any]], selector: str) -> None:
    if kind == "nodes":
        if not listed:
            output.note(
                f'no node matches "{selector}"' if selector else "no node yet: `skerry token create` invites one"
            )
        elif text := nodes.advice(listed):
            output.note(text)
    elif kind == "services" and (short := nodes.short(listed)):
        output.note(short)
    elif not listed:
        hints = {
            "services": "none declared: skerry apply -f FILE",
            "workflows": "none declared: skerry apply -f FILE",
            "runs": "no run yet: skerry workflow start NAME",
        }
        output.note(hints.get(kind, "none"))
