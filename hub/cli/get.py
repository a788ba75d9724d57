"""get: lists, as a table for people or exactly for programs; live with -w."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hub.cli import client, options
from hub.cli.view import human, nodes, output
from hub.cli.view.output import Format

if TYPE_CHECKING:
    from rich.table import Table

Rows = Sequence[Sequence[str]]
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
            output.show(_table(chosen, listed, form, _now_ms()))
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
            output.show(_table(kind, _listed(fetch()), form, _now_ms()))
            _pause(word)
    from rich.live import Live

    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            data = fetch()
            listed = _listed(data)
            live.update(_table(kind, listed[: console.height - SPACE_ROWS], form, _now_ms()), refresh=True)
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


def _table(kind: str, listed: list[dict[str, Any]], form: Format, now_ms: int) -> Table:
    make: dict[str, Callable[[list[dict[str, Any]], bool, int], tuple[Sequence[str], Rows]]] = {
        "nodes": _nodes,
        "services": _services,
        "workflows": _workflows,
        "runs": _runs,
        "tokens": _tokens,
    }
    heads, rows = make[kind](listed, form is Format.WIDE, now_ms)
    return output.table(heads, rows)


def _nodes(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["NODE", "STATE", "LABELS", "DESIRED", "SEEN", "WORK", "SYNCED"]
    rows = [
        [
            node["name"],
            nodes.state(node, now_ms),
            nodes.labels(node),
            f"gen {node['desired_generation']}" if node["state"] != "revoked" else "–",
            str(node["observed_generation"] or "–"),
            nodes.work(node, now_ms),
            nodes.synced(node, now_ms),
        ]
        for node in listed
    ]
    if wide:
        heads += ["LAST CONTACT", "VERSION", "VITALS", "PATH"]
        for row, node in zip(rows, listed, strict=True):
            contact = human.clock(node["last_contact_ms"], now_ms)
            row += [contact, node["version"] or "–", nodes.vitals(node), node["path"]]
    return heads, rows


def _services(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["SERVICE", "RUNNING", "CURRENT", "UNHEALTHY", "AWAY", "PLACED", "SELECTOR", "CHANGED"]
    rows = [
        [
            one["name"],
            f"{one['running']}/{one['placed']}",
            f"{one['current']}/{one['placed']}",
            str(one["unhealthy"] or "–"),
            str(one["away"] or "–"),
            _placed(one),
            one["selector"] or "nobody",
            f"{human.age(one['changed_ms'], now_ms)} ago",
        ]
        for one in listed
    ]
    return _widened(heads, rows, listed, wide)


def _workflows(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["WORKFLOW", "CURRENT", "RUNNING", "AWAY", "PLACED", "SELECTOR", "CHANGED"]
    rows = [
        [
            one["name"],
            f"{one['current']}/{one['placed']}",
            str(one["running"] or "–"),
            str(one["away"] or "–"),
            _placed(one),
            one["selector"] or "nobody",
            f"{human.age(one['changed_ms'], now_ms)} ago",
        ]
        for one in listed
    ]
    return _widened(heads, rows, listed, wide)


def _placed(one: dict[str, Any]) -> str:
    return "all that match" if one["count"] is None else f"{one['placed']} of {one['count']}"


def _widened(
    heads: list[str], rows: list[list[str]], listed: list[dict[str, Any]], wide: bool
) -> tuple[Sequence[str], Rows]:
    if wide:
        heads += ["GEN", "BY", "NODES"]
        for row, one in zip(rows, listed, strict=True):
            row += [str(one["generation"]), one["by"], " ".join(one["nodes"]) or "–"]
    return heads, rows


def _runs(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["RUN", "WORKFLOW", "NODE", "STATE", "STEPS", "TRIGGER", "STARTED", "TOOK"]
    rows = [
        [
            one["id"],
            one["workflow"],
            one["node"],
            one["state"],
            _steps(one["steps"]),
            one["trigger"] or "–",
            human.clock(one["started_ms"], now_ms),
            human.duration((one["ended_ms"] - one["started_ms"]) / 1000) if one["ended_ms"] else "–",
        ]
        for one in listed
    ]
    if wide:
        heads += ["PARAMS"]
        for row, one in zip(rows, listed, strict=True):
            row.append(" ".join(f"{key}={value}" for key, value in one["params"].items()) or "–")
    return heads, rows


def _steps(steps: list[dict[str, Any]]) -> str:
    done = sum(step["state"] in ("ok", "skipped") for step in steps)
    bad = next((step for step in steps if step["state"] in ("failed", "interrupted")), None)
    return f"{done}/{len(steps)}" + (f" ({bad['name']}: {bad['state']})" if bad else "")


def _tokens(listed: list[dict[str, Any]], wide: bool, now_ms: int) -> tuple[Sequence[str], Rows]:
    heads = ["TOKEN", "USED", "EXPIRES", "LABELS", "BY"]
    rows = [
        [
            one["id"],
            f"{one['used']} of {one['uses']}",
            human.clock(one["expires_ms"], now_ms) if one["expires_ms"] > now_ms else "expired",
            nodes.labels(one),
            one["by"],
        ]
        for one in listed
    ]
    return heads, rows


def _afterword(kind: str, listed: list[dict[str, Any]], selector: str) -> None:
    if kind == "nodes":
        if not listed:
            output.note(
                f'no node matches "{selector}"' if selector else "no node yet: `skerry token create` invites one"
            )
        elif text := nodes.advice(listed):
            output.note(text)
    elif not listed:
        hints = {
            "services": "none declared: skerry apply -f FILE",
            "workflows": "none declared: skerry apply -f FILE",
            "runs": "no run yet: skerry workflow start NAME",
        }
        output.note(hints.get(kind, "none"))
