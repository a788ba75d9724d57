"""Is what was recovered of a damaged hub.db enough to go on with? A hub never goes on with an empty or holed fleet."""

from __future__ import annotations

from hub.core import registry
from hub.shell import operators
from protocol import limits
from protocol.link import parent, parent_desired, parent_entries

_OF_NODES = (parent.CHILD, parent.STATUS, parent_desired.ASKED, parent_entries.CURSOR)


def judge(spaces: dict[str, dict[str, bytes]]) -> str:
    """Return what is missing of operators and registry, or "" when all nodes that anything speaks of are known."""
    if not spaces.get(operators.SPACE):
        return "no operator of this hub can be read"
    known = spaces.get(registry.SPACE, {})
    named = {key.partition("/")[0] for space in _OF_NODES for key in spaces.get(space, {})}
    lost = sorted(named - set(known))
    if lost:
        shown = ", ".join(lost[: limits.LOST_NAMED_MAX]) + (", ..." if len(lost) > limits.LOST_NAMED_MAX else "")
        return f"the records of {len(lost)} nodes cannot be read ({shown})"
    return "" if known else "no node of this hub can be read"
