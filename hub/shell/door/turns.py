"""Whose input is next: what is small and current goes at once, what is long waits in a line, and lines take turns.

The core takes inputs in the order in which they come, and a batch of them shares one commit: who sends most would be
heard most, and a device that tells of a month would hold up what another says of now. So each node may have
EXPRESS_BYTES under way at once; what is beyond waits here, and TURNS_BYTES of it are under way at a time, shared by
bytes among the nodes that wait (start-time fair queueing). Rows and GAPs count as more than
their bytes: what they cost the hub is work, not room. Pure.

What must keep its order for one node keeps it: entries, and what begins and ends a session. Status, needs, renewals and
answers overtake the same node's entries: a level does not wait for history (INVARIANTS A12).
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.core import inputs
from protocol import limits, messages
from protocol.link import cursor

Done = Callable[[], None]
Give = Callable[[inputs.Input, Done], None]

_GAP = b'"' + cursor.GAP.encode() + b'"'
_FEW_ROWS = 256
_FREE = (messages.Status, messages.Need, messages.Renew, messages.Answer)


@dataclass(slots=True, order=True)
class _Waiting:
    """One input in a line. `tag`: the bytes that all lines have had when it was its turn, were they served evenly."""

    tag: int
    number: int
    node: str = field(compare=False)
    event: inputs.Input = field(compare=False)
    cost: int = field(compare=False)
    done: Done | None = field(compare=False)


class Turns:
    """Stands before the core's inbox; `give` hands an input on, with what is to be called after its commit."""

    def __init__(self, give: Give) -> None:
        self._give = give
        self._life = 0
        self._line: list[_Waiting] = []
        self._of: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._tag = self._number = 0
        self._express: dict[str, int] = {}
        self._under_way = 0

    @property
    def waiting(self) -> int:
        """How many inputs wait."""
        return len(self._line)

    def put(self, node: str, event: inputs.Input, cost: int, done: Done | None = None) -> None:
        """Take an input of `node` of `cost` bytes; `done` is called after its commit, or never."""
        cost += _work(event)
        under_way = self._express.get(node, 0)
        if under_way + cost <= limits.EXPRESS_BYTES and (node not in self._of or _is_free(event)):
            self._express[node] = under_way + cost
            self._give(event, functools.partial(self._went, self._life, node, cost, done))
            return
        tag = max(self._tag, self._tags.get(node, 0))
        self._tags[node] = tag + cost
        self._number += 1
        self._of[node] = self._of.get(node, 0) + 1
        heapq.heappush(self._line, _Waiting(tag, self._number, node, event, cost, done))
        self._go_on()

    def clear(self) -> None:
        """The store failed: what waits and what is under way is dropped, and nothing is done."""
        self._life += 1
        self._line.clear()
        for kept in (self._of, self._tags, self._express):
            kept.clear()
        self._under_way = self._tag = 0

    def _go_on(self) -> None:
        while self._line and self._under_way < limits.TURNS_BYTES:
            one = heapq.heappop(self._line)
            self._tag = one.tag
            self._of[one.node] -= 1
            if not self._of[one.node]:
                del self._of[one.node]
            self._under_way += one.cost
            self._give(one.event, functools.partial(self._came, self._life, one.cost, one.done))
        if not self._line:
            self._tags.clear()
            self._tag = 0

    def _went(self, life: int, node: str, cost: int, done: Done | None) -> None:
        """Something that had not to wait is committed."""
        if life != self._life:
            return
        left = self._express[node] - cost
        if left:
            self._express[node] = left
        else:
            del self._express[node]
        if done is not None:
            done()

    def _came(self, life: int, cost: int, done: Done | None) -> None:
        """Something out of a line is committed: the next one."""
        if life != self._life:
            return
        self._under_way -= cost
        if done is not None:
            done()
        self._go_on()


def _work(event: inputs.Input) -> int:
    """Return what an input costs beside its bytes, as bytes: few of them may be a thousand rows, or a signature.

    Of many rows the GAPs are not looked for: their signatures are a part of what so many rows cost.
    """
    if not isinstance(event, inputs.Got) or not isinstance(event.message, messages.Entries):
        return 0
    rows = event.message.rows
    gaps = sum(_GAP in bytes(row) for row in rows) if len(rows) <= _FEW_ROWS else 0
    return len(rows) * limits.ROW_WORK_BYTES + gaps * limits.GAP_WORK_BYTES


def _is_free(event: inputs.Input) -> bool:
    return isinstance(event, inputs.Got) and isinstance(event.message, _FREE)
