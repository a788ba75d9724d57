"""Rows of a node below another hub that are not here, and why: what a person may do about them."""

from __future__ import annotations

from typing import Any

from hub.cli.view import human


def short(node: dict[str, Any]) -> str:
    """Return `metrics 1,204 held, state 3 hole`, or `–`: what is not here, for a list."""
    found = [
        f"{stream} {human.number(count)} {why}"
        for stream, counts in node["missing"].items()
        for why, count in counts.items()
    ]
    return ", ".join(found) or "–"


def is_held(node: dict[str, Any]) -> bool:
    """Tell whether something is held back on the way here."""
    return any("held" in counts for counts in node["missing"].values())


def rows(node: dict[str, Any], policies: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return a sentence for each stream and reason. `policies`: those of this hub; one of a hub below may hold, too."""
    hub = node["address"].rpartition("/")[0]
    return [
        (stream, _sentence(stream, why, human.entries(count), hub, policies))
        for stream, counts in node["missing"].items()
        for why, count in counts.items()
    ]


def _sentence(stream: str, why: str, count: str, hub: str, policies: list[dict[str, Any]]) -> str:
    if why == "held":
        names = [one["name"] for one in policies if one["rules"]["forward"].get(stream, "all") != "all"]
        by = f"by policy {', '.join(names)}" if names else "by a policy there or for want of room"
        return f"{count} held back at {hub}, {by}: ask there"
    said = {
        "hole": f"not here yet: {hub} has still to send them, or has lost them",
        "lost": "lost on the way: declared, and signed",
        "closed": "not here, too long ago to say which",
    }
    return f"{count} {said.get(why, why)}"
