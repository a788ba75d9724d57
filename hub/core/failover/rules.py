"""The rules of failing over, pure: who takes a place, who keeps it, and how long a lease binds whom.

A *copy* is a service on one child of this hub: on a node, or (with as many processes as its share) in a region. When a
child was not heard for `replace_after`, its copy is *parked*: it is asked for as before, so that nothing healthy stops
because a link came back, but it counts no more, and others take over. When the child is heard again:

    on_return          who is kept, once it is heard and runs; until then both are asked for
    keep_original      the lower fence
    keep_replacement   the higher fence
    keep_newest        who runs rather than who does not, who has what is asked for now, then the higher fence
    keep_both          both, one of them beyond the count

Copies are told apart by their fence, which is higher for each new one: the original is the one with the lower. With
`at_most_one` only one of them can run, so nobody waits for it to run: who is kept must be heard, that is all.
"""

from __future__ import annotations

import enum

import msgspec

from protocol import documents, limits


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One copy as its child last said. `current`: it has the document that is asked for now."""

    fence: int
    online: bool
    runs: bool
    current: bool = True


class Verdict(enum.Enum):
    """What becomes of a parked copy and of those that took over."""

    WAIT = "wait"
    BACK = "back"
    """The parked one counts again, those that took over go."""
    GONE = "gone"
    """The parked one goes."""
    BOTH = "both"


def decide(disconnect: documents.Disconnect, parked: Copy, replacement: Copy) -> Verdict:
    """Return what becomes of `parked`, whose child is heard again, and of what took over for it."""
    if disconnect.on_return == "keep_both" and not disconnect.at_most_one:
        return Verdict.BOTH
    kept = max(parked, replacement, key=lambda one: _rank(disconnect.on_return, one))
    if not (kept.online and (kept.runs or disconnect.at_most_one)):
        return Verdict.WAIT
    return Verdict.BACK if kept is parked else Verdict.GONE


def _rank(on_return: str, one: Copy) -> tuple[bool, bool, int]:
    match on_return:
        case "keep_replacement":
            return True, True, one.fence
        case "keep_newest":
            return one.runs, one.current, one.fence
        case _:
            return True, True, -one.fence


def lease_s(disconnect: documents.Disconnect, grace_s: float) -> float:
    """Return how long a lease lasts: so that it is over, with `grace_s` to stop, when `replace_after` is."""
    if disconnect.replace_after_s is None:
        return limits.LEASE_S
    left_s = (disconnect.replace_after_s - grace_s - limits.LEASE_SLACK_S) / (1 + limits.LEASE_DRIFT_SHARE)
    return min(max(left_s, limits.LEASE_S_MIN), limits.LEASE_S_MAX)


def bound_s(lease_s: float, grace_s: float, *, clocks: int = 1) -> float:
    """Return after how long, from its grant, nothing runs under a lease any more (INVARIANTS A20).

    `clocks`: how many clocks may drift between here and there, each against the next one.
    """
    return lease_s * (1 + limits.LEASE_DRIFT_SHARE * clocks) + grace_s + limits.LEASE_SLACK_S
