"""The ways that a Move takes, from the hub that says it down to the one that the node leaves, and to where it turns."""

from __future__ import annotations

from collections.abc import Sequence

from protocol import documents


def onward(move: documents.Move, path: Sequence[str]) -> tuple[str, ...]:
    """Return the children to which the hub that ends `path` (ids, from above) hands `move` on.

    Of who has arrived only the former hub need hear; of who may not come only the one that it came to.
    """
    steps = (next_of(way, move.by, path) for way in _ways(move))
    return tuple(dict.fromkeys(filter(None, steps)))


def next_of(way: str, by: str, path: Sequence[str]) -> str:
    """Return the next hub on `way`, an address below `by`, after the one that ends `path`; empty: it is not on it."""
    left = _steps(way, by, path)
    return left[0] if left else ""


def is_end(move: documents.Move, way: str, path: Sequence[str]) -> bool:
    """Tell whether the hub that ends `path` is where `way` (`move.leaves` or `move.joins`) leads."""
    return way in _ways(move) and _steps(way, move.by, path) == []


def _ways(move: documents.Move) -> tuple[str, ...]:
    if move.revoked:
        return (move.joins,)
    return (move.leaves,) if move.arrived else (move.leaves, move.joins)


def _steps(way: str, by: str, path: Sequence[str]) -> list[str] | None:
    """Return the ids that are left of `way` after the hub that ends `path`; None: it does not stand on it.

    No id stands twice on one path, but two branches may have hubs of one id: as much as is known of both is compared.
    """
    steps = [by, *way.split("/")] if way else [by]
    if path[-1] not in steps:
        return None
    at = steps.index(path[-1]) + 1
    known = min(at, len(path))
    return steps[at:] if steps[at - known : at] == list(path[-known:]) else None
