"""Bundles of this hub's devices: what an operator carries to one, and brings of it (decision 0050).

A bundle is exported as its head, signed; its parts are documents and artifacts that this hub holds. One that is brought
begins with its head, checked whole; then its parts follow, each by itself, so that what is in memory is bounded. What
is open is in memory only: after a crash the operator's command begins again, and nothing is taken twice (A4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from hub.core.upgrade import standing
from protocol import codec, documents, limits, messages
from protocol.bundle import head
from protocol.effects import Effects, Now
from protocol.errors import Refused, SkerryError, TrustError

if TYPE_CHECKING:
    from hub.core.hub import HubCore


class Courier:
    """Takes and gives bundles."""

    def __init__(self, core: HubCore) -> None:
        self._core = core
        self._open: dict[str, frozenset[str]] = {}
        """Of each node whose bundle is being brought, the parts with rows; the oldest first."""

    # -------------------------------------------------------------------------------------------- down

    def export(self, op: inputs.ExportBundle, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        """Return the signed head of a bundle for a device. Raises Refusal, Refused."""
        core = self._core
        node = core.registry.living(core.subtree.own(op.node))
        if node.kind == "hub":
            raise Refusal(f"{node.name} is a hub: bundles are for devices; export those of its devices there", 422)
        core.parent.couriers.allow(node.name)  # before anything more is asked of it (A17)
        core.delegate.make(node.name, now, fx)
        down = core.parent.couriers.down(node.name, now)
        down = msgspec.structs.replace(down, parts=self._parts(node.name, down))
        core.streams.audit("bundle.exported", node.name, {"who": who, "parts": len(down.parts)}, now, fx)
        generation = down.desired.signed.generation if down.desired is not None else 0
        said = {"node": node.name, "generation": generation, "parts": down.parts}
        return {**said, "head": core.parent.couriers.sign(down).decode()}

    def _parts(self, node: str, down: head.Down) -> dict[str, int]:
        core = self._core
        found: dict[str, int] = {}
        for name in sorted(down.documents()):
            body = core.parent.couriers.part(node, name)
            if body is None:
                raise Refusal(f"this hub lost a document of {node}: apply what runs there again", 409)
            found[name] = len(body)
        for digest in self._needed(node):
            held = core.artifacts.held.get(digest)
            if held is None:
                raise Refusal(f"the artifact {digest} is not at this hub yet: export again when it has come", 409)
            found[head.name_of(digest)] = held.size
        if len(found) > limits.BUNDLE_PARTS_MAX:
            raise Refusal(f"{node} is asked for {len(found)} parts, over {limits.BUNDLE_PARTS_MAX}: use its link", 422)
        return found

    def _needed(self, node: str) -> Iterator[str]:
        """Yield the artifacts of what is placed on `node`; of the packages of an Upgrade its own alone."""
        core = self._core
        for key in core.delegate.placed(node):
            document = core.resources.compiled(key)
            if isinstance(document, documents.Upgrade):
                package = standing.fitting(core, node, document)
                yield from [package.artifact] if package is not None else []
            else:
                yield from core.resources.artifacts_of([key])

    # -------------------------------------------------------------------------------------------- up

    def take(self, op: inputs.TakeBundle, who: str, now: Now, fx: Effects) -> dict[str, Any]:
        """Begin with a bundle that was brought. Raises Refusal; that it was refused stands in the audit."""
        core = self._core
        try:
            self._check_met(op.head)
            up = core.parent.couriers.check(op.head)
            is_newest, told = core.parent.couriers.begin(up, now, fx)
        except Refusal:
            raise
        except SkerryError as error:
            raise self._refused(op.head, error, who, now, fx) from error
        core.hear(told, now, fx)
        self._open.pop(up.node, None)
        self._open[up.node] = frozenset(up.rows)
        while len(self._open) > limits.BUNDLES_OPEN_MAX:
            del self._open[next(iter(self._open))]
        said = {"who": who, "newest": is_newest, "time_ms": up.time_ms, "parts": len(up.rows)}
        core.streams.audit("bundle.taken", up.node, said, now, fx)
        return {"node": up.node, "newest": is_newest, "rows": up.rows}

    def _check_met(self, raw: bytes) -> None:
        """Raise Refusal for a device that has yet to enroll: that is no wrong of anybody's."""
        up, *_ = head.read(raw, head.Up)
        node = self._core.registry.find(up.node)
        if node is not None and node.reserved:
            raise Refusal(f"{up.node} has not enrolled yet: `skerry import` lets it in first, by its bundle", 403)

    def _refused(self, raw: bytes, error: SkerryError, who: str, now: Now, fx: Effects) -> Refusal:
        core = self._core
        text = f"nothing of this bundle was taken: {error}"
        core.streams.audit("bundle.refused", "", {"who": who, "reason": str(error)}, now, fx)
        if isinstance(error, TrustError):
            up, *_ = head.read(raw, head.Up)
            if core.registry.find(up.node) is not None:
                core.registry.alarm(up.node, "bundle-refused", text, now, fx)
        return Refusal(text, 403 if isinstance(error, TrustError) else 409 if isinstance(error, Refused) else 422)

    def part(self, op: inputs.TakePart, now: Now, fx: Effects) -> dict[str, Any]:
        """Take one part with rows. Raises Refusal."""
        core = self._core
        name = hashlib.sha256(op.raw).hexdigest()
        if name not in self._open.get(op.node, ()):
            raise Refusal(f"this part is of no bundle of {op.node[:63]} that is being taken: import the bundle again")
        try:
            message = codec.decode(op.raw, codec.UP)
        except SkerryError as error:
            raise Refusal(f"a part of the bundle of {op.node} is no message: {error}", 422) from error
        if not isinstance(message, messages.Entries):
            raise Refusal(f"a part of the bundle of {op.node} holds no rows: refused", 422)
        ack, told = core.parent.couriers.rows(op.node, message, fx)
        core.hear(told, now, fx)
        if ack is None:
            return {"stream": message.stream, "seq": 0, "fenced": True}
        return {"stream": ack.stream, "seq": ack.seq, "refill": ack.refill, "fork": ack.fork}
