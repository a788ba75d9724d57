"""The checkers of what is asked, what is held, and whose session it is."""

from __future__ import annotations

import msgspec

from hub.core import inputs as hub
from protocol import effects, messages
from protocol.link import parent
from tests.checkers.a10_desired_forward import DesiredForward
from tests.checkers.a11_complete_view import CompleteView
from tests.checkers.a12_status_names import StatusNames
from tests.checkers.a13_sessions_fenced import SessionsFenced
from tests.checkers.a15_time_decides_nothing import TimeDecidesNothing
from tests.checkers.a17_restored_peer import RestoredPeer
from tests.checkers.a18_replay import Replay
from tests.unit.checkers import telling
from tests.unit.checkers.telling import EPOCH, HUB, NODE, Tale, ack, asked, at_cursor, manifest, received, rows


class TestDesiredForward:
    def test_forward(self) -> None:
        tale = Tale()
        tale.stored(asked(1), node=HUB)
        tale.stored(manifest(1))
        tale.stored(asked(2), node=HUB)
        tale.stored(manifest(2))
        assert tale.judged(DesiredForward) == 4

    def test_back(self) -> None:
        tale = Tale()
        tale.stored(asked(1), node=HUB)
        tale.stored(asked(2), node=HUB)
        tale.stored(manifest(2))
        tale.stored(manifest(1))
        tale.breaks(DesiredForward, "holds generation 1 of term 1 after 2 of 1")

    def test_another_content_under_the_same_number(self) -> None:
        tale = Tale()
        tale.stored(asked(1), node=HUB)
        tale.stored(manifest(1, digest="other"))
        tale.breaks(DesiredForward, "with a content that nobody asked")

    def test_what_nobody_asked(self) -> None:
        tale = Tale()
        tale.stored(manifest(1))
        tale.breaks(DesiredForward, "which nobody asked")

    def test_a_parent_that_counts_back(self) -> None:
        tale = Tale()
        tale.stored(asked(2), node=HUB)
        tale.stored(asked(1), node=HUB)
        tale.breaks(DesiredForward, "asks oslo for generation 1 of term 1 after 2 of 1")


ITEMS = {"assignment/eye": "d1"}


class TestCompleteView:
    def test_documents_come_first_and_deletion_last(self) -> None:
        tale = Tale()
        tale.stored(effects.Put("document", "d1", b"{}"), manifest(1, ITEMS))
        tale.stored(manifest(2, {}))
        tale.stored(effects.Delete("service", "eye"))
        assert tale.judged(CompleteView) == 2

    def test_a_manifest_without_its_document(self) -> None:
        tale = Tale()
        tale.stored(manifest(1, ITEMS))
        tale.breaks(CompleteView, "holds generation 1 without the document of assignment/eye")

    def test_a_service_that_is_still_named(self) -> None:
        tale = Tale()
        tale.stored(effects.Put("document", "d1", b"{}"), manifest(1, ITEMS))
        tale.stored(effects.Delete("service", "eye"))
        tale.breaks(CompleteView, "forgets the service eye, and its manifest names it")

    def test_a_deletion_out_of_nothing(self) -> None:
        tale = Tale()
        tale.stored(effects.Delete("assignment", "eye"))
        tale.breaks(CompleteView, "it has never held a manifest")


def status(count: int, session: int = 1, generation: int = 0) -> messages.Status:
    """A status."""
    held = messages.Held(term=1 if generation else 0, generation=generation, digest="d" if generation else "")
    return messages.Status(session=session, count=count, held=held, heads={}, time_ms=0, body=msgspec.Raw(b"{}"))


class TestStatusNames:
    def test_what_is_held(self) -> None:
        tale = Tale()
        tale.stored(manifest(1))
        tale.sent(status(1, generation=1))
        tale.stored(telling.put("status", NODE, status(1)), node=HUB)
        tale.stored(telling.put("status", NODE, status(2)), node=HUB)
        assert tale.judged(StatusNames) == 2

    def test_what_is_not_held(self) -> None:
        tale = Tale()
        tale.stored(manifest(1))
        tale.sent(status(1, generation=2))
        tale.breaks(StatusNames, "says that it holds generation 2 of term 1, and has stored 1")

    def test_a_count_that_stays(self) -> None:
        tale = Tale()
        tale.sent(status(1))
        tale.sent(status(1))
        tale.breaks(StatusNames, "counts its statuses 1, 1")

    def test_a_session_of_the_same_number_with_another_hub_counts_anew(self) -> None:
        tale = Tale()
        tale.sent(status(1))
        tale.sent(status(1), peer="west")
        tale.sent(status(2), peer="west")
        assert tale.judged(StatusNames) == 1

    def test_the_last_word_to_a_former_hub_names_what_it_asked_in_that_session_and_in_no_other(self) -> None:
        tale = Tale()
        tale.stored(manifest(1), effects.Put("link", "session", b"3"))
        tale.sent(status(1, session=3, generation=1))
        tale.stored(effects.Delete("manifest", HUB))
        tale.sent(status(2, session=3, generation=1))
        assert tale.judged(StatusNames) == 3
        tale.sent(status(1, session=4, generation=1))
        tale.breaks(StatusNames, "says that it holds generation 1 of term 1, and has stored None")

    def test_a_word_to_another_hub_in_between_starts_no_count_anew(self) -> None:
        tale = Tale()
        tale.sent(status(1))
        tale.sent(status(1), peer="west")
        tale.sent(status(1))
        tale.breaks(StatusNames, "counts its statuses 1, 1")

    def test_older_over_newer(self) -> None:
        tale = Tale()
        tale.stored(telling.put("status", NODE, status(1, session=2)), node=HUB)
        tale.stored(telling.put("status", NODE, status(9, session=1)), node=HUB)
        tale.breaks(StatusNames, "keeps status 1/9 of oslo after 2/1")


class TestSessionsFenced:
    def test_rising(self) -> None:
        tale = Tale()
        tale.stored(telling.in_session(1))
        tale.stored(telling.in_session(2))
        tale.sent(telling.hello(2))
        tale.stored(telling.greeted(1), node=HUB)
        tale.stored(telling.greeted(2), node=HUB)
        tale.sent(ack(1, session=1), HUB, NODE)  # handled in the same batch as the newer hello
        tale.sent(ack(1, session=2), HUB, NODE)
        assert tale.judged(SessionsFenced) == 5

    def test_a_bundle_that_is_older_than_the_last_one(self) -> None:
        tale = Tale()
        tale.stored(telling.put("child", NODE, parent.Record(session=1, nonce="n1", carried=(1, 7))), node=HUB)
        tale.stored(telling.put("child", NODE, parent.Record(session=1, nonce="n1", carried=(1, 3))), node=HUB)
        tale.breaks(SessionsFenced, r"takes the bundle \(1, 3\) of oslo for its newest word after \(1, 7\)")

    def test_a_counter_that_falls(self) -> None:
        tale = Tale()
        tale.stored(telling.in_session(2))
        tale.stored(telling.in_session(2))
        tale.breaks(SessionsFenced, "counts its sessions 2, 2")

    def test_one_counter_with_two_nonces(self) -> None:
        tale = Tale()
        tale.sent(telling.hello(1, "n1"))
        tale.sent(telling.hello(1, "n2"))
        tale.breaks(SessionsFenced, "says hello in session 1 .n2. after 1 .n1.")

    def test_a_clone_is_let_in(self) -> None:
        tale = Tale()
        tale.stored(telling.greeted(1, "n1"), node=HUB)
        tale.stored(telling.greeted(1, "n2"), node=HUB)
        tale.breaks(SessionsFenced, "takes session 1 .n2. of oslo after 1 .n1.")

    def test_a_clone_is_welcomed(self) -> None:
        tale = Tale()
        tale.stored(telling.greeted(1, "other"), node=HUB)
        tale.sent(telling.welcome(1), HUB, NODE)
        tale.breaks(SessionsFenced, "welcomes oslo with nonce n1; the session is other's")

    def test_an_older_session_is_served(self) -> None:
        tale = Tale()
        tale.stored(telling.greeted(1), node=HUB)
        tale.stored(telling.greeted(2), node=HUB)
        tale.stored(at_cursor(1), node=HUB)
        tale.sent(ack(1, session=1), HUB, NODE)
        tale.breaks(SessionsFenced, "serves session 1 of oslo; the newest is 2")


class TestTimeDecidesNothing:
    def test_a_jump_changes_nothing(self) -> None:
        tale = Tale()
        tale.took(hub.Tick(), wall=1e9)
        tale.took(hub.Tick(), wall=2e9)
        tale.stored(rows(1))
        assert tale.judged(TimeDecidesNothing) == 1

    def test_a_jump_lets_rows_go(self) -> None:
        tale = Tale()
        tale.took(hub.Tick(), wall=1e9)
        tale.took(hub.Tick(), wall=2e9)
        tale.stored(effects.Trim("state", EPOCH, 1))
        tale.breaks(TimeDecidesNothing, "sees its clock jump by .* and its state changes")

    def test_mono_falls(self) -> None:
        tale = Tale()
        tale.at = 50.0
        tale.took(hub.Tick())
        tale.at = 40.0
        tale.took(hub.Tick())
        tale.breaks(TimeDecidesNothing, "falls from 50.0 to 40.0")

    def test_rows_are_ordered_by_number_not_by_time(self) -> None:
        young = effects.Received(NODE, EPOCH, "state", [(2, b"", b"", 2_000, "k", ""), (1, b"", b"", 1_000, "k", "")])
        tale = Tale()
        tale.stored(young, node=HUB)
        tale.breaks(TimeDecidesNothing, "receives row 1 of state of oslo after row 2, which is younger")


class TestRestoredPeer:
    HELD = messages.Held(term=1, generation=5, digest="new")

    def greeted_with(self, *ops: effects.Store) -> Tale:
        """A restored hub hears of a generation that it never asked, and stores `ops` with the session."""
        tale = Tale()
        tale.stored(asked(3), node=HUB)
        tale.heard(telling.hello(held=self.HELD), HUB, NODE)
        tale.stored(telling.greeted(), *ops, node=HUB)
        return tale

    def test_an_alarm(self) -> None:
        alarm = effects.Put("node", NODE, b'{"alarms":[{"what":"restored-parent"}]}')
        tale = self.greeted_with(alarm)
        desired = messages.Desired(incarnation="i", session=1, signed=telling.signed(6, term=2))
        tale.sent(desired, HUB, NODE)
        assert tale.judged(RestoredPeer) == 2

    def test_nobody_is_alarmed(self) -> None:
        self.greeted_with().breaks(RestoredPeer, "holds generation 5 of term 1, which hub never asked")

    def test_a_silent_roll_back(self) -> None:
        tale = Tale()
        tale.heard(telling.hello(held=self.HELD), HUB, NODE)
        tale.sent(messages.Desired(incarnation="i", session=1, signed=telling.signed(4)), HUB, NODE)
        tale.breaks(RestoredPeer, "asks oslo for generation 4 of term 1; it holds 5 of 1")

    def test_a_cursor_that_falls(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(3), node=HUB)
        tale.stored(at_cursor(2), node=HUB)
        tale.breaks(RestoredPeer, "back from 3 to 2")

    def test_a_device_behind_itself_goes_on(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(3), node=HUB)
        tale.heard(telling.hello(state=2), HUB, NODE)
        tale.stored(received(rows(4)), node=HUB)
        tale.breaks(RestoredPeer, "whose head had fallen back")

    def test_a_late_hello_says_nothing(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(3), telling.greeted(7), node=HUB)
        tale.heard(telling.hello(6, state=2), HUB, NODE)
        tale.stored(received(rows(4)), at_cursor(4), node=HUB)
        assert tale.judged(RestoredPeer) == 1


class TestReplay:
    def test_the_disk_is_what_was_committed(self) -> None:
        tale = Tale()
        tale.stored(effects.Put("a", "b", b"1"), rows(1, 2))
        tale.tell(telling.disk(NODE, effects.Put("a", "b", b"1"), state=2))
        assert tale.judged(Replay) == 3

    def test_a_value_is_another(self) -> None:
        tale = Tale()
        tale.stored(effects.Put("a", "b", b"1"))
        tale.tell(telling.disk(NODE, effects.Put("a", "b", b"2")))
        tale.breaks(Replay, "a b on the disk of oslo is not what was committed last")

    def test_a_value_that_was_deleted(self) -> None:
        tale = Tale()
        tale.stored(effects.Put("a", "b", b"1"), effects.Delete("a", "b"))
        tale.tell(telling.disk(NODE, effects.Put("a", "b", b"1")))
        tale.breaks(Replay, "was never committed")

    def test_a_head_is_another(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.tell(telling.disk(NODE, state=1))
        tale.breaks(Replay, "the head of state of oslo is a*/1; its commits end at a*/2")

    def test_own_rows_follow_each_other(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, 3))
        tale.tell(telling.disk(NODE, own=(1, 2, 3), state=3))
        assert tale.judged(Replay) == 4
        tale.facts[-1] = telling.disk(NODE, own=(1, 3), state=3)
        tale.breaks(Replay, "row 3 of state of oslo follows from nothing")
        tale.facts[-1] = telling.disk(NODE, own=(1, 2), state=3)
        tale.breaks(Replay, "ends at 2 on the disk, its head is 3")

    def test_a_hub_keeps_more_than_its_cursor_says(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.tell(telling.disk(HUB, at_cursor(1), entries=(1, 2)))
        tale.breaks(Replay, "keeps state of oslo up to 2; its cursor is at 1")

    def test_a_damaged_hub_is_filled_in_again_behind_what_it_kept(self) -> None:
        tale = Tale()
        tale.died(HUB)
        tale.fault("corrupt", HUB)
        tale.born(HUB, role="hub")
        tale.stored(at_cursor(3), node=HUB)
        tale.tell(telling.disk(HUB, at_cursor(3), entries=(1, 3, 2)))
        tale.judged(Replay)
        tale.facts[-1] = telling.disk(HUB, at_cursor(3), entries=(1, 3, 2, 3))
        tale.breaks(Replay, "keeps row 3 of state of oslo out of its order")

    def test_a_hub_keeps_a_row_twice(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.tell(telling.disk(HUB, at_cursor(1), entries=(1, 1)))
        tale.breaks(Replay, "keeps row 1 of state of oslo out of its order")
