"""All checkers over one history, at once or online: a rule that breaks is found at its fact.

history.facts -> Checkers.feed, one by one -> end()          raises history.Broken at once
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import limits
from tests.checkers import (
    a01_durable_first,
    a02_acks_end_to_end,
    a03_prune_acked,
    a04_contiguous,
    a05_one_transaction,
    a06_no_reuse,
    a07_same_bytes,
    a08_dedupe,
    a09_epochs_negotiated,
    a10_desired_forward,
    a11_complete_view,
    a12_status_names,
    a13_sessions_fenced,
    a14_tasks_declared,
    a15_time_decides_nothing,
    a16_bounded,
    a17_restored_peer,
    a18_replay,
    a19_convergence,
    a20_no_waiting,
    a20_region_decides,
    a21_poison,
    b_contacts,
    b_deleted_lives,
    b_kept_away,
    b_moves,
    b_narrowing,
    b_needless_restart,
    b_nothing_lost,
    b_nothing_twice,
    b_one_at_most,
    b_override_kept,
    b_owner_wins,
    b_relay,
    b_shares,
    b_two_copies,
    b_upgrades,
)
from tests.checkers.base import Checker
from tests.checkers.history import Acted, AnyFact, Sent, Stored, Took
from tests.checkers.world import World

ALL: tuple[type[Checker], ...] = (
    a01_durable_first.DurableFirst,
    a02_acks_end_to_end.AcksEndToEnd,
    a03_prune_acked.PruneAcked,
    a04_contiguous.Contiguous,
    a05_one_transaction.OneTransaction,
    a06_no_reuse.NoReuse,
    a07_same_bytes.SameBytes,
    a08_dedupe.Dedupe,
    a09_epochs_negotiated.EpochsNegotiated,
    a10_desired_forward.DesiredForward,
    a11_complete_view.CompleteView,
    a12_status_names.StatusNames,
    a13_sessions_fenced.SessionsFenced,
    a14_tasks_declared.TasksDeclared,
    a15_time_decides_nothing.TimeDecidesNothing,
    a16_bounded.Bounded,
    a17_restored_peer.RestoredPeer,
    a18_replay.Replay,
    a19_convergence.Convergence,
    a20_no_waiting.NoWaiting,
    a20_region_decides.RegionDecides,
    a21_poison.Poison,
    b_contacts.Contacts,
    b_deleted_lives.DeletedLives,
    b_kept_away.KeptAway,
    b_moves.Moves,
    b_narrowing.Narrowing,
    b_needless_restart.NeedlessRestart,
    b_nothing_lost.NothingLost,
    b_nothing_twice.NothingTwice,
    b_one_at_most.OneAtMost,
    b_override_kept.OverrideKept,
    b_owner_wins.OwnerWins,
    b_relay.Relay,
    b_shares.Shares,
    b_two_copies.TwoCopies,
    b_upgrades.Upgrades,
)
"""Every rule's checker."""

_Table = dict[type, list[Callable[[Any, Any], None]]]
_Message = agent.Got | hub.Got | hub.UpGot


class Checkers:
    """Feed it facts in their order, then `end`. `exact`: every commit is noted, whatever the death (a simulator's)."""

    def __init__(
        self,
        kinds: Sequence[type[Checker]] = ALL,
        *,
        exact: bool = False,
        quota_bytes: int = 0,
        relay_bytes: int = limits.RELAY_BYTES,
    ) -> None:
        self.world = World(exact=exact, quota_bytes=quota_bytes, relay_bytes=relay_bytes)
        self.checkers = [kind(self.world) for kind in kinds]
        self._facts: defaultdict[type, list[Callable[[Any], None]]] = defaultdict(list)
        for one in self.checkers:
            for kind, handlers in one.facts.items():
                self._facts[kind] += handlers
        self._ops = _merged([one.ops for one in self.checkers])
        self._sent = _merged([one.sent for one in self.checkers])
        self._heard = _merged([one.heard for one in self.checkers])
        self._took = _merged([one.took for one in self.checkers])
        self._acted = _merged([one.acted for one in self.checkers])

    def feed(self, fact: AnyFact) -> None:
        """Judge the next fact. Raises Broken."""
        world = self.world
        world.index += 1
        world.at = fact.at
        if isinstance(fact, Stored):
            world.judge(fact.ops)
        for do in self._facts.get(type(fact), ()):
            do(fact)
        match fact:
            case Stored():
                self._stored(fact)
            case Sent(message=message):
                for do in self._sent.get(type(message), ()):
                    do(fact, message)
            case Took(input=taken):
                self._took_in(fact, taken)
            case Acted(action=action):
                for do in self._acted.get(type(action), ()):
                    do(fact, action)
                world.learn(fact)
            case _:
                world.learn(fact)

    def _stored(self, fact: Stored) -> None:
        machine, learn, table = self.world.machine(fact.node), self.world.learn_op, self._ops
        for op in fact.ops:
            for do in table.get(type(op), ()):
                do(fact, op)
            learn(machine, op)

    def _took_in(self, fact: Took, taken: object) -> None:
        if isinstance(taken, _Message):
            for do in self._heard.get(type(taken.message), ()):
                do(fact, taken.message)
        else:
            for do in self._took.get(type(taken), ()):
                do(fact, taken)
            self.world.learn(fact)

    def end(self) -> dict[str, int]:
        """The history is over: return how much each rule has judged. Raises Broken."""
        self.world.index = -1
        for one in self.checkers:
            one.end()
        return {one.rule: one.judged for one in self.checkers}


def check(history: Iterable[AnyFact], kinds: Sequence[type[Checker]] = ALL, *, exact: bool = False) -> dict[str, int]:
    """Judge a whole history; return how much each rule has judged. Raises Broken."""
    checkers = Checkers(kinds, exact=exact)
    for fact in history:
        checkers.feed(fact)
    return checkers.end()


def _merged(tables: Iterable[_Table]) -> _Table:
    merged: _Table = {}
    for table in tables:
        for kind, handlers in table.items():
            merged.setdefault(kind, []).extend(handlers)
    return merged
