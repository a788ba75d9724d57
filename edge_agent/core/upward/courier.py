"""Bundles at this device: what is brought from the hub on a stick, and what is carried to it (decision 0050).

The link's own end takes and gives them; here a person at the device is answered, and what was refused is put on record.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context, inputs
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from protocol import limits, messages
from protocol.bundle import head
from protocol.effects import Effects, Now, SendRows
from protocol.errors import Refused, SkerryError, TooLarge, TrustError
from protocol.link import events


class Carried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `bundle.taken`, `bundle.refused` and `bundle.exported`: who did it, with what, and why it was refused."""

    user: str
    uid: int
    generation: int = 0
    parts: int = 0
    reason: str = ""


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to LocalBundleOpen: the sizes of the parts, and which of them are documents."""

    hub: str
    generation: int
    parts: dict[str, int]
    documents: list[str]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to LocalBundleExport: what the bundle says, and the rows that it takes."""

    hub: str
    node: str
    time_ms: int
    hello: messages.Hello
    status: messages.Status
    rows: list[SendRows]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Reply to LocalBundleTake. `acked`: up to where the hub has each stream; `news`: what is asked has changed.

    `refused`: why what is asked was not taken, empty when it was; the hub's word about the streams counts nevertheless.
    """

    text: str
    generation: int
    news: bool
    acked: dict[str, int]
    refused: str = ""


class Courier:
    """Answers what is asked of bundles."""

    def __init__(self, ctx: Context, artifacts: Artifacts, *, node: str, parent: str, trust: events.ChildTrust) -> None:
        self._ctx, self._artifacts = ctx, artifacts
        self._node, self._parent, self._trust = node, parent, trust

    def asked(self, local: inputs.Local, now: Now, fx: Effects) -> list[events.ChildEvent]:
        """Do and answer one request; return what the link tells of it."""
        told: list[events.ChildEvent] = []
        try:
            match local.command:
                case inputs.LocalBundleOpen(head=raw):
                    reply: object = self._open(raw)
                case inputs.LocalBundleTake() as command:
                    told, reply = self._take(local, command, now, fx)
                case inputs.LocalBundleExport():
                    reply = self._export(local, now, fx)
                case inputs.LocalBundleRefused(reason=reason):
                    reply = self._refuse(local, reason, now, fx)
                case other:
                    raise AssertionError(other)
        except SkerryError as error:
            self._refuse(local, str(error), now, fx)
            fx.act.append(inputs.LocalReply(request=local.request, error=f"nothing of it was taken: {error}"))
        else:
            fx.act.append(inputs.LocalReply(request=local.request, data=context.encoded(reply)))
        return told

    def _read(self, raw: bytes) -> head.Down:
        """Return a head that is proven to be our hub's, for us."""
        down, body, proof = head.read(raw, head.Down)
        if (down.hub, down.node) != (self._parent, self._node):
            raise TrustError(
                f"this bundle is of hub {down.hub} for {down.node}; this device is {self._node} of hub {self._parent}"
            )
        self._trust.learn(down.chain, self._parent)
        covered = head.covered("down", down.hub, down.node, head.hash_of(body), proof.key)
        self._trust.check(covered, proof.signature, proof.key, self._parent)
        return down

    def _open(self, raw: bytes) -> Opened:
        down = self._read(raw)
        documents = down.documents()
        for name, size in down.parts.items():
            if size > (limits.DOCUMENT_BYTES_MAX if name in documents else limits.ARTIFACT_BYTES_MAX):
                raise TooLarge(f"a part of the bundle has {size} bytes, more than any may have")
        if sum(down.parts[name] for name in documents) > limits.BUNDLE_DOCUMENTS_BYTES_MAX:
            raise TooLarge(f"its documents have more than {limits.BUNDLE_DOCUMENTS_BYTES_MAX} bytes together")
        return Opened(hub=down.hub, generation=_generation(down), parts=down.parts, documents=sorted(documents))

    def _take(
        self, local: inputs.Local, command: inputs.LocalBundleTake, now: Now, fx: Effects
    ) -> tuple[list[events.ChildEvent], Taken]:
        down, child = self._read(command.head), self._ctx.child
        before = child.held
        self._artifacts.brought(command.artifacts)
        told = child.carried(down, command.documents, now, fx)
        refused = next((one.reason for one in told if isinstance(one, events.DesiredRefused)), "")
        body = Carried(user=local.user, uid=local.uid, generation=_generation(down), parts=len(down.parts))
        if not refused:
            self._ctx.note("audit", "bundle.taken", "", body, now, fx)
        else:
            self._ctx.note("audit", "bundle.refused", "", msgspec.structs.replace(body, reason=refused), now, fx)
        text = f"generation {child.held.generation} is in force" if child.held.generation else "nothing is asked yet"
        if refused:
            text = f"what it asks was refused: {refused}"
        acked = {name: one[2] for name, one in child.heads().items()}
        return told, Taken(
            text=text, generation=child.held.generation, news=child.held != before, acked=acked, refused=refused
        )

    def _export(self, local: inputs.Local, now: Now, fx: Effects) -> Plan:
        if not self._ctx.child.session:
            raise Refused("the agent has only begun: try again in a moment")
        body = Carried(user=local.user, uid=local.uid)
        self._ctx.note("audit", "bundle.exported", "", body, now, fx)
        hello, status, rows = self._ctx.child.carry(now, fx)
        return Plan(hub=self._parent, node=self._node, time_ms=context.ms(now), hello=hello, status=status, rows=rows)

    def _refuse(self, local: inputs.Local, reason: str, now: Now, fx: Effects) -> None:
        body = Carried(user=local.user, uid=local.uid, reason=reason[: limits.WORD_CHARS_MAX])
        self._ctx.note("audit", "bundle.refused", "", body, now, fx)


def _generation(down: head.Down) -> int:
    return down.desired.signed.generation if down.desired is not None else 0
