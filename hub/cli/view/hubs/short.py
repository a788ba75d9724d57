"""How much of what was asked for found no place, and where: `eu-north 1 of 2, and 3 of 7 nowhere`."""

from __future__ import annotations

from typing import Any

NAMED = 4
Short = list[dict[str, Any]]
"""Of a resource, as its hub says it (hub.core.views.spread): `hub`, `placed` and `asked` each."""


def count(lacking: Short) -> int:
    """Return how many copies have no place."""
    return sum(one["asked"] - one["placed"] for one in lacking)


def sentence(key: str, lacking: Short) -> str:
    """Return `short: service/line at eu-north 1 of 2, in all 5 of 7, ...`, with why and what to do."""
    names = [f"at {one['hub']}" if one["hub"] else "in all" for one in lacking[:NAMED]]
    where = [f"{name} {one['placed']} of {one['asked']}" for name, one in zip(names, lacking, strict=False)]
    where += [f"and at {len(lacking) - NAMED} more"] if len(lacking) > NAMED else []
    text = f"short: {key} {', '.join(where)}, for no more nodes match there"
    return f"{text}; label or enroll some, which get it by themselves, or ask for fewer"
