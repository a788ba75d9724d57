"""How far each instance is kept, of those that number what they say: what comes a second time is not kept twice."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.core import inputs
from protocol.effects import Delete, Effects, Put
from protocol.errors import Refused
from protocol.snapshot import Snapshot

_SAID = "said"


class Said:
    """The last id of each instance; `is_here` tells whether one works on this device."""

    def __init__(self, snapshot: Snapshot, is_here: Callable[[str], bool]) -> None:
        self._last = {key: int(raw) for key, raw in snapshot.spaces.get(_SAID, {}).items()}
        self._is_here = is_here

    def start(self, found: list[inputs.Found], fx: Effects) -> None:
        """Forget what those said whose folder is not there: who comes again under such a name is somebody else."""
        here = {one.instance for one in found}
        self._forget([one for one in self._last if one not in here], fx)

    def fresh(self, instance: str, items: list[inputs.Item]) -> tuple[list[inputs.Item], int]:
        """Return the items that were not kept before, and the last id among them (0 if none is numbered).

        Raises Refused for an id below 0.
        """
        if not any(item.id for item in items):
            return items, 0
        last = before = self._last.get(instance, 0)
        fresh: list[inputs.Item] = []
        for item in items:
            if item.id < 0:
                raise Refused(f"{item.id} numbers nothing: ids begin at 1 and rise; nothing of the batch was kept")
            if item.id == 0 or item.id > last:
                fresh.append(item)
                last = max(last, item.id)
        return fresh, last if last > before else 0

    def note(self, instance: str, last: int, fx: Effects) -> None:
        """All up to the id `last` is kept. At a new instance, those that are gone are forgotten."""
        if instance not in self._last:
            self._forget([one for one in self._last if not self._is_here(one)], fx)
        self._last[instance] = last
        fx.store.append(Put(_SAID, instance, b"%d" % last))

    def _forget(self, gone: list[str], fx: Effects) -> None:
        for one in gone:
            del self._last[one]
            fx.store.append(Delete(_SAID, one))
