"""Two hubs relay one origin, in any order, with rows lost on the way, doubled, and declared lost: each row stands once.

A device moved from one hub to another, or a hub was restored: both ways bring parts of one history, each in order and
with holes of its own. Whatever comes first, nothing stands twice, nothing that came is missing, and what did not come
is listed, row by row.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.link.relay import runs
from protocol.link.relay.missing import Why
from tests.unit.relay.parts import STREAM, Origin, Root

ROWS = 24
STREAMS = st.sampled_from([STREAM, "metrics"])


@st.composite
def ways(draw: st.DrawFn) -> list[tuple[str, int, int, tuple[tuple[int, int], ...]]]:
    """Return what comes: (hub, prev, last, GAPs), each hub's in its own order, some of it not at all, some twice."""
    steps = list[tuple[str, int, int, tuple[tuple[int, int], ...]]]()
    for hub in ("oslo", "bergen"):
        at = draw(st.integers(0, ROWS - 1))
        while at < ROWS:
            last = draw(st.integers(at + 1, ROWS))
            gaps = list[tuple[int, int]]()
            if draw(st.integers(0, 3)) == 0:
                first = draw(st.integers(at + 1, last))
                gaps.append((first, draw(st.integers(first, last))))
            if draw(st.integers(0, 4)):
                steps.append((hub, at, last, tuple(gaps)))
            at = draw(st.sampled_from([last, last, at + 1]))
    order = draw(st.permutations(range(len(steps))))
    return [steps[index] for index in order] if draw(st.booleans()) else steps


@settings(deadline=None, max_examples=200)
@given(steps=ways(), stream=STREAMS)
def test_whatever_way_rows_come_each_stands_once_and_what_did_not_come_is_listed(
    steps: list[tuple[str, int, int, tuple[tuple[int, int], ...]]], stream: str
) -> None:
    root, gw = Root(), Origin(stream=stream).say(ROWS)
    came = set[int]()
    for hub, prev, last, gaps in steps:
        root.take(hub, *gw.runs(prev, last, *gaps))
        came |= set(range(prev + 1, last + 1)) - {seq for first, upto in gaps for seq in range(first, upto + 1)}
    assert set(root.holds(gw)) == came, "what came is here, once"
    if not steps:
        return
    record = root.record(stream=stream)
    missing = {seq for one in record.missing for seq in range(one.first, one.last + 1)}
    assert missing == set(range(1, record.seq + 1)) - came, "what did not come is listed, and nothing else"
    ends = [one.first for one in record.missing], [one.last for one in record.missing]
    assert [sorted(ends[0]), sorted(ends[1])] == [ends[0], ends[1]]
    for one in record.missing:
        if stream == STREAM:
            assert (one.before, one.hash) == (gw.hash(one.first - 1).hex(), gw.hash(one.last).hex())


@settings(deadline=None, max_examples=60)
@given(steps=ways(), cut=st.integers(0, ROWS))
def test_all_that_is_missing_can_be_filled_and_leaves_nothing(
    steps: list[tuple[str, int, int, tuple[tuple[int, int], ...]]], cut: int
) -> None:
    root, gw = Root(), Origin().say(ROWS)
    for hub, prev, last, gaps in steps:
        root.take(hub, *gw.runs(prev, last, *gaps))
    said: list[runs.Run] = [*gw.runs(0, cut)] if cut else []
    root.take("bergen", *said, *(gw.runs(cut, ROWS) if cut < ROWS else []))
    assert root.holds(gw) == list(range(1, ROWS + 1))
    assert root.record().missing == []
    assert Why.HOLE.value == "hole"


@settings(deadline=None, max_examples=60)
@given(steps=ways(), fork=st.integers(1, ROWS - 1))
def test_no_line_that_parted_is_mixed_into_what_is_held(
    steps: list[tuple[str, int, int, tuple[tuple[int, int], ...]]], fork: int
) -> None:
    root, gw = Root(), Origin().say(ROWS)
    copy = Origin()
    copy.rows, copy.tip = gw.rows[:fork], gw.hash(fork)
    copy.say(ROWS - fork, "copy")
    root.take("oslo", *gw.runs(0, ROWS))
    for _, prev, last, gaps in steps:
        root.take("bergen", *copy.runs(prev, last, *gaps))
    assert root.holds(gw) == list(range(1, ROWS + 1))
