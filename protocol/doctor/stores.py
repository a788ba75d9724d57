"""What a look at a SQLite store means."""

from __future__ import annotations

from protocol.doctor import words
from protocol.doctor.facts import Store
from protocol.doctor.findings import Finding, ok, problem


def store(check: str, seen: Store, node: str, *, missing: str, damaged: str) -> Finding:
    """Judge a store of `node`. `missing`: what to do when it is not there, empty when it is made by itself.

    `damaged`: what to do when it is.
    """
    if not seen.present:
        if missing:
            return problem(check, f"{seen.path} is missing", missing)
        return ok(check, f"{seen.path} is not there yet: it is made by the first start")
    if seen.damage:
        return problem(check, f"{seen.path} is damaged: {seen.damage}", damaged)
    if seen.oldest > seen.known:
        says = f"{seen.path} was made by a newer Skerry (store version {seen.version}, this one knows {seen.known})"
        return problem(check, says, "install that version or a later one; do not remove the file: nothing is lost")
    if node and seen.node not in ("", node):
        says = f"{seen.path} belongs to node {seen.node}, not to {node}"
        return problem(check, says, "give each node a data directory of its own; put the right file back")
    return ok(check, _well(seen))


def _well(seen: Store) -> str:
    how = "read whole, no flaw" if seen.whole else "no flaw in what was read; it is looked at whole after a crash"
    ended = "" if seen.clean or seen.holder else "; it was not closed in order, the next start looks at it"
    return f"{words.size(seen.bytes)}, {how}{ended}"
