"""get: lists, as a table for people or exactly for programs; live with -w."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.listing import afterword, fetched
from hub.cli.listing.paths import Paths
from hub.cli.view import lists, live, output
from hub.cli.view.output import Format
from hub.cli.view.table import table as tables

if TYPE_CHECKING:
    from collections.abc import Iterable


KINDS = ("nodes", "regions", "hub", "services", "workflows", "policies", "upgrades", "runs", "tokens")
TOPICS = {
    "nodes": "node/",
    "regions": "node/",
    "runs": "run/",
    "tokens": "token/",
    "policies": "resource/",
    "upgrades": "",
}

Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many: of nodes the first, of runs the newest (50).")
]
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
    limit: Limit = None,
    form: options.Output = Format.TABLE,
) -> None:
    """List nodes, regions, services, workflows, policies, upgrades, runs or tokens; `hub`: this hub and its link."""
    chosen = _kind(kind, name)
    _check(chosen, name, selector, limit)
    with client.Client() as hub:

        def fetch(rows: int | None = None) -> Any:
            most = min((one for one in (limit, rows) if one is not None), default=None)
            return fetched.fetch(hub, chosen, name, selector, most)

        def table(some: Iterable[dict[str, Any]]) -> tables.Table:
            return lists.table(chosen, some, wide=form is Format.WIDE, now_ms=_now_ms(), spell=Paths(hub).of)

        if watch:
            with contextlib.suppress(KeyboardInterrupt):
                live.watch(hub, TOPICS.get(chosen, ""), fetch, table, form)
        elif form.is_exact:
            _emit(fetch(), chosen, limit, form)
        else:
            noted = afterword.Noted(chosen, live.listed(fetch()), Paths(hub))
            _show(table(noted), noted, form)
            afterword.say(hub, chosen, noted, selector, _now_ms())


def _check(kind: str, name: str, selector: str, limit: int | None) -> None:
    """Raise UsageError for options that mean nothing of this kind."""
    options.checked_selector(selector)
    if selector and kind != "nodes":
        raise client.UsageError("-l selects nodes: skerry get nodes -l SELECTOR")
    if limit and (name or kind not in ("nodes", "runs")):
        raise client.UsageError("--limit is for lists of nodes and of runs; all others are shown whole")


def _emit(found: Any, kind: str, limit: int | None, form: Format) -> None:
    if not isinstance(found, fetched.Listed):
        output.emit(found, form)
        return
    output.emit_each(found, form)
    if limit is None and found.has_more:
        output.note(afterword.more(kind))


def _show(made: tables.Table, noted: afterword.Noted, form: Format) -> None:
    if noted.first is not None:
        tables.show(made, wide=form is Format.WIDE)


def _kind(word: str, name: str) -> str:
    """Return which of KINDS `word` means; a hub that has a `name` is one of the regions."""
    wanted = word.lower()
    for kind in KINDS:
        if wanted in (kind, kind.removesuffix("s")):
            return "regions" if kind == "hub" and name else kind
    if wanted in ALSO:
        return ALSO[wanted]
    from protocol.spec.mistakes import suggestion

    raise client.UsageError(f'"{word}" is no kind: write {", ".join(KINDS)}{suggestion(word, KINDS)}')


def _now_ms() -> int:
    return int(time.time() * 1000)
