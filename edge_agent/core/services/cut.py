"""What being cut off means to one service: the lease it runs under, and the absence after which it stops.

A lease (`at_most_one`, INVARIANTS A20) is the one exception to "no workload waits on sync". It lasts from the device's
own request, on the clock of this boot; the shell's warden enforces it whether or not the agent lives, so what it was
told (`told`) counts, and it is told more only when that is worth a write. After a boot there is none before the parent
grants one. No override outranks it, for another copy may run elsewhere; `stop_after` a person at the device outranks.
"""

from __future__ import annotations

import enum
import math

from edge_agent.core import context
from edge_agent.core.upward.absence import Absence
from protocol import documents, limits
from protocol.effects import Now

_WORTH = 0.25  # of what is left: a lease that is longer by less is not written


class Why(enum.StrEnum):
    """Why a service may not run now."""

    NOTHING = ""
    LEASE = "lease"
    ABSENCE = "cut off"


TEXTS = {
    Why.LEASE: "it may run at one place only (at_most_one), and no lease says that it is here: it waits for the hub",
    Why.ABSENCE: "it is stopped while this device hears nothing of its hub for long (disconnect.device: stop_after)",
}


class Cut:
    """Judges for one service; times are Now.mono of this boot."""

    def __init__(self, absence: Absence) -> None:
        self._absence = absence
        self.why = Why.NOTHING
        self.until = 0.0
        """Of the lease; 0.0: none."""
        self.told = 0.0
        """What the warden of the present instance knows; 0.0: it has none, inf: it lets it run."""
        self._stop_after_s: float | None = None

    def found(self, lease_until: float) -> None:
        """At start: what stands in the instance's folder, of this boot."""
        self.told, self.until = lease_until, 0.0 if math.isinf(lease_until) else lease_until

    def granted(self, until: float) -> None:
        """The parent grants a lease; a late answer shortens none."""
        self.until = max(self.until, until)

    def judge(self, lease: documents.Lease, override: str, now: Now, *, runs: bool) -> None:
        """Tell in `why` whether it may run now. One that ran before it needed a lease gets the time to ask for one."""
        if not lease.at_most_one:
            self.until = 0.0
        elif runs and self.told in (0.0, math.inf) and self.until <= now.mono:
            self.until = now.mono + limits.LEASE_S_MIN
        self._stop_after_s = None if override == "start" else lease.stop_after_s
        self.why = Why.NOTHING
        if lease.at_most_one and now.mono >= self.until:
            self.why = Why.LEASE
        elif self._stop_after_s is not None and self._absence.seconds(now) >= self._stop_after_s:
            self.why = Why.ABSENCE

    def launch(self) -> float:
        """An instance is launched: return until when it may run; 0.0: for good."""
        self.told = self.until
        return self.told

    def extension(self, lease: documents.Lease, now: Now) -> float | None:
        """Return until when the warden is to let it run, if it does not know that yet."""
        if not lease.at_most_one:
            until = math.inf if 0.0 < self.told < math.inf else self.told
        elif self.told in (0.0, math.inf) or self.until - self.told >= _WORTH * (self.until - now.mono):
            until = self.until
        else:
            until = self.told
        if until == self.told:
            return None
        self.told = until
        return until

    def next_wake(self, lease: documents.Lease, now: Now) -> float | None:
        """Return when (mono) `judge` says something else, if time alone does that."""
        if self.why is not Why.NOTHING:
            return None
        absence = None if self._stop_after_s is None else self._absence.due(self._stop_after_s, now)
        return context.soonest(absence, self.until if lease.at_most_one else None)
