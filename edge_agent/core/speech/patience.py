"""When what services say is committed: at once for who waits for the answer, together for who does not.

A card wears by commits: one writes some 12 KB, whether it holds one row or fifty. So what a connection says without
waiting for answers shares a commit, for up to limits.EMIT_SHARE_S; who waits is answered at once. Which of the two a
connection does shows by itself: its first item lingers for limits.EMIT_LINGER_S, and either something follows, or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol import limits


@dataclass(slots=True)
class _Habit:
    """What is known of one connection. `at_once_until` (mono): it waits for its answers, or says much at a time."""

    talks: bool = False
    at_once_until: float = 0.0


@dataclass(slots=True)
class _Unanswered:
    """The items of each batch of one connection that is not answered yet, `since` (mono) the first of them."""

    since: float
    counts: list[int] = field(default_factory=list[int])


class Patience:
    """The connections that were not answered yet, and the habits of those that spoke last."""

    def __init__(self) -> None:
        self._unanswered: dict[int, _Unanswered] = {}
        self._habits: dict[int, _Habit] = {}

    def take(self, connection: int, count: int, now: float) -> bool:
        """Note `count` items of `connection`; return whether they can wait."""
        habit = self._habits.setdefault(connection, _Habit())
        if len(self._habits) > limits.EMIT_HABITS_MAX:
            del self._habits[next(iter(self._habits))]
        one = self._unanswered.setdefault(connection, _Unanswered(since=now))
        one.counts.append(count)
        habit.talks = habit.talks or len(one.counts) > 1
        if count > limits.EMIT_TOGETHER_MAX:  # what follows is the rest of it
            habit.at_once_until = max(habit.at_once_until, now + limits.EMIT_LINGER_S)
        return now >= habit.at_once_until and sum(one.counts) <= limits.EMIT_TOGETHER_MAX

    def due(self) -> float | None:
        """Return when (mono) somebody has to be answered, or None."""
        return min((self._due(connection) for connection in self._unanswered), default=None)

    def answer(self, now: float) -> list[tuple[int, int]]:
        """Return (connection, count) of each unanswered batch, in order: they are to be answered now."""
        for connection, one in self._unanswered.items():
            habit = self._habits.get(connection)
            if habit is None or len(one.counts) > 1 or now < self._due(connection):
                continue
            if not habit.talks:
                habit.at_once_until = now + limits.EMIT_WAITS_S
            habit.talks = False
        counts = [(connection, count) for connection, one in self._unanswered.items() for count in one.counts]
        self._unanswered.clear()
        return counts

    def _due(self, connection: int) -> float:
        habit = self._habits.get(connection)
        wait = limits.EMIT_SHARE_S if habit is not None and habit.talks else limits.EMIT_LINGER_S
        return self._unanswered[connection].since + wait
