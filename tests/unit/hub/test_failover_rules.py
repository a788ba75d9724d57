"""The rules of failing over, as tables."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.failover import absent, rules
from hub.core.failover.book import Books
from hub.core.failover.rules import Copy, Verdict
from protocol import documents, limits
from protocol.effects import Effects
from protocol.snapshot import Snapshot

WAIT, BACK, GONE, BOTH = Verdict.WAIT, Verdict.BACK, Verdict.GONE, Verdict.BOTH


def disconnect(on_return: str, *, one: bool = False, after_s: float | None = 600.0) -> documents.Disconnect:
    return documents.Disconnect(replace_after_s=after_s, on_return=on_return, at_most_one=one)


def copy(fence: int, *, online: bool = True, runs: bool = True, current: bool = True) -> Copy:
    return Copy(fence=fence, online=online, runs=runs, current=current)


@pytest.mark.parametrize(
    ("on_return", "both_run", "only_original", "only_replacement", "replacement_away"),
    [
        ("keep_original", BACK, BACK, WAIT, BACK),
        ("keep_replacement", GONE, WAIT, GONE, WAIT),
        ("keep_newest", GONE, BACK, GONE, WAIT),
        ("keep_both", BOTH, BOTH, BOTH, BOTH),
    ],
)
def test_who_is_kept(
    on_return: str,
    both_run: Verdict,
    only_original: Verdict,
    only_replacement: Verdict,
    replacement_away: Verdict,
) -> None:
    meant = disconnect(on_return)
    assert rules.decide(meant, copy(1), copy(2)) is both_run
    assert rules.decide(meant, copy(1), copy(2, runs=False)) is only_original
    assert rules.decide(meant, copy(1, runs=False), copy(2)) is only_replacement
    assert rules.decide(meant, copy(1), copy(2, online=False)) is replacement_away


def test_the_newest_is_who_has_what_is_asked_for_now_and_of_equals_the_younger() -> None:
    newest = disconnect("keep_newest")
    assert rules.decide(newest, copy(1, current=False), copy(2)) is GONE
    assert rules.decide(newest, copy(1), copy(2, current=False)) is BACK
    assert rules.decide(newest, copy(3), copy(2)) is BACK


@pytest.mark.parametrize("on_return", ["keep_original", "keep_replacement", "keep_newest", "keep_both"])
def test_at_most_one_keeps_one_that_is_heard_whether_or_not_it_runs_yet(on_return: str) -> None:
    meant = disconnect(on_return, one=True)
    for original, replacement in itertools.product((True, False), repeat=2):
        verdict = rules.decide(meant, copy(1, runs=original), copy(2, runs=replacement))
        assert verdict in (BACK, GONE)
    away = rules.decide(disconnect("keep_replacement", one=True), copy(1), copy(2, online=False))
    assert away is WAIT


def test_a_lease_is_over_with_its_grace_when_the_wait_is() -> None:
    for after_s, grace_s in ((60.0, 10.0), (600.0, 10.0), (600.0, 0.0), (3_000.0, 60.0)):
        lease_s = rules.lease_s(disconnect("keep_original", one=True, after_s=after_s), grace_s)
        assert lease_s >= limits.LEASE_S_MIN
        assert rules.bound_s(lease_s, grace_s) == pytest.approx(after_s)


def test_a_lease_is_bounded() -> None:
    assert rules.lease_s(disconnect("keep_original", after_s=None), 10.0) == limits.LEASE_S
    assert rules.lease_s(disconnect("keep_original", after_s=10.0), 10.0) == limits.LEASE_S_MIN
    assert rules.lease_s(disconnect("keep_original", after_s=1e6), 10.0) == limits.LEASE_S_MAX


def test_a_bound_covers_the_lease_the_grace_the_drift_and_the_slack() -> None:
    assert rules.bound_s(100.0, 10.0) == pytest.approx(
        100.0 * (1 + limits.LEASE_DRIFT_SHARE) + 10.0 + limits.LEASE_SLACK_S
    )


@pytest.mark.parametrize(
    ("online", "others", "says"), [(0, 0, "not known"), (0, 3, "cut off"), (3, 3, "crashed"), (1, 3, "not known")]
)
def test_what_others_at_the_site_tell(online: int, others: int, says: str) -> None:
    assert absent.likely(online, others).startswith(says)


@given(
    st.lists(st.integers(0, limits.INTEGER_MAX) | st.sampled_from([limits.FENCE_SAID_MAX + one for one in (-1, 0, 1)]))
)
def test_as_text_each_new_copy_has_the_higher_fence_whatever_children_said_of_theirs(said: list[int]) -> None:
    books, texts = Books(Snapshot(node="cloud")), list[str]()
    for turn, fence in enumerate([*said, limits.FENCE_SAID_MAX, 0]):
        books.raise_to("service/web", fence, Effects())
        books.number("service/web", [f"gw-{turn}"], Effects())
        texts.append(documents.Fence(service="web", fence=books.get("service/web").fence).text)
    assert texts == sorted(set(texts)), texts
    assert {len(text) for text in texts} == {limits.FENCE_DIGITS}
