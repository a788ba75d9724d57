"""A hub whose store may be behind its own past: restored from a backup, copied, recovered from damage (A17).

It hears and stores everything, so that devices fill it in again; but it makes no manifest and sends none that it had
made until an operator says so. Devices that hold more than it knows are then asked beyond that, under a new term; those
that are away when they come back (space `retake`, a row for each).
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from hub.core import registry
from protocol import limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.link import parent
from protocol.snapshot import DOUBT, STORE, Snapshot, doubt

if TYPE_CHECKING:
    from hub.core.hub import HubCore

RETAKE = "retake"
COMMAND = "skerry hub accept-restore"
_SINCE = "Since the backup nothing is known: enroll again who came since (by a move too), revoke again who was revoked"


def mended(snapshot: Snapshot) -> tuple[Snapshot, list[str]]:
    """Return `snapshot` with a link for each node whose link's record was lost, and these nodes."""
    found = doubt(snapshot)
    if found is None or not found.partial:
        return snapshot, []
    links = dict(snapshot.spaces.get(parent.CHILD, {}))
    lost = [name for name in snapshot.spaces.get(registry.SPACE, {}) if name not in links]
    links |= {name: msgspec.json.encode(parent.Record()) for name in lost}
    return msgspec.structs.replace(snapshot, spaces={**snapshot.spaces, parent.CHILD: links}), lost


class Restore:
    """Whether this hub may go on, and which devices it takes back when it may."""

    def __init__(self, snapshot: Snapshot, core: HubCore, lost: list[str]) -> None:
        self._core = core
        self._doubt = doubt(snapshot)
        self._lost = lost
        self._awaited = set(snapshot.spaces.get(RETAKE, {}))
        self._to_take: deque[str] = deque()
        self._ahead: dict[str, None] = {}

    @property
    def waits(self) -> bool:
        """Tell whether an operator is waited for: no manifest is made, no artifact goes."""
        return self._doubt is not None

    @property
    def alarm(self) -> str:
        """What an operator must know and decide; empty when there is nothing. A pure view, asked with each request."""
        if (found := self._doubt) is None:
            return self._alarm_of_devices()
        kept = f", the damaged file is kept as {found.aside}" if found.aside else ""
        lacks = "some of its state is lost: apply again what `skerry get services` lacks"
        look = lacks if found.partial else "look at `skerry get nodes`"
        return (
            f"this hub's store is not the one it last had ({found.reason}{kept}): nothing new is sent to any device "
            f"until you say `{COMMAND}` (all go on), or `skerry node accept NAME` (that one alone, at once); before "
            f"that, {look}. {_SINCE}"
        )

    def _alarm_of_devices(self) -> str:
        """What devices alone prove: the store was put back with all that stood beside it. Only they are held up."""
        ahead = list(islice(filter(self._is_blocked, self._ahead), limits.AHEAD_NAMED_MAX + 1))
        if not ahead:
            return ""
        names = ", ".join(ahead[: limits.AHEAD_NAMED_MAX]) + (" and others" if ahead[limits.AHEAD_NAMED_MAX :] else "")
        return (
            f"devices hold what this hub never asked for ({names}): was it restored from a backup? Nothing is asked of "
            f"them until you say `{COMMAND}` (all go on), or `skerry node accept NAME` (that one alone, at once); see "
            f"`skerry describe node NAME`. {_SINCE}"
        )

    def _is_blocked(self, name: str) -> bool:
        node = self._core.registry.find(name)
        return node is not None and not node.revoked_ms and self._core.parent.view(name).blocked

    def ahead(self, name: str) -> None:
        """`name` holds what this hub never asked for: it is asked nothing more, and the operator is told."""
        self._ahead[name] = None

    def started(self, now: Now, fx: Effects) -> None:
        """A life begins: put on record that an operator is waited for."""
        fx.store.extend(Put(parent.CHILD, name, msgspec.json.encode(parent.Record())) for name in self._lost)
        if self._doubt is not None:
            said = {"reason": self._doubt.reason, "aside": self._doubt.aside, "partial": self._doubt.partial}
            self._core.streams.audit("hub.doubted", self._core.node, said, now, fx)
            fx.store.extend(Delete(RETAKE, name) for name in self._awaited)  # confirmed in another past
            self._awaited.clear()
            self._core.parent.hold()

    def accept(self, who: str, reason: str, now: Now, fx: Effects) -> dict[str, object]:
        """An operator has looked: go on. Raises registry.Refusal when nothing waits for that."""
        waiting = [node.name for node in self._core.registry if not node.revoked_ms]
        blocked = [name for name in waiting if self._core.parent.view(name).blocked]
        if self._doubt is None and not blocked:
            raise registry.Refusal("nothing waits for an operator: this hub goes on as it is", 409)
        said = {"who": who, "reason": reason, "doubt": "" if self._doubt is None else self._doubt.reason}
        self._core.streams.audit("operator.accept-restore", self._core.node, said, now, fx)
        self._doubt = None
        fx.store += [Delete(STORE, DOUBT), *(Put(RETAKE, name, b"1") for name in waiting)]  # a crash forgets none
        self._awaited.update(waiting)
        self._to_take.extend(waiting)
        return {"nodes": len(waiting), "ahead": len(blocked)}

    def process(self, now: Now, fx: Effects) -> None:
        """Take some of the devices back."""
        for _ in range(min(len(self._to_take), limits.DELEGATE_NODES_PER_INPUT_MAX)):
            name = self._to_take.popleft()
            view = self._core.parent.view(name)
            self._take(name, view.blocked, now, fx)
            if view.live:
                self.met(name, fx)

    def takes_back(self, name: str, now: Now, fx: Effects) -> bool:
        """`name` holds more than this hub knows; tell whether an operator has confirmed that already. Then it is so."""
        if name not in self._awaited:
            return False
        self._take(name, True, now, fx)
        self.met(name, fx)
        return True

    def met(self, name: str, fx: Effects) -> None:
        """`name` is here: unless it is held up, what it may hold later is not confirmed."""
        if (name in self._awaited or name in self._ahead) and not self._core.parent.view(name).blocked:
            self._ahead.pop(name, None)
            self._awaited.discard(name)
            fx.store.append(Delete(RETAKE, name))

    def _take(self, name: str, is_ahead: bool, now: Now, fx: Effects) -> None:
        self._core.delegate.make(name, now, fx)  # a task that has ended since must not be asked for again (A14)
        if not is_ahead:
            self._core.parent.resume(name, now, fx)
            return
        self._core.parent.new_term(name, now, fx)
        self._core.registry.calm(name, "restored-parent", fx)

    def next_wake(self, now: Now) -> float | None:
        """Return the mono time at which devices are to be taken back."""
        return now.mono if self._to_take else None
