"""Rows of an origin that are not here: which, why, and the hashes at both ends that whoever brings them must come to.

Never silent (INVARIANTS A4): each range is listed until it is filled. A later run fills it, from a hub that the origin
was at before, or from one that was restored. Beyond limits.MISSING_KEPT of one stream the lowest is closed: it is only
counted then, and filled no more.
"""

from __future__ import annotations

import enum

import msgspec

from protocol import limits


class Why(enum.Enum):
    """Why rows are not here."""

    HOLE = "hole"
    """They never came: the hub they were told to lost them, or has still to send them."""
    LOST = "lost"
    """Their origin declares that it has them no more (A16)."""
    HELD = "held"
    """A hub on their way holds them back, by policy; they can be asked for there."""


class Missing(msgspec.Struct, frozen=True, array_like=True):
    """Rows `first`..`last`; `before` and `hash` (hex) stand at row `first` - 1 and at row `last`; "" before a GAP of
    which nobody knows what stood before it."""

    first: int
    last: int
    before: str
    hash: str
    why: Why

    @property
    def count(self) -> int:
        """Return how many rows that is."""
        return self.last - self.first + 1


Place = tuple[int, str]
"""A row's seq, and its hash in hex."""


class NoFit(Exception):
    """Rows that fall into a range do not come to the hash at one of its ends; the argument is the seq."""


def add(ranges: list[Missing], new: Missing) -> int:
    """Put `new`, which lies above all others, into `ranges`; return how many rows are closed for it."""
    _join(ranges, new)
    return ranges.pop(0).count if len(ranges) > limits.MISSING_KEPT else 0


def _join(ranges: list[Missing], new: Missing) -> None:
    below = ranges[-1] if ranges else None
    if below is not None and (below.last + 1, below.why, below.hash) == (new.first, new.why, new.before):
        ranges[-1] = msgspec.structs.replace(new, first=below.first, before=below.before)
    else:
        ranges.append(new)


def touched(ranges: list[Missing], after: int, upto: int) -> list[Missing]:
    """Return those that rows `after` + 1..`upto` fall into."""
    return [one for one in ranges if one.first <= upto and one.last > after]


def explain(ranges: list[Missing], starts: Place, ends: Place, why: Why) -> int:
    """Holes have a reason now, as far as they are of the rows after `starts` up to `ends`, each (seq, hash); return of
    how many rows that is news. Where that would part more ranges than are kept, they stay holes."""
    parts = list[Missing]()
    for one in ranges:
        for part in _parted(one, starts, ends, why):
            _join(parts, part)
    if len(parts) > max(len(ranges), limits.MISSING_KEPT):
        return 0
    count = counts(ranges, 0).get(Why.HOLE.value, 0) - counts(parts, 0).get(Why.HOLE.value, 0)
    ranges[:] = parts
    return count


def _parted(one: Missing, starts: Place, ends: Place, why: Why) -> list[Missing]:
    (after, before), (upto, tip) = starts, ends
    if one.why is not Why.HOLE or one.last <= after or one.first > upto:
        return [one]
    below, above = list[Missing](), list[Missing]()
    if one.first <= after:
        below = [msgspec.structs.replace(one, last=after, hash=before)]
        one = msgspec.structs.replace(one, first=after + 1, before=before)
    if one.last > upto:
        above = [msgspec.structs.replace(one, first=upto + 1, before=tip)]
        one = msgspec.structs.replace(one, last=upto, hash=tip)
    return [*below, msgspec.structs.replace(one, why=why), *above]


def hole(ranges: list[Missing], starts: Place, ends: Place) -> Missing | None:
    """Return the hole that rows after `starts` up to `ends`, each (seq, hash), end in; None: there is none, or it has
    another hash there. Before a GAP that is the lowest row left stands nobody knows what: "".
    """
    (after, before), (upto, tip) = starts, ends
    one = next((one for one in ranges if one.why is Why.HOLE and one.first <= upto <= one.last), None)
    if one is None or (one.last == upto and one.hash not in ("", tip)):
        return None
    return None if before and one.first == after + 1 and one.before not in ("", before) else one


def cut(ranges: list[Missing], upto: int, tip: str) -> bool:
    """Nothing up to row `upto`, with hash `tip`, is a hole; tell whether anything was."""
    known = list(ranges)
    ranges.clear()
    for one in known:
        if one.why is not Why.HOLE or one.first > upto:
            ranges.append(one)
        elif one.last > upto:
            ranges.append(msgspec.structs.replace(one, first=upto + 1, before=tip))
    return known != ranges


def fill(ranges: list[Missing], one: Missing, ends: Place, starts: Place) -> None:
    """Rows of `one` came: those after `starts` up to `ends`, each (seq, hash). Raises NoFit."""
    (after, before), (upto, tip) = starts, ends
    if after + 1 == one.first and one.before and before != one.before:
        raise NoFit(one.first)
    if upto == one.last and one.hash and tip != one.hash:
        raise NoFit(one.last)
    rest: list[Missing] = []
    if after + 1 > one.first:
        rest.append(msgspec.structs.replace(one, last=after, hash=before))
    if upto < one.last:
        rest.append(msgspec.structs.replace(one, first=upto + 1, before=tip))
    place = ranges.index(one)
    ranges[place : place + 1] = rest


def counts(ranges: list[Missing], closed: int) -> dict[str, int]:
    """Return how many rows are missing, by why; only what there is. `closed`: those whose ranges are known no more."""
    found = {"closed": closed} if closed else {}
    for one in ranges:
        found[one.why.value] = found.get(one.why.value, 0) + one.count
    return found
