"""The end of a roster that looks up: says first all that there is, then what changed, in bounded pages.

    begin(all)      each page is `whole`, the last one `last`; what changes meanwhile and has gone already follows after
    changed(one)    waits limits.STATUS_SETTLE_S for company, then goes
    acked(number)   pages up to `number` are taken; at most limits.ROSTER_WINDOW are on their way

A level: nothing is queued but names. What stands in a page is asked for when the page is made, so a node that changes
ten times while the window is full crosses once, as it is then (INVARIANTS A12, A16). Pages that are not acked go again,
the same bytes, after waits that double: one, and the next when that is acked, for of several that overtake one another
on the way the first may always come too late. Only a hub has one; an agent sends no roster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from protocol import effects, limits, messages
from protocol.effects import Effects, Now

Told = Callable[[str, Now], bytes | None]
"""What is known of the node at an address: a Brief (protocol.link.roster.brief) as JSON, or None when it is gone."""


class Sender:
    """The child's end of one roster."""

    def __init__(self, parent: str, told: Told) -> None:
        self._parent, self._told = parent, told
        self._session = 0
        self._number = 0
        self.is_sure = True
        """Whether what is not named is gone."""
        self._whole: dict[str, None] | None = None
        self._changed: dict[str, None] = {}
        self._flying: deque[messages.Roster] = deque()
        self._lost = 0
        """Pages up to this number go again, one by one; what is newer goes after them."""
        self._settled_at = self._again_at = float("inf")
        self._wait_s = limits.ACK_WAIT_S

    @property
    def settled(self) -> bool:
        """Tell whether the parent has taken all that there is to say."""
        return self._session > 0 and self._whole is None and not self._changed and not self._flying

    def begin(self, session: int, addresses: Iterable[str], now: Now, fx: Effects, *, is_sure: bool = True) -> None:
        """A session begins: the parent is to hear of all `addresses`.

        Not `is_sure`: there may be more of them, so what they do not name is not gone, before `complete`.
        """
        self.end()
        self._session, self._whole, self.is_sure = session, dict.fromkeys(addresses), is_sure
        self._pump(now, fx)

    def complete(self, addresses: Iterable[str], now: Now, fx: Effects) -> None:
        """It is sure now: these are all."""
        self._whole, self.is_sure = dict.fromkeys(addresses), True
        self._changed.clear()
        self._settled_at = float("inf")
        self._pump(now, fx)

    def end(self) -> None:
        """The session is over: nothing is on its way, and the next one begins anew."""
        self._session = self._number = self._lost = 0
        self._whole, self.is_sure = None, True
        self._changed.clear()
        self._flying.clear()
        self._settled_at = self._again_at = float("inf")
        self._wait_s = limits.ACK_WAIT_S

    def changed(self, address: str, now: Now) -> None:
        """Something about the node at `address` is new, or it is gone. Between sessions that need not be noted."""
        if not self._session or (self._whole is not None and address in self._whole):
            return
        if not self._changed:
            self._settled_at = now.mono + limits.STATUS_SETTLE_S
        self._changed[address] = None

    def acked(self, session: int, number: int, now: Now, fx: Effects) -> None:
        """The parent has taken all pages up to `number`."""
        if session != self._session or not self._flying or number < self._flying[0].number:
            return  # late, or of what never was
        while self._flying and self._flying[0].number <= number:
            self._flying.popleft()
        self._wait_s = limits.ACK_WAIT_S
        self._again_at = now.mono + self._wait_s if self._flying else float("inf")
        if self._goes_again:
            fx.send.append(effects.Send(self._parent, self._flying[0]))
        self._pump(now, fx)

    def tick(self, now: Now, fx: Effects) -> None:
        """Do what is due; calling it early or late is harmless."""
        if now.mono >= self._again_at:
            self._wait_s = min(limits.ACK_WAIT_S_MAX, self._wait_s * 2)
            self._again_at = now.mono + self._wait_s
            self._lost = self._flying[-1].number
            fx.send.append(effects.Send(self._parent, self._flying[0]))
        self._pump(now, fx)

    def next_wake(self) -> float:
        """Return when `tick` is due (mono)."""
        may_send = len(self._flying) < limits.ROSTER_WINDOW and self._whole is None and not self._goes_again
        return min(self._again_at, self._settled_at if may_send else float("inf"))

    @property
    def _goes_again(self) -> bool:
        return bool(self._flying) and self._flying[0].number <= self._lost

    def _pump(self, now: Now, fx: Effects) -> None:
        while len(self._flying) < limits.ROSTER_WINDOW and not self._goes_again:
            if self._whole is not None:
                page = self._page(self._whole, now, is_whole=True)
                if not self._whole:
                    page = msgspec.structs.replace(page, last=self.is_sure)
                    self._whole = None
            elif self._changed and now.mono >= self._settled_at:
                page = self._page(self._changed, now, is_whole=False)
                if not self._changed:
                    self._settled_at = float("inf")
            else:
                return
            if not self._flying:
                self._again_at = now.mono + self._wait_s
            self._flying.append(page)
            fx.send.append(effects.Send(self._parent, page))

    def _page(self, names: dict[str, None], now: Now, *, is_whole: bool) -> messages.Roster:
        """Take names out of `names`, the oldest first, as many as a page holds; in a whole one none is called gone."""
        put: dict[str, msgspec.Raw] = {}
        gone: list[str] = []
        room = limits.ROSTER_BYTES_MAX
        while names and len(put) < limits.ROSTER_NAMES_MAX and len(gone) < limits.ROSTER_NAMES_MAX:
            address = next(iter(names))
            brief = self._told(address, now)
            room -= len(address) + len(brief or b"")
            if room < 0 and (put or gone):
                break
            del names[address]
            if brief is not None:
                put[address] = msgspec.Raw(brief)
            elif not is_whole:
                gone.append(address)
        self._number += 1
        return messages.Roster(session=self._session, number=self._number, put=put, gone=gone, whole=is_whole)
