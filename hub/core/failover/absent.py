"""Who is not heard, since when, and why, as far as this life of the hub knows (Now.mono, INVARIANTS A15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol.effects import Now

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SITE = "site"
"""The label whose bearers stand at one place, and can tell of each other."""


class Absent:
    """All children of this hub that are away."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._since: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    def start(self, now: Now) -> None:
        """A life begins: nobody is heard yet, and for how long that was so nobody knows."""
        self._since = {node.name: now.mono for node in self._core.registry}

    def went(self, child: str, reason: str, now: Now) -> None:
        """`child` is connected no longer; it was away since its last contact."""
        self._since[child] = min(now.mono, self._core.parent.view(child).contact_mono or now.mono)
        self._reasons[child] = reason

    def came(self, child: str) -> None:
        """`child` is heard again."""
        self._since.pop(child, None)
        self._reasons.pop(child, None)

    def is_heard(self, child: str) -> bool:
        """Tell whether `child` is heard now."""
        return self._core.rollup.is_online(child)

    def since(self, child: str, now: Now) -> float | None:
        """Return since when (mono) `child` is away; None while it is heard. Of one that never came: since now."""
        return None if self.is_heard(child) else self._since.setdefault(child, now.mono)

    def evidence(self, child: str, now: Now) -> dict[str, Any]:
        """Return what is known of an absence. A crash and a cut differ by whether others at its site are heard."""
        core, since = self._core, self._since.get(child)
        label = core.registry.get(child).labels.get(SITE, "")
        others = [one for one in core.registry if label and one.labels.get(SITE) == label and one.name != child]
        online = sum(1 for one in others if core.rollup.is_online(one.name))
        seen = core.rollup.seen(child)
        return {
            "away_s": 0.0 if since is None else round(now.mono - since, 1),
            "reason": self._reasons.get(child, ""),
            "status_ms": 0 if seen is None else seen.status_ms,
            "site": label,
            "site_online": online,
            "site_away": len(others) - online,
            "likely": likely(online, len(others)),
        }


def likely(online: int, others: int) -> str:
    """Return what it means that `online` of the `others` at a site are heard: evidence, no proof."""
    if others == 0:
        return "not known: nobody else stands at its site"
    if online == 0:
        return "cut off: nobody at its site is heard"
    return "crashed: others at its site are heard" if online == others else "not known: some at its site are heard"
