"""What this hub says of one of its own children: a Brief, as its parent and its own views see the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.registry import Node
from protocol import limits, status
from protocol.link.roster import brief as told
from protocol.link.roster.brief import Brief, ServiceBrief

if TYPE_CHECKING:
    from hub.core.hub import HubCore

GOOD = frozenset({"running", "exited"})


def is_good(one: status.ServiceReport | ServiceBrief) -> bool:
    """Tell whether a service does what it should, as far as it says."""
    return one.state in GOOD and one.healthy is not False


def state_of(core: HubCore, one: Node) -> str:
    """Return `online`, `away`, `revoked`, `quarantined` or `moved`."""
    if one.revoked_ms or one.moved:
        return "revoked" if one.revoked_ms else "moved"
    if core.parent.view(one.name).quarantined:
        return "quarantined"
    return "online" if core.rollup.is_online(one.name) else "away"


def since_ms(core: HubCore, one: Node) -> int:
    """Return since when a node is in its state."""
    seen = core.rollup.seen(one.name)
    return one.revoked_ms or (one.enrolled_ms if seen is None else seen.since_ms)


def digest_part(digest: str) -> str:
    """Return what stands of a digest in a Brief and in a Tally."""
    return digest.partition(":")[2][: limits.BRIEF_DIGEST_CHARS]


def of(core: HubCore, one: Node) -> Brief:
    """Return what is known of `one`, a child of this hub."""
    report = core.rollup.report(one.name) or status.Report()
    seen, link = core.rollup.seen(one.name), core.parent.view(one.name)
    return Brief(
        kind=one.kind,
        state=state_of(core, one),
        since_ms=since_ms(core, one),
        contact_ms=core.rollup.contact_ms(one.name),
        as_of_ms=0 if seen is None else seen.status_ms,
        labels=one.labels,
        version="" if seen is None else seen.version,
        services=_services(report),
        more_services=max(0, len(report.services) - limits.BRIEF_SERVICES_MAX),
        alarm=_first([alarm.text for alarm in one.alarms]),
        condition=_first([said.text for said in report.conditions]),
        overrides={name: said.override for name, said in report.services.items() if said.override is not None},
        hold=report.hold,
        lost=min(sum(link.lost.values()), limits.INTEGER_MAX),
        asked=link.generation,
        held=0 if seen is None else seen.held.generation,
        cordoned=one.cordoned,
        key="" if one.reserved else one.key,
        lodger=one.lodger,
        moves=core.lodging.numbers(one.name),
        haven=core.subtree.region(one.name).haven if one.kind == "hub" else None,
        epoch=link.cursors["state"].epoch if "state" in link.cursors else "",
    )


def raw(core: HubCore, one: Node) -> bytes:
    """Return the Brief of `one` as it is told above: without what it runs when that is more than a hub above takes."""
    whole = of(core, one)
    said = told.encode(whole)
    if len(said) <= limits.BRIEF_BYTES_MAX:
        return said
    count = len(whole.services) + whole.more_services
    return told.encode(msgspec.structs.replace(whole, services={}, more_services=count, overrides={}, hold=None))


def _first(texts: list[str]) -> str:
    """Return the first one, cut, and how many more there are."""
    text = texts[0] if texts else ""
    cut = text if len(text) <= limits.BRIEF_TEXT_CHARS else f"{text[: limits.BRIEF_TEXT_CHARS - 1]}…"
    return f"{cut} (and {len(texts) - 1} more: ask its own hub)" if len(texts) > 1 else cut


def _services(report: status.Report) -> dict[str, ServiceBrief]:
    worst_first = sorted(report.services.items(), key=lambda pair: (is_good(pair[1]), pair[0]))
    return {
        name: ServiceBrief(said.state, digest_part(said.digest), said.healthy, said.restarts)
        for name, said in worst_first[: limits.BRIEF_SERVICES_MAX]
    }
