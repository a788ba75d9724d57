"""How one node stands to one Upgrade: a pure view of what it last said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.upgrade import waves
from protocol import documents

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}


def fits(core: HubCore, name: str, document: documents.Upgrade) -> bool:
    """Tell whether `document` is for the Debian and the machine that node `name` is, as far as that is known."""
    node, report = core.registry.get(name), core.rollup.report(name)
    facts = (report.platform if report is not None else {}) or node.facts
    is_release = f"{facts.get('os', '')} ".startswith(f"Debian GNU/Linux {document.release} ")
    return is_release and _ARCHES.get(facts.get("arch", "")) == document.arch


def state(core: HubCore, name: str, document: documents.Upgrade, *, is_silent: bool) -> str:
    """Return how a node that has `document` is, in the words of waves. `is_silent`: it was not heard for too long."""
    report, is_online = core.rollup.report(name), core.rollup.is_online(name)
    said = report.upgrade if report is not None else None
    if said is None or said.number != document.number:
        return waves.PENDING if is_online and (report is None or report.hold is None) else waves.SPARED
    if said.state in ("running", "back"):
        return waves.RUNNING if said.state == "running" else waves.BACK
    if is_online:
        return waves.SPARED if said.state == "refused" else waves.PENDING
    if said.state not in ("asked", "trying"):
        return waves.SPARED
    return waves.SILENT if is_silent else waves.PENDING
