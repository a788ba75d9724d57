"""What operators declared: services and workflows, each with the document it became.

A resource is stored as it was written AND as it was compiled, so that an upgrade of the hub never changes a digest and
restarts a fleet. `generation` counts the operator's changes and survives delete and recreate (INVARIANTS A10): a
deleted resource leaves its counter behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from hub.core import placement
from hub.core.registry import Node, Refusal, Registry
from protocol import documents, limits, selector
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE = "resource"
KINDS = ("service", "workflow")


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's document, turned into the agent's language. `count` None means all."""

    kind: str
    name: str
    spec: dict[str, Any]
    selector: str
    count: int | None
    document: documents.Assignment | documents.Workflow

    @property
    def key(self) -> str:
        """`service/NAME` or `workflow/NAME`."""
        return f"{self.kind}/{self.name}"


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One resource; `document` are the agent's bytes, `nodes` who holds it if `count` is set."""

    kind: str
    name: str
    generation: int
    changed_ms: int
    by: str
    spec: msgspec.Raw = msgspec.Raw(b"null")
    selector: str = ""
    count: int | None = None
    document: msgspec.Raw = msgspec.Raw(b"")
    nodes: list[str] = []
    deleted: bool = False

    @property
    def key(self) -> str:
        """`service/NAME` or `workflow/NAME`."""
        return f"{self.kind}/{self.name}"


class _Live:
    """A resource that is not deleted, with what is derived from it once."""

    def __init__(self, record: Resource) -> None:
        self.record = record
        self.selector = selector.parse(record.selector)
        self.raw = bytes(record.document)
        self.document = documents.decode(self.raw)
        self.document_id = documents.document_id(self.document)
        self.digest = documents.digest_of(self.raw)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one document of an Apply does: `created`, `changed` or `unchanged`; `nodes` are those it is placed on."""

    kind: str
    name: str
    action: str
    generation: int
    nodes: list[str]
    note: str = ""


class Resources:
    """All resources by key, in the order they were first declared."""

    def __init__(self, snapshot: Snapshot, registry: Registry, is_online: Callable[[str], bool]) -> None:
        decoder = msgspec.json.Decoder(Resource)
        records = [decoder.decode(raw) for _, raw in sorted(snapshot.spaces.get(SPACE, {}).items())]
        self._records = {record.key: record for record in records}
        self._live = {record.key: _Live(record) for record in records if not record.deleted}
        self._registry = registry
        self._is_online = is_online

    # -------------------------------------------------------------------------------------------- reading

    def records(self, kind: str = "") -> list[Resource]:
        """Return the resources of `kind` (all when empty) that are not deleted, by key."""
        return [live.record for _, live in sorted(self._live.items()) if kind in ("", live.record.kind)]

    def get(self, kind: str, name: str) -> Resource:
        """Return one resource. Raises Refusal (404)."""
        live = self._live.get(f"{kind}/{name}")
        if live is None:
            raise Refusal(f"there is no {kind[:20]} {name[:80]!r}: see `skerry get {kind[:20]}s`", 404)
        return live.record

    def generation(self, key: str) -> int:
        """Return how often operators changed a resource, 0 when there never was one."""
        record = self._records.get(key)
        return 0 if record is None else record.generation

    def document(self, key: str) -> tuple[str, bytes, str]:
        """Return (document id, canonical bytes, digest) of a resource that is not deleted."""
        live = self._live[key]
        return live.document_id, live.raw, live.digest

    def placed_on(self, key: str, held_by: Callable[[str], bool]) -> list[str]:
        """Return the names of the nodes a resource is placed on; `held_by` tells whether a node had it before."""
        live = self._live[key]
        if live.record.count is not None:
            return live.record.nodes
        return [node.name for node in self._registry if placement.may_hold(node, live.selector, held_by(node.name))]

    def wanted(self, node: str, had: list[str]) -> list[str]:
        """Return the keys of the resources that belong on `node`, which had `had` before."""
        record = self._registry.get(node)
        return [key for key, live in self._live.items() if self._belongs(live, record.name, key in had)]

    def _belongs(self, live: _Live, node: str, has_it: bool) -> bool:
        if live.record.count is not None:
            return node in live.record.nodes
        return placement.may_hold(self._registry.get(node), live.selector, has_it)

    def artifacts_of(self, keys: list[str]) -> list[str]:
        """Return the digests of the artifacts that these resources need."""
        found = [artifact_of(live.document) for key in keys if (live := self._live.get(key)) is not None]
        return [digest for digest in found if digest]

    def artifacts(self) -> set[str]:
        """Return the digests of the artifacts that all resources need, placed or not."""
        return set(self.artifacts_of(list(self._live)))

    # -------------------------------------------------------------------------------------------- changing

    def check(self, all_of: list[Compiled]) -> None:
        """Raise Refusal unless every document can be stored and delivered; then nothing has happened."""
        seen: dict[str, None] = {}
        for compiled in all_of:
            if compiled.key in seen:
                raise Refusal(f"{compiled.key} stands twice in what was applied: keep one of them", 422)
            seen[compiled.key] = None
            size = len(documents.encode(compiled.document))
            if size > limits.DOCUMENT_BYTES_MAX:
                text = f"{compiled.key} is {size} bytes when compiled; the most is {limits.DOCUMENT_BYTES_MAX}"
                raise Refusal(f"{text}: move files into its artifact", 422)
        if len(self._records.keys() | seen.keys()) > limits.RESOURCES_MAX:
            raise Refusal(f"this hub holds {limits.RESOURCES_MAX} resources, its most: delete some first")
        services = sum(1 for key in self._live.keys() | seen.keys() if key.startswith("service/"))
        if services > limits.SERVICES_MAX:
            raise Refusal(f"{services} services: an agent runs {limits.SERVICES_MAX} at most; delete some first", 422)

    def compare(self, compiled: Compiled) -> str:
        """Return `created`, `changed` or `unchanged`."""
        live = self._live.get(compiled.key)
        if live is None:
            return "created"
        return "unchanged" if bytes(live.record.spec) == _canonical(compiled.spec) else "changed"

    def preview(self, compiled: Compiled, held_by: Callable[[str], bool]) -> list[str]:
        """Return where a document would be placed; changes nothing."""
        chosen = selector.parse(compiled.selector)
        if compiled.count is None:
            return [node.name for node in self._registry if placement.may_hold(node, chosen, held_by(node.name))]
        live = self._live.get(compiled.key)
        holders = live.record.nodes if live is not None else []
        return placement.choose(compiled.key, chosen, compiled.count, self._registry, holders, self._is_online)

    def put(self, compiled: Compiled, who: str, now: Now, fx: Effects) -> Resource:
        """Store a document that was created or changed, with the next generation and its placement."""
        before = self._records.get(compiled.key)
        record = Resource(
            kind=compiled.kind,
            name=compiled.name,
            generation=before.generation + 1 if before is not None else 1,
            changed_ms=int(now.wall * 1000),
            by=who,
            spec=msgspec.Raw(_canonical(compiled.spec)),
            selector=compiled.selector,
            count=compiled.count,
            document=msgspec.Raw(documents.encode(compiled.document)),
            nodes=before.nodes if before is not None and compiled.count is not None else [],
        )
        self._store(record, fx)
        self._settle(self._live[record.key], fx)
        return self._live[record.key].record

    def delete(self, kind: str, name: str, who: str, now: Now, fx: Effects) -> Resource:
        """Delete a resource; its counter stays. Raises Refusal (404)."""
        record = self.get(kind, name)
        generation = record.generation + 1
        gone = Resource(
            kind=kind, name=name, generation=generation, changed_ms=int(now.wall * 1000), by=who, deleted=True
        )
        self._store(gone, fx)
        return record

    def settle(self, node: Node, fx: Effects) -> list[str]:
        """Place again what is counted, because `node` changed; return the names of the nodes it concerns."""
        touched: dict[str, None] = {}
        for live in list(self._live.values()):
            if self._concerns(live, node):
                touched.update(dict.fromkeys(self._settle(live, fx)))
        return list(touched)

    @staticmethod
    def _concerns(live: _Live, node: Node) -> bool:
        """A holder that may no longer hold it, or a newcomer for a free place: else nothing can move."""
        record = live.record
        if record.count is None:
            return False
        has_it = node.name in record.nodes
        return has_it != placement.may_hold(node, live.selector, has_it) and (
            has_it or len(record.nodes) < record.count
        )

    def _settle(self, live: _Live, fx: Effects) -> list[str]:
        record = live.record
        if record.count is None:
            return []
        chosen = placement.choose(
            record.key, live.selector, record.count, self._registry, record.nodes, self._is_online
        )
        if chosen == record.nodes:
            return []
        self._store(msgspec.structs.replace(record, nodes=chosen), fx)
        return sorted(set(chosen) ^ set(record.nodes))

    def _store(self, record: Resource, fx: Effects) -> None:
        self._records[record.key] = record
        if record.deleted:
            self._live.pop(record.key, None)
        else:
            self._live[record.key] = _Live(record)
        fx.store.append(Put(SPACE, record.key, msgspec.json.encode(record)))


def artifact_of(document: documents.AnyDocument) -> str:
    """Return the digest of the artifact a document needs, or ""."""
    match document:
        case documents.Assignment():
            return document.process.artifact
        case documents.Workflow():
            return document.artifact
        case _:
            return ""


def _canonical(spec: dict[str, Any]) -> bytes:
    return msgspec.json.encode(cast("object", spec), order="deterministic")
