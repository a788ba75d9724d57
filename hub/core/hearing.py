"""What the children tell, through the link: each event goes to the parts it concerns, and to the audit trail.

The hot path is ChildEntries: thousands of rows a second that workloads wrote. Of each row only the kind is looked at;
the body is read for the few kinds that the hub keeps an account of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.down import errands
from hub.core.work import runs
from protocol import limits, messages, status
from protocol.effects import Effects, Now
from protocol.errors import Refused
from protocol.link import events
from protocol.messages import CHAINED, RELAYS, Entry

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_REPEATABLE = (events.Misbehaved, events.Poison, events.Crowded)
"""What a bad child can bring about as often as it likes."""

TASK_KINDS = frozenset({"task.started", "task.ended"})
KINDS = TASK_KINDS | runs.KINDS | {errands.KIND}

_entry = msgspec.json.Decoder(Entry)
_said = msgspec.json.Decoder(status.TaskFact)
_errand = msgspec.json.Decoder(status.ErrandFact)


class Hearing:
    """Takes the events of the parent's ends of all links."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def take(self, told: list[events.ParentEvent], now: Now, fx: Effects) -> None:
        """Act on what the link told."""
        for event in told:
            self._take(event, now, fx)

    def _take(self, event: events.ParentEvent, now: Now, fx: Effects) -> None:
        core, node = self._core, event.node
        core.relay.heard(event, now, fx)
        match event:
            case events.ChildEntries() if event.stream in RELAYS:
                self.take(core.relayed.take(event, fx), now, fx)
            case events.ChildEntries():
                self._entries(event, now, fx)
            case events.StreamMet() | events.HeldBack():
                pass  # what it means is above, or in what is known of the origin
            case events.ChildStatus():
                self._status(event, now, fx)
            case events.ChildLive():
                self._live(event, now, fx)
            case events.ChildCarried():
                self._carried(event, now, fx)
            case events.ChildAway():
                self.away(node, event.reason, now, fx)
            case events.ChildAnswer(answer=answer):
                core.asking.answer(node, answer.id, answer.part, answer.last, bytes(answer.data), fx)
            case events.ChildRoster():
                self._roster(event, now, fx)
            case events.RenewAsked():
                self._renew(event, now, fx)
            case events.CloseAsked():
                close = inputs.CloseChild(node=node, connection=event.connection, reason=event.reason, ban=event.ban)
                fx.act.append(close)
            case _:
                self._alarm(event, now, fx)

    # -------------------------------------------------------------------------------------------- presence

    def _live(self, event: events.ChildLive, now: Now, fx: Effects) -> None:
        core, node = self._core, event.node
        if event.renew_only:
            text = "its certificate has expired; it may only renew it, and is back then"
            core.registry.alarm(node, "certificate-expired", text, now, fx)
            self.away(node, text, now, fx)
            return
        core.registry.calm(node, "certificate-expired", fx)
        core.failover.live(node)
        core.rollouts.heard(node, now)
        if core.rollup.live(node, event.hello, now, fx):
            core.streams.note("state", "node.live", node, {"version": event.hello.version}, now, fx)
            self._presence(node, fx)

    def away(self, node: str, reason: str, now: Now, fx: Effects) -> None:
        """`node` is not connected any more, or was silent for a whole lease."""
        core = self._core
        if not core.rollup.away(node, now, fx):
            return
        core.streams.note("state", "node.away", node, {"reason": reason}, now, fx)
        core.asking.left(node, fx)
        core.failover.away(node, reason, now)
        core.rollouts.away(node, now)
        self._presence(node, fx)

    def _presence(self, node: str, fx: Effects) -> None:
        fx.act.append(inputs.Notify(topic=f"node/{node}"))
        fx.act.extend(inputs.Notify(topic=f"task/{group}") for group in self._core.tasks.open_on(node))

    def _status(self, event: events.ChildStatus, now: Now, fx: Effects) -> None:
        core, node = self._core, event.node
        is_first, before = event.status.count == 1, _known(core, node)
        core.restore.met(node, fx)
        report = core.rollup.status(node, event.status, now, fx)
        core.lodging.heard(node, now, fx)
        core.family.heard(node, fx)
        core.arrivals.seen(node, now, fx)
        if is_first or before != _known(core, node):  # else nobody need know at once, and its commit can wait
            fx.act.append(inputs.Notify(topic=f"node/{node}"))
        if report is None or not core.subtree.is_readable(node):
            core.registry.alarm(node, "odd-status", "its status cannot be read: is it of another version?", now, fx)
            return
        core.registry.calm(node, "odd-status", fx)
        core.failover.heard(node, event.status, report, now, fx)
        self._reported(node, event.status, report, now, fx)

    def _carried(self, event: events.ChildCarried, now: Now, fx: Effects) -> None:
        """A bundle says how `node` stood. It is not here, and is given no lease."""
        core, node = self._core, event.node
        report = core.rollup.carried(node, event.hello, event.status, now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{node}"))
        if report is not None and core.subtree.is_readable(node):
            self._reported(node, event.status, report, now, fx)

    def _reported(self, node: str, said: messages.Status, report: status.Report, now: Now, fx: Effects) -> None:
        core, link = self._core, self._core.parent.view(node)
        core.rollouts.said(node, report, now)
        cursor = link.cursors.get("state")
        for workflow in report.workflows.values():
            if workflow.last is not None and cursor is not None:
                core.runs.report(node, cursor.epoch, said.heads.get("state", 0), workflow.last)
        self._flush_runs(fx)
        held = said.held
        if (held.term, held.generation) == (link.term, link.generation):
            self._caught_up(node, fx)
            if core.delegate.has_releases(node):
                core.delegate.end_releases(node, report, now, fx)
            core.recalls.heard(node, now, fx)

    def _roster(self, event: events.ChildRoster, now: Now, fx: Effects) -> None:
        """What is below a child hub has changed."""
        core = self._core
        below = core.subtree.heard(event.node, event.put, event.gone)
        core.relayed.heard(event)
        core.rooms.changed(event.node, (*event.put, *event.gone), now)
        for address in below:
            core.arrivals.seen(address, now, fx)
        if core.roster is not None:
            core.roster.changed((), below, now)
        fx.act.extend(inputs.Notify(topic=f"node/{address}") for address in below[: limits.ROSTER_NAMES_MAX])

    def _caught_up(self, node: str, fx: Effects) -> None:
        """`node` holds its newest manifest: for what only older ones named it will not come."""
        core = self._core
        if node in core.delegate.named and core.delegate.is_settled(node):
            core.delegate.named.only(node, core.resources.artifacts_of(core.delegate.placed(node)), fx)

    def _renew(self, event: events.RenewAsked, now: Now, fx: Effects) -> None:
        if self._core.registry.get(event.node).lodger:
            return  # it is not of this domain yet, and asks again
        core = self._core
        try:
            core.enrollment.renew(core.registry.living(event.node), event.csr, fx)
        except Refused as error:
            core.parent.renewed(event.node, "", str(error), now, fx)

    # -------------------------------------------------------------------------------------------- history

    def _entries(self, event: events.ChildEntries, now: Now, fx: Effects) -> None:
        if event.stream == "state":
            for seq, raw, _, time_ms, kind, key in event.rows:
                if kind in KINDS:
                    self._entry(event, seq, raw, time_ms, kind, key, now, fx)
            self._flush_runs(fx)
        fx.act.append(inputs.Notify(topic="entries"))

    def _entry(
        self,
        event: events.ChildEntries,
        seq: int,
        raw: bytes,
        time_ms: int,
        kind: str,
        key: str,
        now: Now,
        fx: Effects,
    ) -> None:
        core, node = self._core, event.node
        try:
            body = _entry.decode(raw).body
            if kind in TASK_KINDS:
                self._task(node, _said.decode(body), now, fx)
            elif kind == errands.KIND:
                said = _errand.decode(body)
                self._task(f"{node}/{said.at}", said.fact, now, fx)
            else:
                core.runs.entry(node, event.epoch, seq, time_ms, kind, key, bytes(body))
        except (msgspec.DecodeError, ValueError) as error:
            core.registry.alarm(child_of(node), "odd-entry", f"{kind} at seq {seq} cannot be read: {error}", now, fx)

    def _task(self, node: str, said: status.TaskFact, now: Now, fx: Effects) -> None:
        core = self._core
        asked = core.tasks.asked_at(said.id, node, core.orders.before(node))
        heard, ended = core.tasks.hear(asked, said, now, fx)
        if heard:
            fx.act.append(inputs.Notify(topic=f"task/{said.id}"))
        if ended:
            core.errands.heard(asked, said, now, fx, has_moved=asked != node)
            core.delegate.mark_soon(child_of(asked), now)

    def _flush_runs(self, fx: Effects) -> None:
        fx.act.extend(inputs.Notify(topic=f"run/{run}") for run in self._core.runs.flush(fx))

    # -------------------------------------------------------------------------------------------- alarms

    def _alarm(self, event: events.ParentEvent, now: Now, fx: Effects) -> None:
        """Show an operator what went wrong between a node and this hub, and put it on record."""
        if isinstance(event, events.RestoredParent):
            if self._core.restore.takes_back(event.node, now, fx):
                return
            self._core.restore.ahead(event.node)
        node, what, text = child_of(event.node), _what(event), alarm_text(event)
        if node != event.node:
            text = f"of {event.node}: {text}"
        is_repeated = self._core.registry.has_alarm(node, what)
        if not (is_repeated and isinstance(event, _REPEATABLE)):  # a bad child fills no trail
            self._core.streams.note("audit", f"link.{what}", node, {"text": text}, now, fx)
        if _is_alarming(event):
            if isinstance(event, events.EpochChanged):
                text = _with_other_streams(self._core.registry.alarm_text(node, what), event.stream, text)
            self._core.registry.alarm(node, what, text, now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{node}"))


def child_of(address: str) -> str:
    """Return the own child through which what is at `address` is known."""
    return address.partition("/")[0]


def _known(core: HubCore, node: str) -> tuple[object, ...]:
    """Return what a status of `node` may change of what is shown of it."""
    seen = core.rollup.seen(node)
    return core.rollup.report(node), seen and seen.held, seen and seen.heads


def _is_alarming(event: events.ParentEvent) -> bool:
    """Metrics and logs may begin anew after a power cut: that is on record, and no alarm (DESIGN 4).

    An epoch or a poison entry of a node further below alarms where the node is, not here.
    """
    if "/" in event.node and isinstance(event, events.EpochChanged | events.Poison):
        return False
    return not (isinstance(event, events.EpochChanged | events.LossDeclared) and event.stream not in CHAINED)


_ALSO = "; also "


def _with_other_streams(before: str, stream: str, text: str) -> str:
    """Return `text` of `stream`, with what stands there already of other streams."""
    others = [part for part in before.split(_ALSO) if part and not part.startswith(f"its {stream} ")]
    return _ALSO.join([*others, text])


def _what(event: events.ParentEvent) -> str:
    """Return the kind of an alarm: `clone-seen` for CloneSeen."""
    name = type(event).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


def alarm_text(event: events.ParentEvent) -> str:
    """Return what an event means, and what to do next."""
    match event:
        case events.CloneSeen():
            return (
                "two machines use this node's identity (a copied data directory), or it came back from an old backup: "
                "it is not served; make sure that there is only one, then accept the node"
            )
        case events.ChildRestored():
            return "the device's store is an older copy; it resumes under a new session, what it lost is declared"
        case events.EpochChanged():
            return f"its {event.stream} goes on in a new epoch ({event.reason}); the former one ends at {event.seq}"
        case events.LossDeclared(hub=hub) if hub:
            return (
                f"{event.count} rows of {event.stream} are not here, for {hub} did not relay them ({event.reason}); "
                f"they are taken when they come: ask {hub} what it holds, and why"
            )
        case events.LossDeclared():
            count = event.count or "an unknown number of"
            return f"{count} rows of {event.stream} are lost, as the device declares: {event.reason}"
        case events.Fork() if "/" in event.node:
            hub = child_of(event.node)
            return (
                f"{hub} relays {event.stream} that contradicts what is held here of {event.reason} at seq {event.seq}: "
                "set aside, nothing overwritten. If the device is a copy or came back from a backup, see to that and "
                f"`skerry node accept {hub}`; if it was never below {hub}, then {hub} lies: revoke it"
            )
        case events.Fork():
            return (
                f"its {event.stream} contradicts what is stored here at seq {event.seq}: set aside, nothing overwritten"
            )
        case events.GapRefused():
            return (
                f"it says that rows {event.first} to {event.last} of its {event.stream} are lost, and nobody can vouch "
                f"for that: {event.reason}; they are not counted as lost, the stream waits, the others go on. It goes "
                "on when you accept the loss"
            )
        case events.Poison():
            return _poison_text(event)
        case events.RestoredParent():
            return (
                f"the device holds a generation {event.held.generation} of term {event.held.term} that this hub, which "
                f"is at {event.generation} of {event.term}, never asked for: this hub was restored; "
                "`skerry node accept` takes over this node alone, at once, `skerry hub accept-restore` all of them"
            )
        case events.Crowded():
            return (
                f"{event.hub} relays more holes than there is room to list (of one child hub "
                f"{limits.MISSING_OF_CHILD_MAX}): the lowest are only counted, and not filled when their rows come. "
                f"Look at the nodes below {event.hub}; if it invents them, revoke it at the hub above it"
            )
        case events.Misbehaved():
            return f"it sent what the link forbids: {event.reason}"
        case _:
            return type(event).__name__


def _poison_text(event: events.Poison) -> str:
    if event.count == 1:
        return f"row {event.seq} of its {event.stream} is no entry: set aside, the stream goes on"
    return (
        f"{event.count} rows of its {event.stream} in one message, the first of them row {event.seq}, are no entries: "
        "the first ones are set aside, all are counted, the stream goes on"
    )
