"""What the agents of one hub come to, kept as they change: counts by state, by resource, and who is to be looked at.

A change of one node costs what that node has, however many nodes there are: a hub of thousands is not counted anew for
each status that comes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hub.core.down.known.ranked import Ranked, newest, worst
from protocol import limits, status
from protocol.link.roster.brief import Offender, OverrideMark, Tally

CRASHING = 2
"""Restarts from which on a service that waits for its next one is said to crash again and again."""

_FIELDS = ("placed", "current", "running", "healthy", "unhealthy", "away")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one agent adds: its state, the resources placed on it with the digests asked for, its report."""

    state: str
    since_ms: int
    alarm: str = ""
    alarm_ms: int = 0
    placed: dict[str, str] = field(default_factory=dict[str, str])
    """Digest by resource key."""
    report: status.Report = field(default_factory=status.Report)


class _Part:
    """What was added for one agent, so that it can be taken away again."""

    __slots__ = ("counts", "marks", "offenders", "state")

    def __init__(self, name: str, said: Said) -> None:
        self.state = said.state
        self.counts = {key: _counted(said, key, digest) for key, digest in said.placed.items()}
        self.offenders = _offenders(name, said)
        self.marks = [
            OverrideMark(
                at=name,
                what=f"service/{service}"[: limits.WORD_CHARS_MAX],
                decision=one.override.decision,
                user=one.override.user,
                reason=one.override.reason[: limits.BRIEF_TEXT_CHARS],
                since_ms=one.override.since_ms,
                until_ms=one.override.until_ms,
            )
            for service, one in said.report.services.items()
            if one.override is not None
        ]


class Sums:
    """The sum over all agents of one hub."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}
        self.states: Counter[str] = Counter()
        self._tallies: dict[str, list[int]] = {}
        self._touched: dict[str, None] = {}
        self.worst: Ranked[Offender] = Ranked(worst)
        self.marks: Ranked[OverrideMark] = Ranked(newest)

    def put(self, name: str, said: Said) -> None:
        """Count the agent `name` as it is now."""
        self.drop(name)
        part = self._parts[name] = _Part(name, said)
        self._add(part, 1)
        self.worst.put(name, part.offenders)
        self.marks.put(name, part.marks)

    def drop(self, name: str) -> None:
        """Count the agent `name` no longer."""
        part = self._parts.pop(name, None)
        if part is not None:
            self._add(part, -1)
            self.worst.put(name, ())
            self.marks.put(name, ())

    def _add(self, part: _Part, sign: int) -> None:
        self.states[part.state] += sign
        if not self.states[part.state]:
            del self.states[part.state]
        self._touched.update(dict.fromkeys(part.counts))
        for key, counts in part.counts.items():
            total = self._tallies.setdefault(key, [0] * len(_FIELDS))
            for at, count in enumerate(counts):
                total[at] += sign * count
            if not total[0]:
                del self._tallies[key]

    # -------------------------------------------------------------------------------------------- reading

    def taken(self) -> list[str]:
        """Return the resources whose counts may have changed since this was asked last."""
        touched, self._touched = list(self._touched), {}
        return touched

    def tally(self, key: str) -> Tally:
        """Return the counts of a resource; zeros when it is placed nowhere."""
        return Tally(**dict(zip(_FIELDS, self._tallies.get(key, ()), strict=False)))


def _counted(said: Said, key: str, digest: str) -> tuple[int, ...]:
    kind, _, name = key.partition("/")
    is_away = said.state != "online"
    if kind != "service":
        flow = said.report.workflows.get(name)
        runs = flow is not None and flow.running > 0
        return 1, flow is not None and flow.digest == digest, runs, 0, 0, is_away
    one = said.report.services.get(name)
    if one is None:
        return 1, 0, 0, 0, 0, is_away
    return 1, one.digest == digest, one.state == "running", one.healthy is True, one.healthy is False, is_away


def _offenders(name: str, said: Said) -> list[Offender]:
    """Return why a person should look at an agent, the worst reason; nothing when nobody need."""
    alarm = said.alarm[: limits.BRIEF_TEXT_CHARS]
    if said.state == "quarantined":
        return [Offender(at=name, what="quarantined", text=alarm, since_ms=said.since_ms, rank=0)]
    found = [one for service, said_of in said.report.services.items() if (one := _trouble(name, service, said_of))]
    if said.alarm:
        found.append(Offender(at=name, what="alarm", text=alarm, since_ms=said.alarm_ms, rank=3))
    return sorted(found, key=lambda one: one.rank)[:1] if said.state != "revoked" else []


def _trouble(name: str, service: str, one: status.ServiceReport) -> Offender | None:
    if one.state == "failed":
        rank, word = 1, "failed"
    elif one.state == "backoff" and one.restarts >= CRASHING:
        rank, word = 2, "crash looping"
    elif one.override is None and (one.state == "backoff" or (one.state == "running" and one.healthy is False)):
        rank, word = 4, "backoff" if one.state == "backoff" else "unhealthy"
    else:
        return None
    return Offender(at=name, what=service, text=_why(word, one), since_ms=one.since_ms, rank=rank)


def _why(word: str, one: status.ServiceReport) -> str:
    why = one.reason or (f"last exit: {one.last_exit}" if one.last_exit else "")
    return (f"{word}, {why}" if why else word)[: limits.BRIEF_TEXT_CHARS]
