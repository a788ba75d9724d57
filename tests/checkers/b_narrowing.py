"""A policy only narrows: nothing is declared or done at a region that an inherited policy does not allow.

Demands, of every hub below another: a policy of its own asks for no more than each one that it inherited (of streams
that go up, of services, of users, of deeds); and its operators' deeds are done (answered without an error) only where
every inherited policy allows them.

Cannot see: whether a policy reached the region; that what was delegated stands there is b_owner_wins'.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub.core import inputs
from hub.core.work import declared, resources
from protocol import effects
from tests.checkers import base
from tests.checkers.history import Acted, Born, Stored, Took
from tests.checkers.world import Machine

_EXTENTS = ("summary", "state", "all")
_decode_resource = msgspec.json.Decoder(declared.Resource).decode


class Narrowing(base.Checker):
    """See the module."""

    rule = "narrowing"

    def watch(self) -> None:
        """Ask for policies, and for what operators do."""
        self._asked: dict[tuple[str, int], tuple[str, str]] = {}
        """(hub, request) -> (deed, which policy forbade it when it was asked)."""
        self.on(Born, self._born)
        self.on_op(effects.Put, self._put)
        self.on_took(inputs.Request, self._ask)
        self.on_acted(inputs.Reply, self._reply)

    def _born(self, fact: Born) -> None:
        self._asked = {where: one for where, one in self._asked.items() if where[0] != fact.node}

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space != resources.SPACE or not op.key.startswith("policy/"):
            return
        hub, record = self.machine(fact), _decode_resource(op.value)
        if hub.role != "hub" or record.deleted or record.origin is not None:
            return
        stored = hub.get(op.space, op.key)
        if stored is not None and bytes(_decode_resource(stored).spec) == bytes(record.spec):
            return  # it stood before what it is held against
        for name, inherited in _inherited(hub):
            wider = _wider(inherited, _spec(record))
            self.demand(not wider, f"{fact.node} declares {op.key}, which allows more {wider} than {name} above it")

    def _ask(self, fact: Took, request: inputs.Request) -> None:
        deed = _deed(request.op)
        if deed:
            self._asked[fact.node, request.request] = deed, self._forbids(fact.node, deed)

    def _reply(self, fact: Acted, reply: inputs.Reply) -> None:
        deed, before = self._asked.pop((fact.node, reply.request), ("", ""))
        if deed and not reply.error:
            after = self._forbids(fact.node, deed)
            both = before and after  # a policy that came or went in between forbids nothing for certain
            self.demand(not both, f"operators of {fact.node} {deed}, though {before} does not let them")

    def _forbids(self, node: str, deed: str) -> str:
        for name, spec in _inherited(self.world.machine(node)):
            may = spec.get("may")
            if may is not None and deed not in may:
                return name
        return ""


def _deed(op: inputs.Op) -> str:
    match op:
        case inputs.Apply(dry_run=False):
            return "override" if op.override is not None else "apply"
        case inputs.CreateTasks():
            return "run"
        case _:
            return ""


def _spec(record: declared.Resource) -> dict[str, Any]:
    return msgspec.json.decode(record.spec).get("spec", {})


def _inherited(hub: Machine) -> list[tuple[str, dict[str, Any]]]:
    found = [(key, _decode_resource(raw)) for key, raw in hub.values(resources.SPACE).items() if key[:7] == "policy/"]
    return [(key, _spec(one)) for key, one in found if one.origin is not None and not one.deleted]


def _wider(above: dict[str, Any], own: dict[str, Any]) -> str:
    """Return in which point `own` asks for more than `above` allows; "" in none."""
    for stream, extent in own.get("forward", {}).items():
        if _EXTENTS.index(extent) > _EXTENTS.index(above.get("forward", {}).get(stream, "all")):
            return f"of {stream}"
    ours, theirs = own.get("allow", {}), above.get("allow", {})
    if None not in (ours.get("services"), theirs.get("services")) and ours["services"] > theirs["services"]:
        return "services"
    if theirs.get("users") is not None and set(ours.get("users") or ()) - set(theirs["users"]):
        return "users"
    if above.get("may") is not None and set(own.get("may") or ()) - set(above["may"]):
        return "deeds"
    return ""
