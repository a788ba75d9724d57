"""Documents that a person declared at the device: services and workflows of its own, beside what the parent asks.

Each stays until a person deletes it here. A name is one thing: what the parent asks already cannot be declared here,
and what is declared here goes on when the parent asks for the name later; that one waits, and it is told (DESIGN 7:
nothing that was decided at the device is undone silently). Leases are hubs' to give, so nothing here has one.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import context
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.workflows.graph import Graph
from protocol import documents, ids, limits
from protocol.effects import Effects
from protocol.errors import Refused, SkerryError
from protocol.snapshot import Snapshot

_SPACE = "own"
_KINDS = (documents.Assignment, documents.Workflow)


class Declared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document, and who declared it."""

    user: str
    uid: int
    reason: str = ""
    since_ms: int = 0
    document: msgspec.Raw = msgspec.Raw(b"null")


class Own:
    """The documents of this device's own, by id."""

    def __init__(self, snapshot: Snapshot, ctx: Context, artifacts: Artifacts) -> None:
        self._ctx = ctx
        self._artifacts = artifacts
        self._all = context.load(snapshot, _SPACE, Declared)
        self._asked: dict[str, bytes] | None = None
        self._changed = False

    def over(self, asked: dict[str, bytes]) -> dict[str, bytes]:
        """Return the manifest to follow: what the parent asks, and what is declared here.

        A fence of the parent's is of its own service, and vouches for no other of that name (A20).
        """
        self._asked = asked
        foreign = {"fence/" + key.partition("/")[2] for key in self._all if key.startswith("assignment/")}
        theirs = {key: raw for key, raw in asked.items() if key not in foreign}
        return theirs | {key: bytes(one.document) for key, one in self._all.items()}

    def get(self, key: str) -> Declared | None:
        """Return what is declared here under this id."""
        return self._all.get(key)

    def digest(self, key: str) -> str:
        """Return what names the bytes that are declared here under this id; empty: nothing is."""
        one = self._all.get(key)
        return documents.digest_of(bytes(one.document)) if one is not None else ""

    def clashes(self) -> list[tuple[str, Declared]]:
        """Return what the parent asks for under a name that is taken here."""
        return [(key, one) for key, one in self._all.items() if key in (self._asked or {})]

    def took(self) -> bool:
        """Tell whether something was declared or deleted since the last call."""
        changed, self._changed = self._changed, False
        return changed

    # ---------------------------------------------------------------------------------------- decisions

    def declare(self, raws: list[bytes], by: Declared, fx: Effects) -> dict[str, str]:
        """Take documents, all or none; return what became of each id: created, changed or unchanged. Raises Refused."""
        found = {documents.document_id(document): raw for document, raw in map(self._checked, raws)}
        if len({*self._all, *found}) > limits.OWN_DOCUMENTS_MAX:
            raise Refused(f"at most {limits.OWN_DOCUMENTS_MAX} services and workflows can be declared at a device")
        told: dict[str, str] = {}
        for key, raw in found.items():
            before = self._all.get(key)
            told[key] = "created" if before is None else "changed" if bytes(before.document) != raw else "unchanged"
            if told[key] != "unchanged":
                self._all[key] = one = msgspec.structs.replace(by, document=msgspec.Raw(raw))
                self._ctx.put(_SPACE, key, one, fx)
                self._changed = True
        return told

    def _checked(self, raw: bytes) -> tuple[documents.Assignment | documents.Workflow, bytes]:
        try:
            document = documents.decode(raw)
        except SkerryError as error:
            raise Refused(str(error)) from error
        if not isinstance(document, _KINDS):
            raise Refused(f"a device's own are services and workflows, not {type(document).__name__.lower()}s")
        key = documents.document_id(document)
        if not ids.is_name(key.partition("/")[2]):
            raise Refused(f"{key[:80]!r} has no name: write {ids.NAME_RULE}")
        if self._asked is None:
            raise Refused("nothing has come from the hub yet: what is declared here could clash with it")
        if key in self._asked and key not in self._all:
            raise Refused(f"the hub asks for {spoken(key)} already: stop that one, or choose another name")
        if isinstance(document, documents.Workflow):
            Graph(document)
            artifact = document.artifact
        else:
            artifact = document.process.artifact
            if document.lease.at_most_one:
                raise Refused(f"{spoken(key)}: at_most_one takes a hub that gives leases; declare it there")
        if not self._artifacts.has(artifact):
            raise Refused(f"{spoken(key)}: its artifact is not on this device, and no hub is asked; use files instead")
        return document, documents.encode(document)

    def delete(self, key: str, fx: Effects) -> Declared:
        """Let go of a document of this device's own; return it. Raises Refused."""
        if key not in self._all:
            raise Refused(f"{spoken(key)[:80]} was not declared here; {self._else(key)}")
        self._ctx.drop(_SPACE, key, fx)
        self._changed = True
        return self._all.pop(key)

    def _else(self, key: str) -> str:
        if key in (self._asked or {}):
            stop = f" (a service can be stopped: skerry-agent stop {key.partition('/')[2]})"
            return "the hub asks for it" + stop * key.startswith("assignment/")
        return f"there are: {', '.join(map(spoken, self._all)) or 'none'}"


def spoken(key: str) -> str:
    """Return `service/NAME` for `assignment/NAME`: what people say."""
    kind, slash, name = key.partition("/")
    return ("service" if kind == "assignment" else kind) + slash + name
