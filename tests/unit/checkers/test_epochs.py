"""The checkers of what goes, what comes twice, and what changes its epoch."""

from __future__ import annotations

import base64
import hashlib
from collections import deque

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from hub.core import registry
from hub.core.work import tasks
from protocol import documents, effects, limits, messages
from protocol.link import cursor, parent_entries
from protocol.trust.gaps import GapSigner
from tests.checkers.a03_prune_acked import PruneAcked
from tests.checkers.a05_one_transaction import OneTransaction
from tests.checkers.a08_dedupe import Dedupe
from tests.checkers.a09_epochs_negotiated import EpochsNegotiated
from tests.checkers.a16_bounded import Bounded
from tests.checkers.a21_poison import Poison
from tests.checkers.all import Checkers
from tests.checkers.history import Broken
from tests.support import single
from tests.unit.checkers import telling
from tests.unit.checkers.telling import EPOCH, HUB, NODE, OTHER, Tale, at_cursor, entries, received, rows


def gap_op(first: int, last: int, reason: str = "full") -> effects.Gap:
    """A device declares a loss."""
    body = messages.GapBody(first=first, last=last, count=last - first + 1, reason=reason, hash="")
    return effects.Gap("state", EPOCH, first, last, cursor.encode_gap(last, 0, body), b"")


def gap_rows(first: int, last: int) -> effects.Received:
    """A hub receives it."""
    return effects.Received(NODE, EPOCH, "state", [(last, gap_op(first, last).raw, b"", 0, "gap", "")])


def turn(base: int = 0, lost: int = 0, former: str = EPOCH) -> effects.NewEpoch:
    """A device takes a new epoch."""
    return effects.NewEpoch("state", OTHER, messages.FormerEpoch(epoch=former, seq=2, lost=lost), base)


class TestPruneAcked:
    def test_acked_rows_go_and_others_under_a_gap(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, 3, 4))
        tale.stored(at_cursor(2), node=HUB)
        tale.stored(effects.Trim("state", EPOCH, 2))
        tale.stored(effects.Trim("state", EPOCH, 2), gap_op(3, 4))
        assert tale.judged(PruneAcked) == 3

    def test_rows_that_nobody_has(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, 3))
        tale.stored(at_cursor(2), node=HUB)
        tale.stored(effects.Trim("state", EPOCH, 3))
        tale.breaks(PruneAcked, "lets state go up to 3; acked or declared lost is all up to 2")

    def test_a_gap_that_does_not_reach_down(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2, 3))
        tale.stored(effects.Trim("state", EPOCH, 3), gap_op(2, 3))
        tale.breaks(PruneAcked, "all up to 0")

    def test_a_gap_without_a_reason(self) -> None:
        tale = Tale()
        tale.stored(gap_op(1, 3, reason=""))
        tale.breaks(PruneAcked, "whose row does not say so")

    def test_an_epoch_that_gives_up_more_than_it_says(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.stored(turn(base=2, lost=1))
        tale.breaks(PruneAcked, "2 rows beyond what is acked, and declares fewer")
        tale.facts[-1] = msgspec.structs.replace(tale.facts[-1], ops=[turn(base=2, lost=2)])
        assert tale.judged(PruneAcked) == 1

    def test_a_root_has_nobody_to_ack(self) -> None:
        tale = Tale()
        tale.stored(effects.Trim("state", EPOCH, 3), node=HUB)
        assert tale.judged(PruneAcked) == 0


class TestOneTransaction:
    def test_rows_and_their_cursor(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1, 2)), at_cursor(2), node=HUB)
        assert tale.judged(OneTransaction) == 1

    def test_rows_without_their_cursor(self) -> None:
        tale = Tale()
        tale.stored(received(rows(1)), node=HUB)
        tale.breaks(OneTransaction, "stores rows of state of oslo without their cursor")

    def test_a_cursor_without_its_rows(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(at_cursor(2), node=HUB)
        tale.breaks(OneTransaction, "to 2; what came with it ends at 0")

    def test_a_cursor_that_lags(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1, 2)), at_cursor(1), node=HUB)
        tale.breaks(OneTransaction, "to 1, and has received row 2")

    def test_a_cursor_with_another_hash(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(received(rows(1)), at_cursor(1, tip=b"x" * 32), node=HUB)
        tale.breaks(OneTransaction, "and has received row 1")

    def test_the_end_of_a_task_and_its_result(self) -> None:
        task = documents.Task(id="t1", command=["true"])
        group = tasks.Group(id="t1", number=1, by="me", created_ms=0, until_ms=9, document=task, nodes=[NODE])
        row = single.row(1, 0, "task.ended", "t1", b'{"id":"t1","state":"ok"}')
        told = effects.Received(NODE, EPOCH, "state", [(1, row, b"h" * 32, 0, "task.ended", "t1")])
        known = (telling.put(tasks.GROUPS, "t1", group), at_cursor(0))
        tale = Tale()
        tale.stored(*known, node=HUB)
        tale.stored(told, at_cursor(1, tip=b"h" * 32), node=HUB)
        tale.breaks(OneTransaction, "receives that task t1 on oslo is ok, and stores nothing of it")
        result = telling.put(tasks.RESULTS, f"t1/{NODE}", tasks.Result(state="ok", time_ms=0))
        tale.facts[-1] = msgspec.structs.replace(tale.facts[-1], ops=[told, result, at_cursor(1, tip=b"h" * 32)])
        assert tale.judged(OneTransaction) == 2


class TestDedupe:
    def test_once(self) -> None:
        tale = Tale()
        tale.stored(received(rows(1, 2)), node=HUB)
        tale.stored(received(rows(3)), node=HUB)
        assert tale.judged(Dedupe) == 3

    def test_twice_under_another_epoch(self) -> None:
        tale = Tale()
        tale.stored(received(rows(1)), node=HUB)
        again = received(rows(1))
        tale.stored(effects.Received(NODE, OTHER, "state", again.rows), node=HUB)
        tale.breaks(Dedupe, "receives row 1 of state of oslo a second time")

    def test_a_restored_hub_is_refilled(self) -> None:
        tale = Tale()
        tale.stored(received(rows(1)), node=HUB)
        tale.died(HUB)
        tale.fault("restore", HUB)
        tale.born(HUB, role="hub", disk="backup")
        tale.stored(received(rows(1)), node=HUB)
        assert tale.judged(Dedupe) == 2


class TestEpochsNegotiated:
    def test_a_new_epoch_is_named_welcomed_and_fences_the_old_one(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.stored(at_cursor(1), node=HUB)
        tale.stored(turn())
        hello = telling.hello(state=2)
        hello = msgspec.structs.replace(hello, streams={"state": messages.StreamHead(epoch=OTHER, seq=2)})
        tale.sent(hello)
        tale.heard(hello, HUB, NODE)
        tale.stored(turned(OTHER, EPOCH), node=HUB)
        tale.heard(telling.welcome())
        tale.sent(entries(rows(2, epoch=OTHER)))
        assert tale.judged(EpochsNegotiated) == 6

    def test_a_cursor_that_nobody_negotiated(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        tale.stored(turned(OTHER, EPOCH), node=HUB)
        tale.breaks(EpochsNegotiated, "which no hello named")

    def test_an_epoch_that_is_not_fenced(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(1), node=HUB)
        hello = msgspec.structs.replace(telling.hello(), streams={"state": messages.StreamHead(epoch=OTHER, seq=2)})
        tale.heard(hello, HUB, NODE)
        tale.stored(turned(OTHER), node=HUB)
        tale.breaks(EpochsNegotiated, "does not fence the one before")

    def test_rows_in_an_epoch_that_the_hello_did_not_name(self) -> None:
        tale = Tale()
        tale.sent(telling.hello(state=1))
        tale.heard(telling.welcome())
        tale.sent(entries(rows(1, epoch=OTHER)))
        tale.breaks(EpochsNegotiated, "sends state in epoch b.*, and said hello with a")

    def test_rows_before_the_welcome(self) -> None:
        tale = Tale()
        tale.sent(telling.hello(state=1))
        tale.sent(entries(rows(1)))
        tale.breaks(EpochsNegotiated, "which nobody welcomed")

    def test_rows_without_a_hello(self) -> None:
        tale = Tale()
        tale.sent(entries(rows(1)))
        tale.breaks(EpochsNegotiated, "without a hello")

    def test_an_epoch_out_of_one_that_was_not(self) -> None:
        tale = Tale()
        tale.stored(rows(1, 2))
        tale.stored(turn(former="cccccccccccccccc"))
        tale.breaks(EpochsNegotiated, "out of c.*, and was in a")


def turned(epoch: str, *former: str) -> effects.Put:
    """A hub's cursor in another epoch, with those that it fences."""
    fenced = [parent_entries.FormerCursor(epoch=one, seq=1, hash="") for one in former]
    return telling.put("cursor", f"{NODE}/state", parent_entries.Record(epoch=epoch, seq=1, hash="", former=fenced))


class TestBounded:
    def test_more_than_the_quota(self) -> None:
        body = b'"' + b"x" * limits.ENTRY_BYTES_MAX + b'"'
        quota = limits.QUOTA_BYTES["metrics"] + limits.QUOTA_BYTES["logs"]
        many = cursor.encode_rows(0, b"", False, 0, [("k", "", body)] * (quota // len(body) + 9))
        tale = Tale()
        tale.stored(effects.Rows("metrics", EPOCH, many))
        assert tale.judged(Bounded) == 1
        more = cursor.encode_rows(len(many), b"", False, 0, [("k", "", body)] * 40)
        tale.stored(effects.Rows("metrics", EPOCH, more), effects.Trim("metrics", EPOCH, len(many)))
        assert tale.judged(Bounded) == 2
        tale.facts[-1] = msgspec.structs.replace(tale.facts[-1], ops=[effects.Rows("metrics", EPOCH, more)])
        tale.breaks(Bounded, "metrics, logs of oslo take .* their quota is")

    def test_a_loss_is_counted(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(gap_rows(1, 5), at_cursor(5, lost=5), node=HUB)
        assert tale.judged(Bounded) == 1

    def test_a_loss_that_is_not_counted(self) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(gap_rows(1, 5), at_cursor(5, lost=4), node=HUB)
        tale.breaks(Bounded, "counts 4 lost rows of state of oslo; the gap says 5")

    @pytest.mark.parametrize(("second", "text"), [(9, ""), (8, "counts 4 lost rows of state of oslo; the gap says 5")])
    def test_a_hole_that_grows_within_one_transaction_counts_from_where_it_stood(self, second: int, text: str) -> None:
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        ops = (gap_rows(1, 4), at_cursor(4, lost=4), gap_rows(1, 9), at_cursor(9, lost=second))
        tale.stored(*ops, node=HUB)
        if text:
            tale.breaks(Bounded, text)
        else:
            assert tale.judged(Bounded) == 2

    def test_a_small_quota_of_the_world(self) -> None:
        many = cursor.encode_rows(0, b"", False, 0, [("k", "", b'"' + b"x" * 900 + b'"')] * 100)
        tale = Tale()
        tale.stored(effects.Rows("metrics", EPOCH, many))
        assert tale.judged(Bounded) == 1
        small = Checkers([Bounded], quota_bytes=64 * limits.KIB)
        with pytest.raises(Broken, match="metrics, logs of oslo take"):
            deque(map(small.feed, tale.facts))

    def test_a_small_quota_is_the_devices_not_the_hubs(self) -> None:
        many = cursor.encode_rows(0, b"", True, 0, [("k", "", b'"' + b"x" * 900 + b'"')] * 100)
        tale = Tale()
        tale.stored(effects.Rows("audit", EPOCH, many), node=HUB)
        small = Checkers([Bounded], quota_bytes=64 * limits.KIB)
        deque(map(small.feed, tale.facts))
        assert small.end() == {"A16": 1}

    @pytest.mark.parametrize("signed_for", [NODE, "another"])
    def test_a_gap_counts_only_with_the_signature_of_its_node(self, signed_for: str) -> None:
        form, how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = ed25519.Ed25519PrivateKey.generate().private_bytes(serialization.Encoding.PEM, form, how)
        signer = GapSigner(pem)
        key = hashlib.sha256(base64.b64decode(signer.key)).hexdigest()
        body = messages.GapBody(first=1, last=5, count=5, reason="full", hash="")
        raw = cursor.encode_gap(5, 0, signer.sign(signed_for, EPOCH, "state", body))
        known = registry.Node(name=NODE, key=key, token="tok", enrolled_ms=0)
        tale = Tale()
        tale.stored(telling.put(registry.SPACE, NODE, known), at_cursor(0), node=HUB)
        gap = effects.Received(NODE, EPOCH, "state", [(5, raw, b"", 0, "gap", "")])
        tale.stored(gap, at_cursor(5, lost=5), node=HUB)
        if signed_for == NODE:
            assert tale.judged(Bounded) == 2
        else:
            tale.breaks(Bounded, "counts a gap of state of oslo, though its signature is wrong")


class TestPoison:
    def aside(self, *ops: effects.Store) -> Tale:
        """A tale in which row 1 is set aside."""
        tale = Tale()
        tale.stored(at_cursor(0), node=HUB)
        tale.stored(effects.SetAside(NODE, EPOCH, "state", 1, b"?", "the row is no entry"), *ops, node=HUB)
        return tale

    def cursor_with(self, seq: int, aside: int) -> effects.Put:
        """A cursor that has counted."""
        record = parent_entries.Record(epoch=EPOCH, seq=seq, hash="", aside=aside)
        return telling.put("cursor", f"{NODE}/state", record)

    def test_the_stream_goes_on(self) -> None:
        assert self.aside(self.cursor_with(1, 1)).judged(Poison) == 2

    def test_the_stream_stays(self) -> None:
        self.aside().breaks(Poison, "and its cursor stays")
        self.aside(self.cursor_with(0, 1)).breaks(Poison, "stays before row 1")

    def test_nobody_counts(self) -> None:
        self.aside(self.cursor_with(1, 0)).breaks(Poison, "and counts 0")
