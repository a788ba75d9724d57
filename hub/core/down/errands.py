"""Tasks that hubs above ask of nodes below this one: each becomes a task here, with the same id and deadline.

What a device says of it goes up by itself, relayed with its origin. Of a node that will never speak, or whose words
policy holds back, this hub says how its task ended, in an entry of its own (`errand.ended`): who asked is answered. An
errand that leaves the manifest before it has ended is cancelled, as a task is (DESIGN 4); one whose hub is below goes
on as an errand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from protocol import documents, ids, limits, status
from protocol.effects import Effects, Now
from protocol.errors import BadId, RemoteProtocolError

if TYPE_CHECKING:
    from hub.core.hub import HubCore

KIND = "errand.ended"
_PREFIX = "errand/"


class Errands:
    """The errands of this hub; what is known of them is kept by the tasks that they become."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def wanted(self, items: dict[str, bytes], now: Now, fx: Effects) -> None:
        """Take the whole of what the parent asks."""
        core = self._core
        asked = {item.removeprefix(_PREFIX): raw for item, raw in items.items() if item.startswith(_PREFIX)}
        for group in core.tasks.errands():
            if group not in asked:
                core.delegate.mark_first(core.tasks.cancel(group, now, fx))
                fx.act.append(inputs.Notify(topic=f"task/{group}"))
        for group, raw in asked.items():
            if group not in core.tasks:
                self._accept(group, raw, now, fx)

    def _accept(self, group: str, raw: bytes, now: Now, fx: Effects) -> None:
        core, errand = self._core, _read(group, raw)
        if errand is None:
            said = {"reason": "it cannot be read here: is the hub above of another version?"}
            core.streams.audit("errand.refused", group, said, now, fx)
            return
        document = self._in_our_time(errand.task)
        try:
            core.delegate.mark_first(core.tasks.accept(document, errand.at, now, fx))
        except Refusal as error:
            for address in errand.at:
                self._say(address, status.TaskFact(id=group, state="refused", reason=str(error)), now, fx)
            return
        core.streams.audit("errand.accepted", group, {"who": document.by, "nodes": len(errand.at)}, now, fx)
        for address in errand.at:
            reason = self._doubt(address)
            if reason:
                core.tasks.refuse(group, address, reason, now, fx)
            self.ended(group, address, now, fx)
        fx.act.append(inputs.Notify(topic=f"task/{group}"))

    def _in_our_time(self, task: documents.Task) -> documents.Task:
        """Return `task` with its deadline by this hub's clock: those below judge it by that."""
        if not task.deadline_ms or self._core.up is None:
            return task
        return msgspec.structs.replace(task, deadline_ms=task.deadline_ms - self._core.up.child.offset_ms)

    def _doubt(self, address: str) -> str:
        """Return why nobody at `address` can be asked, or ""."""
        child, _, below = address.partition("/")
        node = self._core.registry.find(child)
        if node is None:
            return f"there is no node {child} at {self._core.node}"
        if node.revoked_ms:
            return f"{child} is revoked ({node.revoked_reason})"
        if node.moved:
            return f"{child} belongs to hub {node.moved} now: ask it there"
        if (node.kind == "hub") == (not below):
            what = "is a hub: it runs nothing itself" if not below else "is no hub: there is nothing below it"
            return f"{child} {what}"
        return ""

    # -------------------------------------------------------------------------------------------- telling

    def give_up(self, child: str, reason: str, now: Now, fx: Effects) -> None:
        """`child`, and all below it, will not answer here any more: end what is open, errands or not."""
        core = self._core
        for group, address in core.tasks.give_up(child, reason, now, fx):
            self.ended(group, address, now, fx)
            fx.act.append(inputs.Notify(topic=f"task/{group}"))

    def ended(self, group: str, address: str, now: Now, fx: Effects) -> None:
        """Say upward how the task of `address` ended, if it did, and was an errand."""
        core = self._core
        result = core.tasks.results(group).get(address)
        if core.tasks.get(group).errand and result is not None and result.state in ("refused", "unknown"):
            self._say(address, status.TaskFact(id=group, state=result.state, reason=result.reason), now, fx)

    def heard(self, address: str, said: status.TaskFact, now: Now, fx: Effects, *, has_moved: bool) -> None:
        """The node at `address` said how its task ended: say it upward, if it was an errand, and its rows stay here or
        come from where the hubs above did not ask it."""
        if (has_moved or "state" in self._core.relay.held) and self._core.tasks.get(said.id).errand:
            self._say(address, self._clipped(said), now, fx)

    def _clipped(self, said: status.TaskFact) -> status.TaskFact:
        """Return `said` with the ends of its outputs: what is held back is held back because the uplink is dear."""
        size, reason = limits.RESULT_CLIPPED_BYTES, said.reason[: limits.RESULT_CLIPPED_BYTES]
        if max(len(said.stdout), len(said.stderr)) > size:
            reason = reason or f"the start of its output stays at {self._core.node}: see `skerry events` there"
        ends = {"stdout": said.stdout[-size:], "stderr": said.stderr[-size:], "reason": reason}
        return msgspec.structs.replace(said, by="", command=[], **ends)

    def _say(self, address: str, fact: status.TaskFact, now: Now, fx: Effects) -> None:
        said = status.ErrandFact(at=address, fact=fact)
        self._core.streams.state(KIND, fact.id, msgspec.to_builtins(said), now, fx)


def _read(group: str, raw: bytes) -> documents.Errand | None:
    """Return the errand in `raw` if it is that of `group`, and names addresses."""
    try:
        document = documents.decode(raw)
        if not isinstance(document, documents.Errand) or document.task.id != group or not document.at:
            return None
        for address in document.at:
            ids.address(address)
    except (RemoteProtocolError, BadId):
        return None
    return document
