"""What `skerry get` says below a table: what to look at, and what to do where there is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hub.cli.listing.fetched import Listed
from hub.cli.view import nodes, output
from hub.cli.view.hubs import this

if TYPE_CHECKING:
    from hub.cli.client import Client
    from hub.cli.listing.paths import Paths

_HINTS = {
    "nodes": "no node yet: `skerry token create` invites one",
    "services": "none declared: skerry apply -f FILE",
    "workflows": "none declared: skerry apply -f FILE",
    "runs": "no run yet: skerry workflow start NAME",
    "policies": "no policy binds this hub, or those below it: skerry apply -f FILE",
    "regions": "no hub is below this one: `skerry token create --hub` invites one",
}


class Noted:
    """Things as they pass on their way to a table: how many, the first one, and what is to be said of them."""

    def __init__(self, kind: str, passing: Iterable[dict[str, Any]], paths: Paths) -> None:
        self._kind, self._passing, self._paths = kind, passing, paths
        self.first: dict[str, Any] | None = None
        self.text = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for one in self._passing:
            self.first = self.first or one
            self.text = self.text or self._advice(one)
            yield one

    def is_cut(self) -> bool:
        """Tell whether fewer are shown than there are."""
        return isinstance(self._passing, Listed) and self._passing.has_more

    def _advice(self, one: dict[str, Any]) -> str:
        if self._kind == "nodes":
            return nodes.advice(one, self._paths.of(one["address"]))
        return nodes.short(one) if self._kind == "services" else ""


def more(kind: str) -> str:
    """Return how to see those that are not shown."""
    return f"there are more: {'-l SELECTOR says which, --limit' if kind == 'nodes' else '--limit says'} how many"


def say(hub: Client, kind: str, noted: Noted, selector: str, now_ms: int) -> None:
    """Say what there is to say, on stderr."""
    if noted.first is None:
        output.note(f'no node matches "{selector}"' if selector else _HINTS.get(kind, "none"))
    elif noted.is_cut():
        output.note(more(kind))
    if noted.text:
        output.note(noted.text)
    if kind == "nodes":
        if text := this.advice(hub.get("/v1/hub"), now_ms):
            output.note(text)
        if strangers := nodes.knocks(hub.get("/v1/nodes/-/knocks")):
            from hub.core.doctor import fleet

            output.warn(f"turned away, because this hub does not know it: {', '.join(strangers)}. {fleet.STRANGER}")
    elif kind == "hub" and noted.first is not None and (text := this.advice(noted.first, now_ms)):
        output.note(text)
