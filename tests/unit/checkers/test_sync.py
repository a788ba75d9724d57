"""The checkers of what crosses a link, each with a tale that obeys and tales that do not."""

from __future__ import annotations

import pytest

from edge_agent.core import inputs as agent
from protocol import documents, effects, messages
from protocol.link import cursor
from tests.checkers import history
from tests.checkers.a01_durable_first import DurableFirst
from tests.checkers.a02_acks_end_to_end import AcksEndToEnd
from tests.checkers.a04_contiguous import Contiguous
from tests.checkers.a06_no_reuse import NoReuse
from tests.checkers.a07_same_bytes import SameBytes
from tests.unit.checkers import telling
from tests.unit.checkers.telling import EPOCH, HUB, NODE, OTHER, Tale, ack, at_cursor, entries, received, rows

LAUNCH = agent.Launch(instance="t-1", process=documents.Process(command=["true"]), key="1")


class TestDurableFirst:
    def test_what_is_committed_may_be_said(self) -> None:
        tale = Tale()
        tale.stored(telling.in_session(), rows(1, 2))
        tale.sent(telling.hello(state=2))
        tale.stored(telling.greeted(), node=HUB)
        tale.sent(telling.welcome(), HUB, NODE)
        tale.sent(entries(rows(1, 2)))
        tale.stored(effects.Put("task", "1", b'{"instance":"t-1"}'))
        tale.acted(LAUNCH)
        assert tale.judged(DurableFirst) == 5

    def test_a_row_that_is_not_committed_is_not_sent(self) -> None:
        tale = Tale()
        tale.stored(rows(1))
        tale.sent(entries(rows(1, 2)))
        tale.breaks(DurableFirst, "sends state up to 2, and has committed 1")

    def test_a_session_is_stored_before_it_is_named(self) -> None:
        tale = Tale()
        tale.sent(telling.hello())
        tale.breaks(DurableFirst, "says hello in session 1, and has stored None")

    def test_a_task_is_stored_before_it_is_launched(self) -> None:
        tale = Tale()
        tale.acted(LAUNCH)
        tale.breaks(DurableFirst, "launches t-1, which is not stored")

    def test_what_was_committed_is_there_after_a_death(self) -> None:
        tale = Tale()
        tale.stored(telling.in_session(), rows(1, 2, 3))
        tale.died("oslo", "power")
        tale.born()
        tale.sent(telling.hello(state=2))
        tale.breaks(DurableFirst, "had committed state up to 3, and begins again with 2")

    def test_what_was_promised_is_in_a_commit(self) -> None:
        tale = Tale()
        tale.stored(rows(1, body='"first"'))
        tale.tell(history.Kept(at=9, node=NODE, item="first"))
        assert tale.judged(DurableFirst) == 1
        tale.tell(history.Kept(at=9, node=NODE, item="second"))
        tale.breaks(DurableFirst, "second was promised")

    def test_a_commit_that_nobody_noted_is_allowed_for_at_a_death(self) -> None:
        tale = Tale()
        tale.stored(telling.in_session(), rows(1))
        tale.died()
        tale.born()
        tale.sent(telling.hello(state=2))
        assert tale.judged(DurableFirst, exact=False)
        tale.breaks(DurableFirst, "tells of state 2, and has committed 1")


class TestAcksEndToEnd:
    def test_an_ack_after_the_commit_moves_the_cursor(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(2), node=HUB)
        tale.sent(ack(2), HUB, NODE)
        tale.stored(effects.Acked("state", EPOCH, 2))
        assert tale.judged(AcksEndToEnd) == 2

    def test_an_ack_before_the_commit(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.sent(ack(2), HUB, NODE)
        tale.breaks(AcksEndToEnd, "acks state of oslo up to 2, and has committed 1")

    def test_a_cursor_that_nobody_acked(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.stored(effects.Acked("state", EPOCH, 2))
        tale.breaks(AcksEndToEnd, "no parent has committed beyond 1")

    def test_a_parent_that_died_may_have_committed_more(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.died(HUB)
        tale.born(HUB, role="hub")
        tale.sent(telling.welcome(state=2), HUB, NODE)
        tale.stored(effects.Acked("state", EPOCH, 2))
        assert tale.judged(AcksEndToEnd, exact=False) == 1
        tale.facts.pop()
        tale.breaks(AcksEndToEnd, "up to 2, and has committed 1")


class TestContiguous:
    def test_row_after_row(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1, 2)), at_cursor(2), received(rows(3)), at_cursor(3), node=HUB)
        assert tale.judged(Contiguous) == 3

    def test_a_row_is_skipped(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(2)), at_cursor(2), node=HUB)
        tale.breaks(Contiguous, "receives row 2 of state of oslo, where row 1 is due")

    def test_a_row_comes_twice(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(2), node=HUB)
        tale.stored(received(rows(2)), at_cursor(2), node=HUB)
        tale.breaks(Contiguous, "receives row 2 of state of oslo, where row 3 is due")

    def test_a_gap_covers_what_is_missing(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(gap(1, 5), node=HUB)
        assert tale.judged(Contiguous) == 1

    def test_a_gap_that_begins_too_late(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(gap(2, 5), node=HUB)
        tale.breaks(Contiguous, "where row 1 is due")

    def test_a_fenced_epoch(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0, epoch=OTHER), node=HUB)
        tale.stored(received(rows(1)), node=HUB)
        tale.breaks(Contiguous, "in epoch a")

    def test_what_was_set_aside_is_no_hole(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        aside = effects.SetAside(NODE, EPOCH, "state", 1, b"?", "the row is no entry")
        tale.stored(aside, received(rows(2)), node=HUB)
        assert tale.judged(Contiguous) == 1


class TestNoReuse:
    def test_rows_rise_whatever_dies(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.died()
        tale.born()
        tale.stored(rows(3))
        assert tale.judged(NoReuse) == 3

    def test_a_number_comes_again(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.died()
        tale.born()
        tale.stored(rows(2, 3))
        tale.breaks(NoReuse, "appends row 2 to state, whose last row is 2", exact=False)

    @pytest.mark.parametrize("exact", [True, False])
    @pytest.mark.parametrize("stream", ["metrics", "state"])
    def test_telemetry_may_have_lower_numbers_after_a_power_cut_in_another_epoch(
        self, stream: str, exact: bool
    ) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, stream=stream))
        tale.fault("power")
        tale.died()
        tale.born()
        tale.stored(rows(2, 3, stream=stream, epoch=OTHER))
        if stream == "metrics":
            assert tale.judged(NoReuse, exact=exact) == 4
        else:
            tale.breaks(NoReuse, "appends row 2 to state, whose last row is 2", exact=exact)

    def test_an_epoch_comes_again(self) -> None:
        tale = Tale()
        tale.stored(rows(1))
        tale.stored(effects.NewEpoch("state", OTHER, messages.FormerEpoch(epoch=EPOCH, seq=1), 0))
        tale.stored(rows(2))
        tale.breaks(NoReuse, "which it has left")

    def test_a_restored_copy_goes_on_as_if_nothing_were(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.died()
        tale.fault("restore")
        tale.born(disk="copy")
        tale.heard(telling.welcome(state=2))
        tale.stored(rows(2))
        tale.breaks(NoReuse, "its parent holds 2 of them")

    def test_a_restored_copy_takes_a_new_epoch(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.died()
        tale.fault("restore")
        tale.born(disk="copy")
        tale.heard(telling.welcome(state=2))
        tale.stored(effects.NewEpoch("state", OTHER, messages.FormerEpoch(epoch=EPOCH, seq=1), 0))
        tale.stored(rows(2, epoch=OTHER))
        assert tale.judged(NoReuse) == 3

    def test_rows_that_came_before_the_parents_word_may_share_its_commit(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.died()
        tale.fault("restore")
        tale.born(disk="copy")
        tale.heard(telling.welcome(state=2))
        turned = effects.NewEpoch("state", OTHER, messages.FormerEpoch(epoch=EPOCH, seq=1), 0)
        tale.stored(rows(2), turned, rows(3, epoch=OTHER))
        assert tale.judged(NoReuse) == 4

    def test_what_a_clone_has_is_not_known(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.born("oslo~2", disk="copy")
        tale.stored(rows(3), node="oslo~2")
        assert tale.judged(NoReuse) == 3


class TestSameBytes:
    def test_what_was_written_is_received(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, 3))
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1, 2)), at_cursor(2), node=HUB)
        tale.stored(received(rows(3)), at_cursor(3), node=HUB)
        assert tale.judged(SameBytes) == 3

    def test_a_row_that_nobody_wrote(self) -> None:
        tale = Tale()
        tale.stored(rows(1))
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1, body="2")), node=HUB)
        tale.breaks(SameBytes, "holds row 1 of state of oslo, which was never written so")

    def test_a_row_out_of_the_chain(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1)), at_cursor(1, tip=b"x" * 32), node=HUB)
        tale.stored(received(rows(2)), node=HUB)
        tale.breaks(SameBytes, "row 2 of state of oslo does not follow")


def gap(first: int, last: int) -> effects.Received:
    """A hub receives a GAP row."""
    body = messages.GapBody(first=first, last=last, count=last - first + 1, reason="full", hash="")
    raw = cursor.encode_gap(last, 0, body)
    return effects.Received(NODE, EPOCH, "state", [(last, raw, b"", 0, "gap", "")])
