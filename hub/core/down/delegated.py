"""What hubs above ask of this one: their operators' documents, compiled here and placed on what is below this hub.

The manifest is a level: what is absent from it is deleted (INVARIANTS A11). Documents are taken one by one: one that
cannot be followed is refused, with a condition that is shown above, and the last good one stays. The owner is the hub
where a document was declared, and its document counts: here it may be overridden for a time (hub.core.down.overrides),
not changed. A name that this hub's operators took first stays theirs; but nobody keeps a policy of a hub above out by
taking its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core import inputs
from hub.core.work import declared
from hub.core.work.given import PREFIX, Given, read, version
from protocol import documents, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.errors import Refused, SpecError
from protocol.snapshot import Snapshot
from protocol.trust import releases

if TYPE_CHECKING:
    from hub.core.hub import HubCore

SPACE = "given"


class Delegated:
    """All that was delegated to this hub, by key. Empty at a root."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        decoder = msgspec.json.Decoder(Given)
        self._given = {key: decoder.decode(raw) for key, raw in sorted(snapshot.spaces.get(SPACE, {}).items())}
        self._core = core

    # -------------------------------------------------------------------------------------------- reading

    def owner(self, key: str) -> str:
        """Return the path of the hub that owns what is in force here as `key`; empty: this hub, or nobody."""
        record = self._core.resources.find(key)
        return record.origin.owner if record is not None and record.origin is not None else ""

    def conditions(self) -> list[status.Condition]:
        """Return what hubs above must know: the documents that are not followed here, and why."""
        return [
            status.Condition(what="delegation-refused", text=f"{given.key}: {given.refused}", since_ms=given.since_ms)
            for given in self._given.values()
            if given.refused
        ]

    # -------------------------------------------------------------------------------------------- hearing

    def wanted(self, items: dict[str, bytes], now: Now, fx: Effects) -> None:
        """Take the whole of what the parent asks."""
        asked = {item.removeprefix(PREFIX): raw for item, raw in items.items() if item.startswith(PREFIX)}
        for key in [key for key in self._given if key not in asked]:
            self._withdraw(key, now, fx)
        for key, raw in sorted(asked.items(), key=lambda item: (not item[0].startswith("policy/"), item[0])):
            document, known = read(key, raw), self._given.get(key)
            if known is None or known.document != document:
                self._take(key, document, now, fx)
        self._core.recalls.wanted(items, now, fx)
        self._core.errands.wanted(items, now, fx)

    def restore(self, key: str, now: Now, fx: Effects) -> None:
        """What stood in the way of `key` is gone, an override or this hub's own of that name: follow the owner."""
        given = self._given.get(key)
        if given is not None and given.good is not None:
            self._follow(key, given.good, now, fx)
        if given is not None:
            self._take(key, given.document, now, fx)

    # -------------------------------------------------------------------------------------------- following

    def _take(self, key: str, document: documents.Delegation, now: Now, fx: Effects) -> None:
        refused, known = self._follow(key, document, now, fx), self._given.get(key)
        good = known and (known.good if known.refused else known.document) if refused else None
        self._put(Given(document=document, since_ms=int(now.wall * 1000), refused=refused, good=good), fx)
        said = {"owner": document.owner, "generation": document.generation, "share": document.share, "who": document.by}
        kind, core = "delegation.applied", self._core
        if refused:
            kind, said = "delegation.refused", said | {"reason": refused}
        elif key in core.overrides:
            kind, said = "delegation.waits", said | {"reason": core.overrides.text(key), "spec": version(document.spec)}
        core.streams.audit(kind, key, said, now, fx)
        fx.act.append(inputs.Notify(topic=f"resource/{key}"))

    def _follow(self, key: str, document: documents.Delegation, now: Now, fx: Effects) -> str:
        """Put a document into force here; return why not, or ""."""
        core = self._core
        record = core.resources.find(key)
        if not document.owner:
            return "it cannot be read here: is the hub above of another version?"
        if record is not None and record.origin is None and record.kind != declared.POLICY:
            return f"the name is taken by what {record.by} declared at {core.node}: rename or delete one of the two"
        try:
            compiled = self._compiled(key, document)
            core.resources.check([compiled])
            if compiled.policy is None:
                core.policies.check([compiled])
        except (Refused, SpecError) as error:
            return str(error)
        if record is not None and record.origin is None:
            said = {"who": record.by, "owner": document.owner, "spec": version(record.spec)}
            core.streams.audit("policy.displaced", key, said, now, fx)
        if key not in core.overrides:
            origin = declared.Origin(owner=document.owner, generation=document.generation)
            self.enforce(compiled, document.by, origin, now, fx)
        return ""

    def enforce(self, one: declared.Compiled, who: str, origin: declared.Origin | None, now: Now, fx: Effects) -> None:
        """Put a document into force: every child that it concerns, before or after, is asked anew."""
        core, holds = self._core, self._core.delegate.holds(one.key)
        before = core.resources.children_of(one.key, holds) if core.resources.find(one.key) is not None else []
        core.resources.put(one, who, now, fx, origin)
        core.rollouts.declared(one.key, now)
        core.policies.follow()
        for child in dict.fromkeys([*before, *core.resources.children_of(one.key, holds)]):
            core.delegate.mark(child)

    def _compiled(self, key: str, document: documents.Delegation) -> declared.Compiled:
        """Return a document with this hub's share. Raises SpecError, Refused."""
        compiled = declared.compiled(msgspec.json.decode(document.spec))
        if compiled.key != key:
            raise Refused(f"it was handed down as {key}, and says that it is {compiled.key}")
        place = msgspec.structs.replace(compiled.place, count=document.share, per_region=False, regions=None)
        return msgspec.structs.replace(compiled, place=place, document=releases.said(compiled.document, document.word))

    def _withdraw(self, key: str, now: Now, fx: Effects) -> None:
        """It is asked for no longer: it ends here too."""
        core, given = self._core, self._given.pop(key)
        fx.store.append(Delete(SPACE, key))
        core.overrides.end(key, f"{given.document.owner} asks for it no longer", now, fx)
        if self.owner(key):
            for child in core.resources.children_of(key, core.delegate.holds(key)):
                core.delegate.mark(child)
            core.resources.delete(given.document.kind, given.document.name, given.document.owner, now, fx)
            core.policies.follow()
        core.streams.audit("delegation.withdrawn", key, {"owner": given.document.owner}, now, fx)
        fx.act.append(inputs.Notify(topic=f"resource/{key}"))

    def _put(self, given: Given, fx: Effects) -> None:
        self._given[given.key] = given
        fx.store.append(Put(SPACE, given.key, msgspec.json.encode(given)))
