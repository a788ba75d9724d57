"""What operators (and devices that enroll) ask of the hub: each request checked first, done whole, noted, answered.

Nothing is changed before everything about a request is known to be good. What changes something is an entry of the
hub's own audit stream with who and what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hub.core import inputs, registry, views
from hub.core.down import recalling, reserving
from hub.core.hearing import child_of
from hub.core.registry import Refusal
from hub.core.rehome.asked import Asked
from hub.core.work.declared import Change, Compiled, compiled
from protocol import documents, selector
from protocol.effects import Effects, Now
from protocol.errors import Refused, SpecError

if TYPE_CHECKING:
    from hub.core.hub import HubCore

_LATER = object()
"""The answer comes with a later input."""


class Operations:
    """Performs requests on the parts of a hub's core."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def request(self, input: inputs.Request, now: Now, fx: Effects) -> None:  # noqa: A002 - what it is
        """Perform a request; a Reply follows in the same effects, or when a certificate is made."""
        try:
            data = self._perform(input, now, fx)
        except (Refused, SpecError) as error:
            status = error.status if isinstance(error, Refusal) else 422
            fx.act.append(inputs.Reply(request=input.request, error=str(error), status=status))
        else:
            if data is not _LATER:
                fx.act.append(inputs.Reply(request=input.request, data=msgspec.json.encode(data)))

    def _perform(self, input: inputs.Request, now: Now, fx: Effects) -> object:  # noqa: A002
        core, who = self._core, input.who
        match input.op:
            case inputs.Enroll() as op:
                core.enrollment.ask(input.request, op, now, fx)
                return _LATER
            case inputs.Renew() as op:
                is_made = core.enrollment.renew_apart(input.request, op, now, fx)
                return _LATER if is_made else core.standing(op.node)
            case inputs.CreateToken() as op:
                return views.token(core.enrollment.create(op, who, now, fx))
            case inputs.DeleteToken() as op:
                core.enrollment.delete(op, who, now, fx)
                return {"deleted": op.id}
            case inputs.Apply() as op:
                return {"results": self._apply(op, who, now, fx)}
            case inputs.DeleteResource() | inputs.ReleaseOverride() as op:
                return self._withdraw(op, who, now, fx)
            case inputs.NoteArtifact() | inputs.MakeRoom() as op:
                return self._artifact(op, who, now, fx)
            case inputs.AcceptRestore() as op:
                return core.restore.accept(who, op.reason, now, fx)
            case inputs.CreateTasks() as op:
                return self._create_tasks(op, who, now, fx)
            case inputs.MoveNode() as op:
                return Asked(core).order(op, who, now, fx)
            case inputs.AskNode() as op:
                return self._ask(op, now, fx)
            case op:
                return self._perform_on_node(op, who, now, fx)

    def _perform_on_node(self, op: inputs.AnyNodeOp, who: str, now: Now, fx: Effects) -> object:
        match op:
            case inputs.ReserveNode():
                return reserving.reserve(self._core, op, who, now, fx)
            case inputs.ExportBundle():
                return self._core.courier.export(op, who, now, fx)
            case inputs.TakeBundle():
                return self._core.courier.take(op, who, now, fx)
            case inputs.TakePart():
                return self._core.courier.part(op, now, fx)
            case _:
                return self._change_node(op, who, now, fx)

    def _artifact(self, op: inputs.NoteArtifact | inputs.MakeRoom, who: str, now: Now, fx: Effects) -> object:
        core = self._core
        if isinstance(op, inputs.MakeRoom):
            return {"freed": core.artifacts.make_room(op.size, op.coming, now, fx)}
        if core.artifacts.note(op.digest, op.size, now, fx):
            core.streams.audit("artifact.arrived", op.digest, {"who": who, "size": op.size}, now, fx)
        return {"digest": op.digest}

    # -------------------------------------------------------------------------------------------- resources

    def _apply(self, op: inputs.Apply, who: str, now: Now, fx: Effects) -> list[Change]:
        core = self._core
        all_of = [compiled(document) for document in op.documents]
        core.policies.check_deed("override" if op.override is not None else "apply")
        for one in all_of:
            core.rollouts.word.check(one)
        core.overrides.check(op, all_of)
        core.resources.check(all_of)
        core.policies.check(all_of)
        if op.dry_run:
            return [self._preview(one) for one in all_of]
        core.artifacts.check(all_of)
        return [self._apply_one(one, op.override, who, now, fx) for one in all_of]

    def _preview(self, one: Compiled) -> Change:
        core = self._core
        action = core.resources.compare(one)
        nodes, regions = core.resources.preview(one, core.delegate.holds(one.key))
        before = core.resources.generation(one.key)
        generation = before if action == "unchanged" else before + 1
        return _change(one, action, generation, nodes, regions)

    def _apply_one(self, one: Compiled, override: inputs.Override | None, who: str, now: Now, fx: Effects) -> Change:
        core = self._core
        action = core.resources.compare(one)
        if override is not None:
            core.overrides.begin(one, override, who, now, fx)
        elif action != "unchanged":
            core.delegated.enforce(core.rollouts.word.signed(one, now, fx), who, None, now, fx)
        if override is not None or action != "unchanged":
            said = {"who": who, "action": action, "generation": core.resources.generation(one.key)}
            core.streams.audit("operator.apply", one.key, said, now, fx)
            fx.act.append(inputs.Notify(topic=f"resource/{one.key}"))
        holds = core.delegate.holds(one.key)
        nodes, regions = core.resources.placed_on(one.key, holds), core.resources.regions_of(one.key, holds)
        return _change(one, action, core.resources.generation(one.key), nodes, regions)

    def _withdraw(
        self, op: inputs.DeleteResource | inputs.ReleaseOverride, who: str, now: Now, fx: Effects
    ) -> dict[str, Any]:
        core = self._core
        if isinstance(op, inputs.ReleaseOverride):
            return recalling.ask(core, op, who, now, fx) if op.at else core.overrides.release(op, who, now, fx)
        key = core.resources.get(op.kind, op.name).key
        core.policies.check_deed("apply")
        core.overrides.check_delete(key)
        for node in core.registry:
            if key in core.delegate.placed(node.name):
                core.delegate.mark(node.name)
        for node in core.resources.children_of(key, core.delegate.holds(key)):
            core.delegate.mark(node)
        core.resources.delete(op.kind, op.name, who, now, fx)
        core.policies.follow()
        core.streams.audit("operator.delete", key, {"who": who}, now, fx)
        fx.act.append(inputs.Notify(topic=f"resource/{key}"))
        core.delegated.restore(key, now, fx)
        return {"deleted": key}

    # -------------------------------------------------------------------------------------------- tasks

    def _create_tasks(self, op: inputs.CreateTasks, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        core = self._core
        core.policies.check_deed("run")
        nodes = self._chosen(op)
        if op.command:
            core.policies.check_user("the command", op.user)
        if op.workflow and not any("/" in address for address in nodes):  # a hub below may have one of its own
            core.resources.get("workflow", op.workflow)
        group = core.entropy.hex(8)
        core.delegate.mark_first(core.tasks.create(op, group, nodes, who, now, fx))
        said = {
            "who": who,
            "nodes": len(nodes),
            "selector": op.selector,
            "command": op.command[:1],
            "workflow": op.workflow,
            "cancel_run": op.cancel_run,
        }
        core.streams.audit("operator.run", group, said, now, fx)
        fx.act.append(inputs.Notify(topic=f"task/{group}"))
        return views.task_group(core, group, now)

    def _chosen(self, op: inputs.CreateTasks) -> list[str]:
        """Return the addresses of the nodes that are asked. Raises Refusal, BadSelector."""
        if op.nodes and op.selector:
            raise Refusal("give nodes or a selector, not both", 422)
        if op.nodes:
            return list(dict.fromkeys(self._named(name) for name in op.nodes))
        nodes = self._core.subtree.select(selector.parse(op.selector))
        if not nodes:
            raise Refusal(nobody(op.selector), 404)
        return nodes

    def _named(self, text: str) -> str:
        """Return the address of the agent that `text` means. Raises Refusal."""
        spot = self._core.subtree.get(text)
        if spot.brief.kind == "hub":
            raise Refusal(f"{text[:80]} is a hub: it runs nothing itself; name the nodes below it, or a selector", 422)
        self._core.registry.living(child_of(spot.address))
        return spot.address

    # -------------------------------------------------------------------------------------------- nodes

    def _change_node(
        self,
        op: inputs.LabelNode
        | inputs.CordonNode
        | inputs.DrainNode
        | inputs.RevokeNode
        | inputs.AcceptNode
        | inputs.RequestRelease,
        who: str,
        now: Now,
        fx: Effects,
    ) -> dict[str, Any]:
        core = self._core
        if not isinstance(op, inputs.AcceptNode) or core.registry.find(op.node) is None:
            op = msgspec.structs.replace(op, node=core.subtree.own(op.node))
        node = core.registry.living(op.node, may_have_left=isinstance(op, inputs.AcceptNode))
        said: dict[str, Any] = {"who": who}
        match op:
            case inputs.LabelNode():
                self._label(node, op, fx)
                kind, said = "operator.label", {**said, "set": op.set, "remove": op.remove}
            case inputs.CordonNode():
                self._replace(msgspec.structs.replace(node, cordoned=op.cordoned, drained=False), fx)
                kind = "operator.cordon" if op.cordoned else "operator.uncordon"
            case inputs.DrainNode():
                self._replace(msgspec.structs.replace(node, cordoned=True, drained=True), fx)
                kind = "operator.drain"
            case inputs.RevokeNode():
                self.revoke(node, op.reason or "no reason given", now, fx, who)
                kind, said = "node.revoked", {**said, "reason": op.reason}
            case inputs.AcceptNode():
                core.accept(node, now, fx)
                kind, said = "operator.accept", {**said, "reason": op.reason}
            case inputs.RequestRelease():
                self._request_release(op, who, now, fx)
                kind, said = "operator.request-release", {**said, "service": op.service, "reason": op.reason}
        core.streams.audit(kind, op.node, said, now, fx)
        fx.act.append(inputs.Notify(topic=f"node/{op.node}"))
        return views.node(core, op.node, now)

    def _label(self, node: registry.Node, op: inputs.LabelNode, fx: Effects) -> None:
        kept = {key: value for key, value in node.labels.items() if key not in op.remove}
        labels = registry.check_labels({**kept, **op.set})
        self._replace(msgspec.structs.replace(node, labels=labels), fx)

    def _replace(self, node: registry.Node, fx: Effects) -> None:
        """Store a node that was changed, and place again what that concerns."""
        core = self._core
        core.registry.put(node, fx)
        for name in (node.name, *core.resources.settle(node, fx)):
            core.delegate.mark(name)

    def revoke(self, node: registry.Node, reason: str, now: Now, fx: Effects, who: str = "") -> None:
        """The node is out, at once: its session, tickets, tasks, place (C5). It is told why, and by `who`."""
        core = self._core
        self._replace(msgspec.structs.replace(node, revoked_ms=int(now.wall * 1000), revoked_reason=reason), fx)
        core.errands.give_up(node.name, f"{node.name} was revoked", now, fx)
        core.cut(node.name, f"{reason[:200]} (by {who})" if who else reason, now, fx)

    def _request_release(self, op: inputs.RequestRelease, who: str, now: Now, fx: Effects) -> None:
        report = self._core.rollup.report(op.node)
        if not op.service and (report is None or report.hold is None):
            raise Refusal(f"{op.node} reports no hold of updates: there is nothing to end", 404)
        service = report.services.get(op.service) if report is not None else None
        if op.service and (service is None or service.override is None):
            raise Refusal(f"{op.node} reports no override of {op.service[:80]!r}: there is nothing to give back", 404)
        document = documents.ReleaseRequest(service=op.service, by=who, reason=op.reason)
        self._core.delegate.ask_release(op.node, document, now, fx)

    # -------------------------------------------------------------------------------------------- questions

    def _ask(self, op: inputs.AskNode, now: Now, fx: Effects) -> dict[str, Any]:
        def reply(part: int, last: bool, data: bytes, error: str, fx: Effects) -> None:
            fx.act.append(inputs.Answered(ask=op.id, part=part, last=last, data=data, error=error))

        try:
            self._core.asking.ask(op.id, op.node, op.what, op.params, op.wait_s, reply, now, fx)
        except Refusal as error:
            reply(0, True, b"null", str(error), fx)
            raise
        return {"asked": op.id}


def nobody(text: str) -> str:
    """Return the sentence for a selector that selects no node."""
    if not text.strip():
        return "an empty selector selects nobody: write one (`*` is every node), or name nodes"
    return f'no node matches "{text[:80]}": see `skerry get nodes`'


def _change(one: Compiled, action: str, generation: int, nodes: list[str], regions: dict[str, int | None]) -> Change:
    place, note = one.place, ""
    if one.policy is not None:
        note = "" if regions or place.regions is None else f'no region matches "{place.regions}" yet'
    elif not nodes and not regions:
        note = nobody(place.selector) if place.regions is None else f'no region matches "{place.regions}"'
    elif place.count is not None and not regions and len(nodes) < place.count:
        note = f'{place.count} asked for, {len(nodes)} match "{place.selector}"'
    return Change(
        kind=one.kind, name=one.name, action=action, generation=generation, nodes=nodes, note=note, regions=regions
    )
