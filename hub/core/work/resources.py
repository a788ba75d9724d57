"""What operators declared, here or at a hub above: services and workflows, each with the document it became.

A resource is stored as it was written AND as it was compiled, so that an upgrade of the hub never changes a digest and
restarts a fleet. `generation` counts its changes at this hub and survives delete and recreate (INVARIANTS A10): a
deleted resource leaves its counter behind. Of many deleted ones the lowest counters become one floor, from which every
name that is not known counts on: no name ever has a generation twice. What is counted is placed once and remembered: on
this hub's own nodes, and as shares of the regions below it; together they are what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from hub.core import placement
from hub.core.down import shares
from hub.core.registry import Node, Refusal, Registry
from hub.core.work.declared import POLICY, Compiled, Live, Origin, Resource, artifacts_of, canonical
from hub.core.work.rooms import Room
from protocol import documents, limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE, FLOOR = "resource", "floor"


class Resources:
    """All resources by key, in the order they were first declared."""

    def __init__(self, snapshot: Snapshot, registry: Registry, is_online: Callable[[str], bool]) -> None:
        decoder = msgspec.json.Decoder(Resource)
        records = [decoder.decode(raw) for _, raw in sorted(snapshot.spaces.get(SPACE, {}).items())]
        self._hub = snapshot.node
        self._records = {record.key: record for record in records}
        self._live = {record.key: Live(record) for record in records if not record.deleted}
        self._floor = int(snapshot.spaces.get(FLOOR, {}).get(SPACE, b"0"))
        self._registry = registry
        self._is_online = is_online
        self.parked: Callable[[str], Mapping[str, int]] = lambda key: {}
        """Children whose copies of a resource do not count for now, with how many each has (hub.core.failover)."""
        self.withheld: Callable[[str, str], bool] = lambda key, child: False
        """Whether a child is not yet to have a resource that is placed on it (hub.core.upgrade)."""
        self.room_in: Callable[[str, Live], Room] = lambda region, live: Room()
        self.changed: Callable[[str], None] = lambda key: None
        """Told of each resource that is not what it was."""

    # -------------------------------------------------------------------------------------------- reading

    def records(self, kind: str = "") -> list[Resource]:
        """Return the resources of `kind` (all when empty) that are not deleted, by key."""
        return [live.record for _, live in sorted(self._live.items()) if kind in ("", live.record.kind)]

    def find(self, key: str) -> Resource | None:
        """Return the resource of `key` that is not deleted, if there is one."""
        live = self._live.get(key)
        return None if live is None else live.record

    def get(self, kind: str, name: str) -> Resource:
        """Return one resource. Raises Refusal (404)."""
        record = self.find(f"{kind}/{name}")
        if record is None:
            raise Refusal(f"there is no {kind[:20]} {name[:80]!r}: see `skerry get {kind[:20]}s`", 404)
        return record

    def generation(self, key: str) -> int:
        """Return how often a resource was changed at this hub; of one that is not known what its first change counts on
        from, mostly 0."""
        record = self._records.get(key)
        return self._floor if record is None else record.generation

    def document(self, key: str) -> tuple[str, bytes, str]:
        """Return (document id, canonical bytes, digest) of a resource that is not deleted."""
        live = self._live[key]
        return live.document_id, live.raw, live.digest

    def compiled(self, key: str) -> documents.AnyDocument | None:
        """Return the agent's document of a resource that is not deleted; None for what is for hubs only."""
        return self._live[key].document

    def placed_on(self, key: str, held_by: Callable[[str], bool]) -> list[str]:
        """Return the names of this hub's own nodes that a resource is placed on; `held_by`: it was there before."""
        live = self._live[key]
        if live.record.count is not None:
            return live.record.nodes
        is_placed = self.placing(key, held_by)
        return [node.name for node in self._registry if is_placed(node.name)]

    def placing(self, key: str, held_by: Callable[[str], bool]) -> Callable[[str], bool]:
        """Return the question whether a resource is placed on an own node, by its name; `held_by` as above."""
        live = self._live[key]
        if live.record.count is not None:
            return frozenset(live.record.nodes).__contains__
        if live.regions is not None or live.document is None:
            return lambda node: False
        return lambda node: placement.may_hold(self._registry.get(node), live.selector, held_by(node))

    def regions_of(self, key: str, held_by: Callable[[str], bool]) -> dict[str, int | None]:
        """Return how many copies each region is asked for; None: on all nodes that match there."""
        live = self._live[key]
        if live.record.count is not None:
            return dict(live.record.shares)
        if not live.is_for_regions:
            return {}
        able = [node.name for node in self._registry if placement.may_take(node, live.regions, held_by(node.name))]
        return dict.fromkeys(able)

    def children_of(self, key: str, held_by: Callable[[str], bool]) -> list[str]:
        """Return the names of all children whose manifests a resource is part of."""
        return [*dict.fromkeys([*self.placed_on(key, held_by), *self.regions_of(key, held_by), *self.parked(key)])]

    def wanted(self, node: str, had: list[str]) -> list[str]:
        """Return the keys of the resources that belong to the child `node`, which had `had` before."""
        record, held = self._registry.get(node), frozenset(had)
        return [
            key
            for key, live in self._live.items()
            if (_belongs(live, record, key in held) or self._stays(live, node)) and not self.withheld(key, node)
        ]

    def _stays(self, live: Live, node: str) -> bool:
        return node in self.parked(live.record.key) and self.may_hold(live.record.key, node)

    def may_hold(self, key: str, node: str) -> bool:
        """Tell whether the child `node`, which has a resource, may keep it."""
        live, known = self._live[key], self._registry.get(node)
        if known.kind == "hub":
            return placement.may_take(known, live.regions, True)
        return live.regions is None and placement.may_hold(known, live.selector, True)

    def items(self, node: str, keys: list[str]) -> dict[str, bytes]:
        """Return the documents of `keys` for the child `node`: in the agent's language, or for a hub in ours."""
        if self._registry.get(node).kind == "hub":
            return dict(self._live[key].delegation(self._hub, self._share(key, node)) for key in keys)
        return {self._live[key].document_id: self._live[key].raw for key in keys}

    def _share(self, key: str, node: str) -> int | None:
        return self.parked(key).get(node, self._live[key].record.shares.get(node))

    def policies(self) -> list[Live]:
        """Return the policies that are in force here, by name: inherited, or of this hub and for no region alone."""
        found = [live for _, live in sorted(self._live.items()) if live.record.kind == POLICY]
        return [live for live in found if live.record.origin is not None or live.regions is None]

    def living(self, keys: list[str]) -> list[str]:
        """Return those of `keys` that are not deleted."""
        return [key for key in keys if key in self._live]

    def artifacts_of(self, keys: list[str]) -> list[str]:
        """Return the digests of the artifacts that these resources need."""
        found = (self._live[key].document for key in keys if key in self._live)
        return [digest for document in found for digest in artifacts_of(document)]

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
            size = max(len(compiled.raw()), len(canonical(compiled.spec)) + limits.DELEGATION_BYTES)
            if size > limits.DOCUMENT_BYTES_MAX:
                text = f"{compiled.key} is {size} bytes as it is handed on; the most is {limits.DOCUMENT_BYTES_MAX}"
                raise Refusal(f"{text}: move files into its artifact", 422)
        if len(self._live.keys() | seen.keys()) > limits.RESOURCES_MAX:
            raise Refusal(f"this hub holds {limits.RESOURCES_MAX} resources, its most: delete some first")
        services = sum(1 for key in self._live.keys() | seen.keys() if key.startswith("service/"))
        if services > limits.SERVICES_MAX:
            raise Refusal(f"{services} services: an agent runs {limits.SERVICES_MAX} at most; delete some first", 422)

    def compare(self, compiled: Compiled) -> str:
        """Return `created`, `changed` or `unchanged`."""
        live = self._live.get(compiled.key)
        if live is None:
            return "created"
        return "unchanged" if bytes(live.record.spec) == canonical(compiled.spec) else "changed"

    def preview(self, compiled: Compiled, held_by: Callable[[str], bool]) -> tuple[list[str], dict[str, int | None]]:
        """Return where a document would be placed, and which regions it would be handed to; changes nothing."""
        live = Live(self._record(compiled, "", 0, None))
        if live.record.count is not None:
            live = Live(self._settled(live))
            return live.record.nodes, dict(live.record.shares)
        asked = {node.name: node for node in self._registry if _belongs(live, node, held_by(node.name))}
        return [name for name in asked if asked[name].kind != "hub"], dict.fromkeys(
            name for name in asked if asked[name].kind == "hub"
        )

    def put(self, compiled: Compiled, who: str, now: Now, fx: Effects, origin: Origin | None = None) -> Resource:
        """Store a document that was created or changed, with the next generation and its placement.

        `origin`: where it was declared, if not here.
        """
        self._store(self._settled(Live(self._record(compiled, who, int(now.wall * 1000), origin))), fx)
        return self._live[compiled.key].record

    def _record(self, compiled: Compiled, who: str, now_ms: int, origin: Origin | None) -> Resource:
        before, place = self._records.get(compiled.key), compiled.place
        keeps = before is not None and not before.deleted and place.count is not None
        return Resource(
            kind=compiled.kind,
            name=compiled.name,
            generation=self.generation(compiled.key) + 1,
            changed_ms=now_ms,
            by=who,
            spec=msgspec.Raw(canonical(compiled.spec)),
            selector=place.selector,
            count=place.count,
            per_region=place.per_region,
            regions=place.regions,
            spread=list(place.spread),
            document=msgspec.Raw(compiled.raw()),
            disconnect=compiled.disconnect,
            nodes=before.nodes if before is not None and keeps else [],
            shares=before.shares if before is not None and keeps else {},
            origin=origin,
        )

    def delete(self, kind: str, name: str, who: str, now: Now, fx: Effects) -> Resource:
        """Delete a resource; its counter stays, by itself or in the floor. Raises Refusal (404)."""
        record = self.get(kind, name)
        generation = record.generation + 1
        gone = Resource(
            kind=kind, name=name, generation=generation, changed_ms=int(now.wall * 1000), by=who, deleted=True
        )
        self._store(gone, fx)
        if len(self._records) - len(self._live) > limits.RESOURCES_DELETED_MAX:
            self._forget_lowest(fx)
        return record

    def _forget_lowest(self, fx: Effects) -> None:
        low = min((one for one in self._records.values() if one.deleted), key=lambda one: (one.generation, one.key))
        del self._records[low.key]
        self._floor = max(self._floor, low.generation)
        fx.store += [Delete(SPACE, low.key), Put(FLOOR, SPACE, str(self._floor).encode())]

    # -------------------------------------------------------------------------------------------- placing

    def settle(self, node: Node, fx: Effects) -> list[str]:
        """Place again what is counted, because `node` changed; return the names of the children it concerns."""
        touched: dict[str, None] = {}
        for live in list(self._live.values()):
            if _concerns(live, node):
                touched.update(dict.fromkeys(self._settle(live, fx)))
        return list(touched)

    def resettle(self, key: str, fx: Effects) -> list[str]:
        """Place a resource again, if it is still there; return the names of the children it concerns."""
        live = self._live.get(key)
        return [] if live is None else self._settle(live, fx)

    def _settle(self, live: Live, fx: Effects) -> list[str]:
        return self.place(self._settled(live), fx)

    def place(self, after: Resource, fx: Effects) -> list[str]:
        """Store where a resource is from now on; return the names of the children it concerns."""
        before = self._live[after.key].record
        if after == before:
            return []
        self._store(after, fx)
        moved = set(before.nodes) ^ set(after.nodes)
        return sorted(moved | {name for name, _ in before.shares.items() ^ after.shares.items()})

    def moved(
        self, key: str, *, out: Collection[str], back: Iterable[str] = (), less: Mapping[str, int] | None = None
    ) -> Resource:
        """Return where a resource is to be when none of `out` counts; changes nothing.

        `back`: parked children that count again, before all others. `less`: who has so many copies fewer, first of all.
        """
        record, parked, gone = self._live[key].record, self.parked(key), less or {}
        nodes = [name for name in record.nodes if name not in out and name not in gone]
        shares_now = {name: n - gone.get(name, 0) for name, n in record.shares.items() if name not in out}
        for name in back:
            if self._registry.get(name).kind == "hub":
                shares_now[name] = shares_now.get(name, 0) + parked.get(name, 0)
            else:
                nodes.append(name)
        held = msgspec.structs.replace(record, nodes=nodes, shares={name: n for name, n in shares_now.items() if n > 0})
        return self._settled(Live(held), out)

    def _settled(self, live: Live, out: Collection[str] | None = None) -> Resource:
        """Return the record of `live` with its nodes and shares as they are to be now. `out`: who does not count."""
        record = live.record
        if record.count is None:
            return record
        out = self.parked(record.key) if out is None else out
        children = [node for node in self._registry if node.name not in out]
        wanted = self._shares(live, children)
        nodes = placement.choose(
            record.key,
            live.selector,
            wanted.pop(shares.OWN, 0),
            children,
            record.nodes,
            self._is_online,
            record.spread,
        )
        return msgspec.structs.replace(record, nodes=nodes, shares=wanted)

    def _shares(self, live: Live, children: list[Node]) -> dict[str, int]:
        record, count = live.record, live.record.count or 0
        places = self._places(live, children)
        if record.per_region:
            return {place.name: count for place in places if place.room != 0}
        return shares.split(record.key, count, places)

    def _places(self, live: Live, children: list[Node]) -> list[shares.Place]:
        """Return the places that may have a part: regions, and this hub's own nodes where no regions are named."""
        record, found = live.record, list[shares.Place]()
        own = [node for node in children if placement.may_hold(node, live.selector, node.name in record.nodes)]
        if own and live.regions is None:
            key = placement.first_place(record.spread)
            found.append(
                shares.Place(
                    name=shares.OWN,
                    room=len(own),
                    has=sum(node.name in record.nodes for node in own),
                    online=any(self._is_online(node.name) for node in own),
                    weight=len({node.labels.get(key, "") for node in own}) if key else 1,
                )
            )
        if live.selector.terms:
            found += [self._region(live, node) for node in children if self._is_open(live, node)]
        return found

    def _is_open(self, live: Live, node: Node) -> bool:
        return placement.may_take(node, live.regions, node.name in live.record.shares)

    def _region(self, live: Live, node: Node) -> shares.Place:
        room, has = self.room_in(node.name, live), live.record.shares.get(node.name, 0)
        most = has if node.cordoned else room.nodes
        return shares.Place(
            name=node.name, room=most, has=has, online=self._is_online(node.name), weight=max(1, room.places)
        )

    def _store(self, record: Resource, fx: Effects) -> None:
        self._records[record.key] = record
        if record.deleted:
            self._live.pop(record.key, None)
        else:
            self._live[record.key] = Live(record)
        self.changed(record.key)
        fx.store.append(Put(SPACE, record.key, msgspec.json.encode(record)))


def _belongs(live: Live, node: Node, has_it: bool) -> bool:
    if live.record.count is not None:
        return node.name in live.record.nodes or node.name in live.record.shares
    if node.kind == "hub":
        return live.is_for_regions and placement.may_take(node, live.regions, has_it)
    return live.regions is None and placement.may_hold(node, live.selector, has_it)


def _concerns(live: Live, node: Node) -> bool:
    """A holder that may no longer hold it, or a newcomer for a free place: else nothing can move."""
    record = live.record
    if record.count is None:
        return False
    if node.kind == "hub":
        has_it = node.name in record.shares
        is_able = placement.may_take(node, live.regions, has_it) and bool(live.selector.terms)
    else:
        has_it = node.name in record.nodes
        is_able = live.regions is None and placement.may_hold(node, live.selector, has_it)
    taken = len(record.nodes) if record.per_region and node.kind != "hub" else 0
    if not record.per_region:
        taken = len(record.nodes) + sum(record.shares.values())
    return has_it != is_able and (has_it or taken < record.count)
