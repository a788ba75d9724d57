"""The nodes of one resource that are to be looked at first, of all that it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.core.down.known import brief as briefs
from hub.core.views import everywhere
from protocol import limits

if TYPE_CHECKING:
    from hub.core.hub import HubCore

JSON = dict[str, Any]


class Worst:
    """The nodes of the resource `key`, gathered a page at a time: those in trouble first, then by address."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._found: list[JSON] = []
        self._start = ""
        self._has_more = False

    def look(self, core: HubCore) -> bool:
        """Look at the next page; tell whether there are more. Raises Refusal (404) when the resource is gone."""
        page = everywhere.on(core, self._key, self._start)
        found = sorted([*self._found, *page.nodes], key=_rank)
        self._has_more = self._has_more or len(found) > limits.NODES_PAGE_MAX
        self._found, self._start = found[: limits.NODES_PAGE_MAX], page.more
        return bool(page.more)

    def told(self) -> JSON:
        """Return the worst of those that were looked at; `has_more`: whether there are others."""
        return {"on": self._found, "has_more": self._has_more}


def _rank(one: JSON) -> tuple[int, list[str]]:
    """Return the less the worse it is: does not do what it should, not what is asked, is away, is held by people."""
    report: JSON = one["report"] or {}
    is_heard = one["node_state"] == "online"
    is_good = report.get("state", "running") in briefs.GOOD and report.get("healthy") is not False
    is_held = one["hold"] is not None or report.get("override") is not None
    is_as_asked = one["current"] and one["placed"]
    ranks = (is_heard and not (is_good or is_held), not is_as_asked, not is_heard, is_held, True)
    return ranks.index(True), one["node"].split("/")
