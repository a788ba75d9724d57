"""A version of the agent on trial: it says of itself whether all is well.

a service that ran, and does still, is not met again as it was      it is not, at once
the hub is heard                                                    it is
nobody is heard in UPGRADE_OFFLINE_S, or in half of the time        it is: the device is offline; but who was turned
that there is                                                       away is not
"""

from __future__ import annotations

from edge_agent.core import inputs
from edge_agent.core.services.roster import Roster
from edge_agent.core.services.workload import Stage
from protocol.effects import Effects, Now


class Trial:
    """One trial; `number` 0: this version is not on trial, or has spoken."""

    def __init__(self) -> None:
        self._number = 0
        self._due: float | None = None
        self._turned_away = ""

    def begin(self, number: int, patience_s: float, fault: str, now: Now, fx: Effects) -> None:
        """This life is the version's trial, which waits `patience_s` for its hub."""
        self._number, self._due = number, now.mono + patience_s
        if fault:
            self._say(fault, fx)

    def live(self, fx: Effects) -> None:
        """The hub is heard."""
        self._say("", fx)

    def turned_away(self, reason: str) -> None:
        """Who answered would not have us."""
        self._turned_away = f"it was turned away: {reason}"

    def tick(self, now: Now, fx: Effects) -> None:
        """Judge without the hub, when it is time."""
        if self._due is not None and now.mono >= self._due:
            self._say(self._turned_away, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) that is."""
        return self._due

    def _say(self, fault: str, fx: Effects) -> None:
        if self._number:
            fx.act.append(inputs.Vouch(number=self._number, fault=fault))
        self._number, self._due = 0, None


def running(roster: Roster) -> dict[str, str]:
    """Return the instances of the services that run and are to go on, by service."""
    found = {name: one.record for name, one in roster.all.items()}
    return {
        name: record.instance for name, record in found.items() if record.stage is Stage.RUNNING and not record.cause
    }


def lost(instances: dict[str, str], roster: Roster, found: list[inputs.Found]) -> str:
    """Return which of the services that ran did not come through; empty: all did, or ended by themselves."""
    ends, now = {one.instance: one.exit for one in found}, running(roster)
    for service, instance in sorted(instances.items()):
        if instance not in ends:
            return f"service {service}, which ran, was not found again"
        if ends[instance] is None and service in roster.all and now.get(service) != instance:
            return f"service {service}, which ran, was not left as it was"
    return ""
