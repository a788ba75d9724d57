"""How one node stands to one Upgrade: a pure view of what it last said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.upgrade import waves
from protocol import documents
from protocol.upgrade.words import DEBIAN_ARCHES

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_DEBIAN = "Debian GNU/Linux "


def fitting(core: HubCore, name: str, document: documents.Upgrade) -> documents.Package | None:
    """Return the package for the Debian and the machine that node `name` is, as far as that is known."""
    facts = _facts(core, name)
    said, arch = f"{facts.get('os', '')} ", DEBIAN_ARCHES.get(facts.get("arch", ""))
    its = [one for one in document.packages if one.arch == arch and said.startswith(f"{_DEBIAN}{one.release} ")]
    return its[0] if its else None


def machine(core: HubCore, name: str) -> str:
    """Return what node `name` is, as far as that is known, for people."""
    facts = _facts(core, name)
    return " on ".join(facts[one] for one in ("os", "arch") if facts.get(one))


def _facts(core: HubCore, name: str) -> dict[str, str]:
    report = core.rollup.report(name)
    return (report.platform if report is not None else {}) or core.registry.get(name).facts


def state(core: HubCore, name: str, document: documents.Upgrade, *, is_silent: bool) -> str:
    """Return how a node that has `document` is, in the words of waves. `is_silent`: it was not heard for too long."""
    report, is_online = core.rollup.report(name), core.rollup.is_online(name)
    said = report.upgrade if report is not None else None
    if said is None or said.number != document.number or said.state == "fetching":
        return waves.PENDING if is_online and (report is None or report.hold is None) else waves.SPARED
    if said.state in ("running", "back"):
        return waves.RUNNING if said.state == "running" else waves.BACK
    if is_online:
        return waves.SPARED if said.state == "refused" else waves.PENDING
    if said.state not in ("asked", "trying"):
        return waves.SPARED
    return waves.SILENT if is_silent else waves.PENDING
