"""What this hub's operators put in the place of a delegated document, for a time: attributed facts with a life.

Nothing undoes one silently: it ends at its life, at its release, or when the document is deleted above; then what the
owner declares now is in force. What the owner changes meanwhile waits, and stands in the audit as the override does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from hub.core.work.given import version
from protocol import limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.work.declared import Compiled

SPACE = "override"
HOW = "skerry apply -f FILE --override --for 8h --reason TEXT"


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One override; times are milliseconds of this hub's clock. `owner` is the path of the hub whose document waits."""

    key: str
    owner: str
    by: str
    reason: str
    since_ms: int
    until_ms: int


class Overrides:
    """All overrides of delegated documents at this hub, by key."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(Override)
        self.by_key = {key: decoder.decode(raw) for key, raw in sorted(snapshot.spaces.get(SPACE, {}).items())}
        self._core = core

    def __contains__(self, key: str) -> bool:
        return key in self.by_key

    def all(self) -> list[Override]:
        """Return every override, by key."""
        return list(self.by_key.values())

    def text(self, key: str) -> str:
        """Return in words by whom `key` is overridden, and until when."""
        held = self.by_key[key]
        return f"overridden by {held.by}: {held.reason} (until_ms {held.until_ms})"

    # -------------------------------------------------------------------------------------------- asking

    def check(self, op: inputs.Apply, all_of: list[Compiled]) -> None:
        """Raise Refusal unless whoever applies `all_of` may: what is delegated is overridden, never changed."""
        for one in all_of:
            owner = self._core.delegated.owner(one.key)
            if op.override is None and owner and (one.key in self or self._core.resources.compare(one) != "unchanged"):
                raise Refusal(f"{one.key} belongs to {owner}: change it there, or for a time here: {HOW}")
            if op.override is not None and not owner:
                text = f"{one.key} is not delegated to {self._core.node}: apply it without --override"
                raise Refusal(f"{text}, for there is nothing to override", 422)
            if op.override is not None and one.policy is not None:
                raise Refusal(f"{one.key} of {owner} cannot be overridden: a policy only narrows; apply your own")
            if op.override is not None:
                self._check_place(one)
                _check_life(op.override)

    def _check_place(self, one: Compiled) -> None:
        """Raise Refusal if `one` names regions, as its owner's does, and none of them is below this hub."""
        core, wished = self._core, one.place.regions
        if wished is not None and core.resources.preview(one, core.delegate.holds(one.key)) == ([], {}):
            text = f'{one.key} is for the regions "{wished[:80]}", and none of them is below {core.node}'
            raise Refusal(f"{text}: as an override it would stop here; leave regions out", 422)

    def check_delete(self, key: str) -> None:
        """Raise Refusal if `key` is delegated: only its owner deletes it."""
        owner = self._core.delegated.owner(key)
        if owner:
            raise Refusal(f"{key} belongs to {owner}: delete it there, or for a time put another in its place: {HOW}")

    # -------------------------------------------------------------------------------------------- a life

    def begin(self, one: Compiled, given: inputs.Override, who: str, now: Now, fx: Effects) -> None:
        """Put `one` in the place of what is delegated, from now on and for so long; one that stands begins anew."""
        core, now_ms = self._core, int(now.wall * 1000)
        before = core.resources.get(one.kind, one.name)
        held = Override(
            key=one.key,
            owner=core.delegated.owner(one.key),
            by=who,
            reason=given.reason,
            since_ms=now_ms,
            until_ms=now_ms + int(given.for_s * 1000),
        )
        self.by_key[one.key] = held
        fx.store.append(Put(SPACE, one.key, msgspec.json.encode(held)))
        core.delegated.enforce(one, who, before.origin, now, fx)
        after = core.resources.get(one.kind, one.name)
        said = {"who": who, "owner": held.owner, "reason": given.reason, "until_ms": held.until_ms}
        said |= {"spec": version(after.spec), "former": version(before.spec)}
        core.streams.audit("override.begun", one.key, said, now, fx)

    def release(self, op: inputs.ReleaseOverride, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        """End an override by hand. Raises Refusal (404)."""
        key = f"{op.kind}/{op.name}"
        if key not in self.by_key:
            where = f"at {self._core.node}: nothing to release (at a region below: --at REGION)"
            raise Refusal(f"{key[:120]} is not overridden {where}", 404)
        self.over(key, f"released by {who}" + (f": {op.reason}"[:200] if op.reason else ""), now, fx)
        return {"released": key}

    def over(self, key: str, why: str, now: Now, fx: Effects) -> None:
        """End an override, and follow its owner again."""
        self.end(key, why, now, fx)
        self._core.delegated.restore(key, now, fx)

    def end(self, key: str, why: str, now: Now, fx: Effects) -> None:
        """Forget an override, if there is one, and put on record why it ended."""
        held = self.by_key.pop(key, None)
        if held is not None:
            fx.store.append(Delete(SPACE, key))
            said = {"who": held.by, "owner": held.owner, "reason": held.reason, "why": why}
            self._core.streams.audit("override.ended", key, said, now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """End those whose life is over."""
        for key in [key for key, held in self.by_key.items() if now.wall * 1000 >= held.until_ms]:
            self.over(key, "its life is over", now, fx)

    def next_wake(self, now: Now) -> float:
        """Return the mono time at which the next life is over."""
        until_ms = min((held.until_ms for held in self.by_key.values()), default=math.inf)
        return now.mono + max(0.0, until_ms / 1000 - now.wall)


def _check_life(given: inputs.Override) -> None:
    if not given.reason.strip():
        raise Refusal("an override says why: write --reason TEXT", 422)
    if not 0 < given.for_s <= limits.OVERRIDE_S_MAX:
        most = limits.OVERRIDE_S_MAX / 86_400
        raise Refusal(f"an override has a life of up to {most:g} days: write --for 8h", 422)
