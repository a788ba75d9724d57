"""get: lists, as a table for people or exactly for programs; live with -w."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import human, lists, live, nodes, output
from hub.cli.view.hubs import this
from hub.cli.view.output import Format

if TYPE_CHECKING:
    from rich.table import Table

KINDS = ("nodes", "regions", "hub", "services", "workflows", "policies", "runs", "tokens")
TOPICS = {"nodes": "node/", "regions": "node/", "runs": "run/", "tokens": "token/", "policies": "resource/"}

ALSO = {"policy": "policies", "hubs": "regions"}


def _complete_kind(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _complete_name(context: typer.Context, incomplete: str) -> list[str]:
    return options.complete_name(str(context.params.get("kind") or ""), incomplete)


def get(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS), autocompletion=_complete_kind)],
    name: Annotated[str, typer.Argument(metavar="[NAME]", autocompletion=_complete_name)] = "",
    selector: options.Selector = "",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Keep it up to date until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of runs: at most so many, the newest.")] = 50,
    form: options.Output = Format.TABLE,
) -> None:
    """List nodes, regions, services, workflows, policies, runs or tokens; `hub` is this hub, and its link upward."""
    chosen = _kind(kind)
    chosen = "regions" if chosen == "hub" and name else chosen
    options.checked_selector(selector)
    if selector and chosen != "nodes":
        raise client.UsageError("-l selects nodes: skerry get nodes -l SELECTOR")
    with client.Client() as hub:

        def fetch() -> Any:
            return _fetch(hub, chosen, name, selector, limit)

        def table(some: list[dict[str, Any]]) -> Table:
            return lists.table(chosen, some, wide=form is Format.WIDE, now_ms=_now_ms())

        if watch:
            with contextlib.suppress(KeyboardInterrupt):
                live.watch(hub, TOPICS.get(chosen, ""), fetch, table, form)
        elif form.is_exact:
            output.emit(fetch(), form)
        else:
            listed = live.listed(fetch())
            if listed:
                output.show(table(listed), wide=form is Format.WIDE)
            _afterword(hub, chosen, listed, selector)


def _kind(word: str) -> str:
    wanted = word.lower()
    for kind in KINDS:
        if wanted in (kind, kind.removesuffix("s")):
            return kind
    if wanted in ALSO:
        return ALSO[wanted]
    from protocol.spec.mistakes import suggestion

    raise client.UsageError(f'"{word}" is no kind: write {", ".join(KINDS)}{suggestion(word, KINDS)}')


def _fetch(hub: client.Client, kind: str, name: str, selector: str, limit: int) -> Any:
    if kind == "tokens":
        found = hub.get("/v1/tokens")
        if not name:
            return found
        return next((one for one in found if one["id"] == name), None) or _no_token(name)
    if kind == "hub":
        return hub.get("/v1/hub")
    if kind == "regions":
        return _regions(hub, name)
    if name:
        data = hub.get(f"/v1/{kind}/{name}")
        return _exact_node(data) if kind == "nodes" else data
    data = hub.get(f"/v1/{kind}", selector=selector, limit=limit if kind == "runs" else None)
    return [_exact_node(one) for one in data] if kind == "nodes" else data


def _regions(hub: client.Client, name: str) -> Any:
    found = hub.get("/v1/regions")
    if not name:
        return found
    address = hub.get(f"/v1/nodes/{name}")["address"]
    return [one for one in found if one["address"] == address]


def _no_token(name: str) -> Any:
    raise client.ApiRefused(f'there is no token "{name}": see `skerry get tokens`', 404, [])


def _exact_node(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node as programs get it: the stable fields first."""
    first = ("name", "address", "path", "kind", "labels", "state")
    head = {key: node[key] for key in first} | {"last_contact": human.iso(node["last_contact_ms"])}
    return head | {key: value for key, value in node.items() if key not in first}


def _now_ms() -> int:
    return int(time.time() * 1000)


def _afterword(hub: client.Client, kind: str, listed: list[dict[str, Any]], selector: str) -> None:
    if kind == "nodes":
        if not listed:
            output.note(
                f'no node matches "{selector}"' if selector else "no node yet: `skerry token create` invites one"
            )
        elif text := nodes.advice(listed):
            output.note(text)
        if text := this.advice(hub.get("/v1/hub"), _now_ms()):
            output.note(text)
        if strangers := nodes.knocks(hub.get("/v1/nodes/-/knocks")):
            from hub.core.doctor import fleet

            output.warn(f"turned away, because this hub does not know it: {', '.join(strangers)}. {fleet.STRANGER}")
    elif kind == "hub" and (text := this.advice(listed[0], _now_ms())):
        output.note(text)
    elif kind == "services" and (short := nodes.short(listed)):
        output.note(short)
    elif not listed:
        hints = {
            "services": "none declared: skerry apply -f FILE",
            "workflows": "none declared: skerry apply -f FILE",
            "runs": "no run yet: skerry workflow start NAME",
            "policies": "no policy binds this hub, or those below it: skerry apply -f FILE",
            "regions": "no hub is below this one: `skerry token create --hub` invites one",
        }
        output.note(hints.get(kind, "none"))
