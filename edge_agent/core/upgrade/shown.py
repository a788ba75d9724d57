"""How far an Upgrade is on this device, in the words of its report."""

from __future__ import annotations

from edge_agent.core.inputs import Slots
from protocol import documents
from protocol.upgrade.words import Kept, Outcome, Stage

_NOT_HERE = "this agent was not installed from its package: install that first"


def fitting(doc: documents.Upgrade, slots: Slots | None) -> documents.Package | None:
    """Return the package for this Debian and this machine."""
    return doc.fitting(slots.release, slots.arch) if slots is not None else None


def version(doc: documents.Upgrade, slots: Slots | None) -> str:
    """Return the version that is asked for, as its package here has it, if there is one."""
    package = fitting(doc, slots)
    return doc.full(package.release) if package is not None else doc.version


def state(doc: documents.Upgrade, slots: Slots | None, kept: Kept, *, is_asking: bool, silent: str) -> tuple[str, str]:
    """Return (state, reason) as in status.UpgradeReport. `silent`: root's part did not answer, and what to do."""
    if slots is None:
        return "refused", _NOT_HERE
    if kept.stage is not Stage.IDLE and kept.number == doc.number:
        return "trying", ""
    if version(doc, slots) == slots.version:
        return "running", ""
    if fitting(doc, slots) is None:
        here = f"this device has Debian {slots.release} on {slots.arch}"
        return "refused", f"it is for {doc.machines}; {here}"
    if kept.number == doc.number:
        is_done = kept.outcome is Outcome.DONE
        return ("refused", "another was installed by hand since") if is_done else (kept.outcome, kept.reason)
    if silent or kept.number > doc.number:
        return "refused", silent or "a newer one was asked for here before"
    return ("asked" if is_asking else "fetching"), ""
