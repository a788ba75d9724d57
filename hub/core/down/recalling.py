"""What the owner's operator asks: that a region below ends its override of a document (hub.core.down.recalls)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from protocol import documents, limits
from protocol.effects import Effects, Now
from protocol.link.roster.brief import OverrideMark

if TYPE_CHECKING:
    from hub.core.hub import HubCore


def ask(core: HubCore, op: inputs.ReleaseOverride, who: str, now: Now, fx: Effects) -> dict[str, Any]:
    """Ask the hub `op.at` to end its override; asked again, the first one counts. Raises Refusal."""
    key = f"{op.kind}/{op.name}"
    _check(core, op, key)
    spot = core.subtree.get(op.at)
    if spot.brief.kind != "hub":
        asking = f"`skerry node release {spot.address} {op.name}`"
        raise Refusal(f"{spot.address} is a device, where the person there decides: ask with {asking}", 422)
    mark = core.recalls.standing(key, spot.address)
    if mark is None:
        raise Refusal(f"{spot.address} reports no override of {key}: there is nothing to release there", 404)
    asked = core.recalls.find(key, spot.address, mark.since_ms) or _asked(core, op, who, spot.address, mark, now, fx)
    where = {"path": f"{core.node}/{spot.address}", "state": spot.state, "silent": spot.silent}
    override = msgspec.to_builtins(mark)
    return {"asked": key, **where, **msgspec.structs.asdict(asked), "since_ms": spot.since_ms, "override": override}


def _check(core: HubCore, op: inputs.ReleaseOverride, key: str) -> None:
    core.resources.get(op.kind, op.name)
    owner = core.delegated.owner(key)
    if owner:
        raise Refusal(f"{key} belongs to {owner}: only there can a region be asked to end its override")
    core.policies.check_deed("apply")
    if not op.reason.strip():
        raise Refusal("whoever asks for an override back says why: write --reason TEXT", 422)


def _asked(
    core: HubCore, op: inputs.ReleaseOverride, who: str, at: str, mark: OverrideMark, now: Now, fx: Effects
) -> documents.Recall:
    reason, now_ms = op.reason.strip()[: limits.WORD_CHARS_MAX], int(now.wall * 1000)
    asked = documents.Recall(
        kind=op.kind,
        name=op.name,
        at=at,
        since_ms=mark.since_ms,
        by=who,
        owner=core.node,
        reason=reason,
        asked_ms=now_ms,
    )
    core.recalls.ask(asked, mark.until_ms, now, fx)
    said = {"who": who, "at": at, "reason": reason, "by": mark.user, "since_ms": mark.since_ms}
    core.streams.audit("override.asked-back", f"{op.kind}/{op.name}", said, now, fx)
    return asked
