"""How far an Upgrade is on this device, in the words of its report."""

from __future__ import annotations

from edge_agent.core.inputs import Slots
from protocol import documents
from protocol.upgrade.words import Kept, Outcome, Stage

_NOT_HERE = "this agent was not installed from its package: install that first"


def fits(doc: documents.Upgrade, slots: Slots | None) -> bool:
    """Tell whether `doc` is for this Debian and this machine."""
    return slots is None or (slots.release, slots.arch) == (doc.release, doc.arch)


def state(doc: documents.Upgrade, slots: Slots | None, kept: Kept, *, is_asking: bool, silent: str) -> tuple[str, str]:
    """Return (state, reason) as in status.UpgradeReport. `silent`: root's part did not answer, and what to do."""
    if slots is None:
        return "refused", _NOT_HERE
    if kept.stage is not Stage.IDLE and kept.number == doc.number:
        return "trying", ""
    if doc.full == slots.version:
        return "running", ""
    if not fits(doc, slots):
        here = f"this device has Debian {slots.release} on {slots.arch}"
        return "refused", f"it is for Debian {doc.release} on {doc.arch}; {here}"
    if kept.number == doc.number:
        is_done = kept.outcome is Outcome.DONE
        return ("refused", "another was installed by hand since") if is_done else (kept.outcome, kept.reason)
    if silent or kept.number > doc.number:
        return "refused", silent or "a newer one was asked for here before"
    return ("asked" if is_asking else "fetching"), ""
