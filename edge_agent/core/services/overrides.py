"""A local person's decisions about services (DESIGN 7): facts with a life, which survive generations and reboots.

Nothing undoes one silently: it ends at its life, at its release, or when the service is deleted above.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context
from edge_agent.core.context import Context
from protocol import status
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision: `stop` or `start`. `until_ms` (the device's wall clock) 0 means until released."""

    decision: str
    user: str
    uid: int
    reason: str = ""
    since_ms: int = 0
    until_ms: int = 0


class OverrideEnded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of the entry `override.ended`. `why`: `its life is over` or `the service was deleted`."""

    decision: str
    user: str
    uid: int
    why: str


class Overrides:
    """All overrides of this device, by service."""

    def __init__(self, snapshot: Snapshot, ctx: Context) -> None:
        self._ctx = ctx
        self._all = context.load(snapshot, "override", Override)

    def get(self, service: str) -> Override | None:
        """Return the override of `service`, if there is one."""
        return self._all.get(service)

    def decision(self, service: str) -> str:
        """Return `stop`, `start` or an empty text."""
        held = self._all.get(service)
        return held.decision if held else ""

    def decide(self, service: str, override: Override, fx: Effects, *, has_end: bool) -> tuple[Override, str]:
        """Keep a decision; return it, and in words what it kept or replaced of a former one.

        The same decision once more keeps the reason and the end that are not given anew (`has_end`: the end is);
        another one replaces it.
        """
        held, said = self._all.get(service), ""
        if held is not None and held.decision == override.decision:
            given, until_ms = override, override.until_ms if has_end else held.until_ms
            override = msgspec.structs.replace(given, reason=given.reason or held.reason, until_ms=until_ms)
            said = " (its end and reason stay; release it to begin anew)" if override != given else ""
        elif held is not None:
            why = f' ("{held.reason}")' if held.reason else ""
            said = f", in place of the {held.decision} by {held.user}{why}"
        self._all[service] = override
        self._ctx.put("override", service, override, fx)
        return override, said

    def release(self, service: str, fx: Effects) -> None:
        """End a decision, if there is one."""
        if self._all.pop(service, None) is not None:
            self._ctx.drop("override", service, fx)

    def end(self, service: str, why: str, now: Now, fx: Effects) -> None:
        """End a decision, if there is one, and journal why nobody released it."""
        held = self._all.get(service)
        if held is not None:
            self.release(service, fx)
            body = OverrideEnded(decision=held.decision, user=held.user, uid=held.uid, why=why)
            self._ctx.note("audit", "override.ended", service, body, now, fx)

    def expire(self, now: Now, fx: Effects) -> list[str]:
        """End those whose life is over; return their services."""
        wall_ms = context.ms(now)
        over = [name for name, held in self._all.items() if held.until_ms and held.until_ms <= wall_ms]
        for name in over:
            self.end(name, "its life is over", now, fx)
        return over

    def next_wake(self, now: Now) -> float | None:
        """Return when (mono) the next one may end."""
        ends = [held.until_ms for held in self._all.values() if held.until_ms]
        return context.wall_wake(min(ends), now) if ends else None

    def report(self, service: str) -> status.OverrideReport | None:
        """Return the override of `service` as the report shows it."""
        held = self._all.get(service)
        return msgspec.convert(held, status.OverrideReport, from_attributes=True) if held else None
