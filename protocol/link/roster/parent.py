"""The end of rosters that looks down: what the child hubs of one hub last said of the nodes below them.

    number = the next one     taken and acked
    number below              acked again, no effect
    number above              one before it was lost: acked as far as it goes, the child sends again
    whole ... last            what none of these named is gone then, and not before (INVARIANTS A11)

Everything stays over restarts, as it was last known: it is stored a while after it came and some at a time, for what a
crash takes the child says anew in its next session. A child is believed about the nodes below it and about nothing
else; what it may name, how often and how long is bounded (C10), and what is beyond a bound is refused and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from protocol import limits, messages
from protocol.effects import Effects, Now
from protocol.link import events
from protocol.link.roster.kept import ROSTER, Listed, Unstored, why_not
from protocol.snapshot import Snapshot


class Rosters:
    """The parent's ends of the rosters of all children that are hubs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.is_hub: Callable[[str], bool] = lambda node: True
        """Tells of a child whether it may have a roster."""
        self._listed: dict[str, Listed] = {}
        self._count = 0
        self._kept = Unstored()
        for key, brief in snapshot.spaces.get(ROSTER, {}).items():
            child, _, address = key.partition("/")
            self._listed.setdefault(child, Listed()).put(address, brief)
            self._count += 1

    # -------------------------------------------------------------------------------------------- reading

    def children(self) -> list[str]:
        """Return the children that have a roster."""
        return list(self._listed)

    def known(self, child: str) -> Mapping[str, bytes]:
        """Return the Briefs (JSON) of the nodes below `child`, by their addresses below it."""
        listed = self._listed.get(child)
        return {} if listed is None else listed.known

    def is_whole(self, child: str) -> bool:
        """Tell whether `child` has said all in its newest session."""
        listed = self._listed.get(child)
        return listed is not None and listed.session > 0 and listed.named is None

    # -------------------------------------------------------------------------------------------- hearing

    def take(
        self, child: str, message: messages.Roster, now: Now
    ) -> tuple[messages.RosterAck | None, list[events.ParentEvent]]:
        """Take a page of `child`. Return the ack (without incarnation), if it is answered, and what is to be told."""
        if not self.is_hub(child):
            return None, [events.Misbehaved(node=child, reason="an agent has no roster: nobody is below it")]
        listed = self._listed.setdefault(child, Listed())
        if self._kept.is_full(child) or not listed.bucket.take(now.mono):
            return None, []  # it comes again
        if message.session != listed.session:
            listed.session, listed.number, listed.named = message.session, 0, set()
        told: list[events.ParentEvent] = []
        if message.number == listed.number + 1:
            listed.number = message.number
            told = self._apply(child, listed, message, now)
        return messages.RosterAck(incarnation="", session=message.session, number=listed.number), told

    def _apply(self, child: str, listed: Listed, message: messages.Roster, now: Now) -> list[events.ParentEvent]:
        put, odd = self._good(child, listed, message)
        gone = [one for one in message.gone if one in listed.known and one not in put]
        for address, brief in put.items():
            listed.put(address, brief)
        if listed.named is not None and message.whole:
            listed.named.update(one for one in message.put if one in listed.known)
            if message.last:
                gone += [one for one in listed.known if one not in listed.named]
                listed.named = None
        for address in gone:
            listed.drop(address)
        self._count = sum(len(one.known) for one in self._listed.values())
        self._kept.note(child, [*put, *gone], now)
        told: list[events.ParentEvent] = []
        if put or gone or message.last:
            told.append(events.ChildRoster(node=child, put=list(put), gone=gone))
        if odd:
            told.append(events.Misbehaved(node=child, reason=odd))
        return told

    def _good(self, child: str, listed: Listed, message: messages.Roster) -> tuple[dict[str, bytes], str]:
        """Return what of a page can be kept, and why the first of the rest cannot."""
        put: dict[str, bytes] = {}
        odd = ""
        if len(message.put) > limits.ROSTER_NAMES_MAX or len(message.gone) > limits.ROSTER_NAMES_MAX:
            return {}, f"a roster's page names more than {limits.ROSTER_NAMES_MAX} nodes"
        new = size = 0
        for address, raw in message.put.items():
            brief = bytes(raw)
            wrong = why_not(child, address, brief)
            known = listed.known.get(address)
            more = len(brief) - len(known or b"")
            if not wrong and brief != known:
                is_new = known is None
                wrong = listed.why_full(new + is_new, size + more, self._count + new + is_new)
            if wrong:
                odd = odd or wrong
            elif brief != known:
                put[address], new, size = brief, new + (known is None), size + more
        return put, odd

    # -------------------------------------------------------------------------------------------- storing

    def forget(self, child: str, now: Now) -> list[str]:
        """`child` is out: let go of all that it said. Return the addresses (below it)."""
        listed = self._listed.pop(child, None)
        if listed is None:
            return []
        self._count -= len(listed.known)
        self._kept.note(child, list(listed.known), now)
        return list(listed.known)

    def tick(self, now: Now, fx: Effects) -> None:
        """Store some of what came."""
        self._kept.tick(self.known, now, fx)

    def next_wake(self) -> float | None:
        """Return when `tick` is due (mono), or None."""
        return self._kept.next_wake()
