"""What one declared document is to a hub: as it was written, as it was compiled, and where it came from."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from protocol import documents, selector
from protocol.spec import compile as compiler
from protocol.spec import load, policy

POLICY = "policy"


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's document, turned into the agent's language."""

    kind: str
    name: str
    spec: dict[str, Any]
    place: compiler.Placement
    document: documents.Assignment | documents.Workflow | documents.Upgrade | None
    disconnect: documents.Disconnect = documents.Disconnect()
    policy: policy.Policy | None = None

    @property
    def key(self) -> str:
        """`service/NAME`, `workflow/NAME` or `policy/NAME`."""
        return f"{self.kind}/{self.name}"

    def raw(self) -> bytes:
        """Return the agent's bytes; null for what is for hubs only."""
        return documents.encode(self.document) if self.document is not None else b"null"


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a resource was declared, if not here: the path of its owner, and how often it was changed there."""

    owner: str
    generation: int


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One resource; `document` are the agent's bytes. If it is counted, `nodes` are those of this hub's own that hold
    it, and `shares` how many copies each region is asked for."""

    kind: str
    name: str
    generation: int
    changed_ms: int
    by: str
    spec: msgspec.Raw = msgspec.Raw(b"null")
    selector: str = ""
    count: int | None = None
    per_region: bool = False
    regions: str | None = None
    spread: list[str] = []
    document: msgspec.Raw = msgspec.Raw(b"")
    disconnect: documents.Disconnect = documents.Disconnect()
    nodes: list[str] = []
    shares: dict[str, int] = {}
    origin: Origin | None = None
    deleted: bool = False

    @property
    def key(self) -> str:
        """`service/NAME`, `workflow/NAME` or `policy/NAME`."""
        return f"{self.kind}/{self.name}"


class Live:
    """A resource that is not deleted, with what is derived from it once."""

    def __init__(self, record: Resource) -> None:
        self.record = record
        self.selector = selector.parse(record.selector)
        self.regions = selector.parse(record.regions) if record.regions is not None else None
        self.rules: policy.Rules | None = None
        self.raw = bytes(record.document)
        self.document: documents.AnyDocument | None = None
        self.document_id = record.key
        if record.kind == POLICY:
            self.raw = bytes(record.spec)
            self.rules = policy.rules(policy.Policy.model_validate(msgspec.json.decode(record.spec)))
        else:
            self.document = documents.decode(self.raw)
            self.document_id = documents.document_id(self.document)
        self.digest = documents.digest_of(self.raw)
        self.is_for_regions = bool(self.selector.terms) or record.kind == POLICY
        self._delegated: dict[int | None, tuple[str, bytes]] = {}

    def delegation(self, hub: str, share: int | None) -> tuple[str, bytes]:
        """Return (document id, canonical bytes) of what a region is asked for by the hub `hub`."""
        found = self._delegated.get(share)
        if found is None:
            record = self.record
            origin = record.origin or Origin(owner=hub, generation=record.generation)
            document = documents.Delegation(
                kind=record.kind,
                name=record.name,
                generation=origin.generation,
                owner=origin.owner,
                spec=record.spec,
                share=share,
                by=record.by,
                word=bytes(record.document).decode() if isinstance(self.document, documents.Upgrade) else "",
            )
            found = self._delegated[share] = documents.document_id(document), documents.encode(document)
        return found


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one document of an Apply does: `created`, `changed` or `unchanged`; `nodes` are those it is placed on, and
    `regions` those it is handed to, with how many copies each is asked for (None: on all nodes that match there)."""

    kind: str
    name: str
    action: str
    generation: int
    nodes: list[str]
    note: str = ""
    regions: dict[str, int | None] = {}


def compiled(document: dict[str, Any]) -> Compiled:
    """Return one of the operator's documents, compiled. Raises SpecError."""
    resource = load.from_json(document)
    return Compiled(
        kind=resource.kind.lower(),
        name=resource.name,
        spec=resource.to_json(),
        place=compiler.placement(resource),
        document=compiler.document(resource),
        disconnect=compiler.disconnect(resource),
        policy=resource if isinstance(resource, policy.Policy) else None,
    )


def artifacts_of(document: documents.AnyDocument | None) -> list[str]:
    """Return the digests of the artifacts that a document names."""
    if isinstance(document, documents.Upgrade):
        return [one.artifact for one in document.packages]
    its = document.process if isinstance(document, documents.Assignment) else document
    return [its.artifact] if isinstance(its, documents.Process | documents.Workflow) and its.artifact else []


def canonical(spec: dict[str, Any]) -> bytes:
    """Return the one JSON of a document: what is compared, and handed on."""
    return msgspec.json.encode(cast("object", spec), order="deterministic")
