"""What all that is below a hub comes to: kept, and mended by what changed. A report costs no walk over the fleet.

An own agent adds its part to the sums, a child hub its newest report; each resource that one of them touched is added
up anew, from the sums and from the hubs that say something of it. So what a Status of a device costs is what that
device has, and what one of a hub costs is what that hub said anew.
"""

from __future__ import annotations

import itertools
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hub.core.down.known import report as reports
from hub.core.down.known import tallies
from hub.core.down.known.ranked import Ranked, newest, worst
from hub.core.down.known.sums import Sums
from protocol import limits
from protocol.link.roster.brief import Offender, OverrideMark, RegionReport, Tally

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_NOTHING = RegionReport()


class Totals:
    """The sums over own agents (`own`), the reports of child hubs, and what each resource comes to in both."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self.own = Sums()
        self.states: Counter[str] = Counter()
        """Of child hubs; `nodes` and `hubs` are what those said of what is below them."""
        self.nodes: Counter[str] = Counter()
        self.hubs: Counter[str] = Counter()
        self.worst: Ranked[Offender] = Ranked(worst)
        self.marks: Ranked[OverrideMark] = Ranked(newest)
        self.unnamed = self.unmarked = 0
        """Offenders and overrides that child hubs counted, and did not name."""
        self._said: dict[str, tuple[str, RegionReport]] = {}
        self._having: dict[str, dict[str, list[str]]] = {}
        """By a resource's key: the child hubs that say something of it, and under which keys."""
        self._dirty = dict.fromkeys(record.key for record in core.resources.records())
        self._found: dict[str, Tally] = {}
        self._keys: dict[str, list[str]] = {}
        self._is_sorted = True

    def touch(self, keys: Iterable[str]) -> None:
        """These resources are not what they were."""
        self._dirty.update(dict.fromkeys(keys))

    def heard(self, hub: str, state: str, said: RegionReport) -> None:
        """A child hub is in this state, and this is what it last said."""
        told = said if state == "online" else reports.unheard(said)
        before = self._said.get(hub)
        if before is None or before != (state, told):
            self._count(hub, before, (state, told))

    def left(self, hub: str) -> None:
        """A child hub counts no more; harmless when it never did."""
        self._count(hub, self._said.get(hub), None)

    def tallies(self, count: int) -> dict[str, Tally]:
        """Return what each of the first `count` resources comes to, by key."""
        self.touch(self.own.taken())
        for key in self._dirty:
            self._add_up(key)
        self._dirty.clear()
        if not self._is_sorted:
            self._found, self._is_sorted = dict(sorted(self._found.items())), True
        return dict(itertools.islice(self._found.items(), count))

    def __len__(self) -> int:
        return len(self._found)

    # -------------------------------------------------------------------------------------------- child hubs

    def _count(self, hub: str, before: tuple[str, RegionReport] | None, after: tuple[str, RegionReport] | None) -> None:
        for (state, said), sign in ((one, sign) for one, sign in ((before, -1), (after, 1)) if one is not None):
            _add(self.states, {state: 1}, sign)
            _add(self.nodes, said.nodes, sign)
            _add(self.hubs, said.hubs, sign)
            self.unnamed += sign * (said.offenders - len(said.worst))
            self.unmarked += sign * (said.overrides - len(said.marks))
        old, new = (one[1] if one is not None else _NOTHING for one in (before, after))
        self.worst.put(hub, reports.under(hub, new.worst))
        self.marks.put(hub, reports.under(hub, new.marks))
        for key in old.tallies.keys() | new.tallies.keys():
            if old.tallies.get(key) != new.tallies.get(key):
                self._note(hub, key, is_told=key in new.tallies)
        self._said.pop(hub, None)
        if after is not None:
            self._said[hub] = after

    def _note(self, hub: str, key: str, *, is_told: bool) -> None:
        base = key.partition("@")[0][: limits.WORD_CHARS_MAX]
        self._dirty[base] = None
        having = self._having.setdefault(base, {})
        keys = having.setdefault(hub, [])
        if is_told and key not in keys:
            insort(keys, key)
        elif not is_told:
            keys.remove(key)
        if not keys:
            del having[hub]
        if not having:
            del self._having[base]

    # -------------------------------------------------------------------------------------------- resources

    def _add_up(self, key: str) -> None:
        """Count one resource anew, here and below; another of its name has another owner, and a key of its own."""
        record, own = self._core.resources.find(key), self.own.tally(key)
        found: dict[str, Tally] = {}
        if record is not None or own.placed:
            found[key] = own if record is None else tallies.of_record(self._core, record, own)
        for hub, keys in sorted(self._having.get(key, {}).items()):
            for one in keys:
                tallies.add(found, key, self._said[hub][1].tallies[one])
        if record is not None:
            found[key] = tallies.asked(record, found[key])
        former = self._keys.get(key, [])
        for one in former:
            if one not in found:
                del self._found[one]
        self._is_sorted = self._is_sorted and found.keys() <= set(former)
        self._found.update(found)
        if found:
            self._keys[key] = list(found)
        else:
            self._keys.pop(key, None)


def _add(total: Counter[str], counts: Mapping[str, int], sign: int) -> None:
    for state, count in counts.items():
        total[state] += sign * count
        if not total[state]:
            del total[state]
