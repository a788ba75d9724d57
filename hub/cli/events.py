"""events and logs: what happened, and what is printed; as it comes with -f."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.listing.paths import Paths
from hub.cli.view import happened, human, output, prefix
from hub.cli.view.output import Format
from protocol import limits, messages

SHOWN = 100
REFUSED_THERE = "skerry-agent: no service "  # a device answers lines; this one is its refusal
FIELDS = ("node", "path", "epoch", "stream", "seq", "time", "kind", "key", "body")

Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")]


def events(
    node: Annotated[str, typer.Option("--node", metavar="NODE", autocompletion=options.complete_node)] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Not older than this, as in 1h.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="As in service.exited; service.* is all that begin so.")] = "",
    key: Annotated[str, typer.Option("--key", help="Of one service, run or task.")] = "",
    stream: Annotated[str, typer.Option("--stream", help="audit, state, metrics or logs.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the newest.")] = None,
    follow: Follow = False,
    form: options.Output = Format.TABLE,
) -> None:
    """Show what happened, oldest first.

    The newest 100; all of them with --since, or in JSON.
    """
    if stream and stream not in messages.STREAMS:
        raise client.UsageError(f'--stream: "{stream}" is no stream: write {", ".join(messages.STREAMS)}')
    params: dict[str, object] = {"node": node, "kind": kind, "key": key, "stream": stream}
    if since:
        params["since_ms"] = int((time.time() - options.seconds(since, "--since")) * 1000)
    with client.Client() as hub:
        place, paths = "", Paths(hub)
        for event in _past(hub, params, limit or (0 if since or form.is_exact else SHOWN)):
            place = str(event["id"])
            _show_event(event, form, paths)
        if not place and not follow:
            _explain_nothing(hub, node, form)
        if follow:
            for event in hub.lines("GET", "/v1/events", params={**params, "follow": True, "after": place or "0"}):
                _show_event(event, form, paths)


def _explain_nothing(hub: client.Client, node: str, form: Format) -> None:
    """Say that nothing was found; that there is no such node is an error. Raises ApiRefused."""
    if node and node != hub.context.hub:
        hub.get(f"/v1/nodes/{node}")
    if not form.is_exact:
        output.note("nothing of this kind has happened: `skerry events` shows the newest of all")


def _past(hub: client.Client, params: dict[str, object], limit: int) -> Iterable[dict[str, Any]]:
    """Return the newest `limit` events; all of them for 0."""
    if 0 < limit <= limits.PAGE_ROWS_MAX:
        return hub.lines("GET", "/v1/events", params={**params, "limit": limit})
    everything = _pages(hub, params)
    return collections.deque(everything, maxlen=limit) if limit else everything


def _pages(hub: client.Client, params: dict[str, object]) -> Iterator[dict[str, Any]]:
    place = "0"
    while True:
        count = 0
        page = {**params, "after": place, "limit": limits.PAGE_ROWS_MAX}
        for event in hub.lines("GET", "/v1/events", params=page):
            count += 1
            place = str(event["id"])
            yield event
        if count < limits.PAGE_ROWS_MAX:
            return


def _show_event(event: dict[str, Any], form: Format, paths: Paths) -> None:
    if form.is_exact:
        output.emit_line({key: event[key] for key in FIELDS} | {"id": event["id"]}, form)
        return
    text = happened.words(event, whole=form is Format.WIDE)
    words = [
        human.stamp(event["time_ms"]),
        f"{paths.of_event(event):<16}",
        f"{event['kind']:<18}",
        f"{_short(event['key']):<16}",
    ]
    if form is Format.WIDE:
        words.insert(1, f"{event['stream']}/{event['seq']}")
    line = output.clean("  ".join([*words, text]).rstrip())
    output.say(line if form is Format.WIDE else _cut(line))


def _short(key: str) -> str:
    return key[:19] if key.startswith("sha256:") else key


def _cut(line: str) -> str:
    console = output.console()
    return line if not console.is_terminal or len(line) <= console.width else line[: console.width - 1] + "…"


def logs(
    service: Annotated[str, typer.Argument(metavar="SERVICE", autocompletion=options.complete_service)],
    node: Annotated[str, typer.Option("--node", metavar="NODE", autocompletion=options.complete_node)] = "",
    follow: Follow = False,
    tail: Annotated[int, typer.Option("--tail", min=0, max=limits.TAIL_LINES_MAX, help="Last lines of each.")] = 100,
    form: options.Output = Format.TABLE,
) -> None:
    """Show what a service prints, fetched from its devices."""
    failed, came = 0, 0
    with client.Client() as hub:
        paths = Paths(hub)
        for one in hub.lines("GET", f"/v1/logs/{service}", params={"node": node, "tail": tail, "follow": follow}):
            if str(one.get("line", "")).startswith(REFUSED_THERE):
                one = {"node": one["node"], "error": str(one["line"]).removeprefix("skerry-agent: ")}
            if form.is_exact:
                output.emit_line(one, form)
            elif "error" in one:
                error = output.clean(human.times(str(one["error"]), int(time.time() * 1000)))
                prefix.note(paths.of(one["node"]), error, width=16)
            else:
                prefix.line(paths.of(one["node"]), output.clean(str(one["line"])), width=16 if not node else 0)
            failed += "error" in one
            came += "error" not in one
    if not came and not failed and not form.is_exact:
        output.note(f"{service} has printed nothing")
    raise typer.Exit(1 if failed and not came else 0)
