"""What its owner declares is in force at a region, or stands behind an override of that region's operators: no third.

Demands, of every hub below another: while an override stands, what is in force in its place changes only when the
override begins anew or ends in the same transaction; an override ends with an entry in the audit that says so; and of
the disks that are read after Calm: what was delegated and not refused is in force as its owner declared it, unless an
override stands there, which has an author, a reason and an end.

Cannot see: what its operators meant; hubs whose disk came from elsewhere, until their records are written anew.
"""

from __future__ import annotations

import msgspec

from hub.core.down import delegated, overrides
from hub.core.work import declared, resources
from protocol import effects
from tests.checkers import base
from tests.checkers.history import Disk, Stored

_ENDED = b'"override.ended"'

_decode_resource = msgspec.json.Decoder(declared.Resource).decode
_decode_given = msgspec.json.Decoder(delegated.Given).decode
_decode_override = msgspec.json.Decoder(overrides.Override).decode


class OwnerWins(base.Checker):
    """See the module."""

    rule = "owner wins"

    def watch(self) -> None:
        """Ask for what is declared, overridden and found at the end."""
        self.on(Stored, self._stored)
        self.on(Disk, self._disk)

    def _stored(self, fact: Stored) -> None:
        if self.machine(fact).role != "hub":
            return
        touched = {
            op.key for op in fact.ops if isinstance(op, effects.Put | effects.Delete) and op.space == overrides.SPACE
        }
        for op in fact.ops:
            if isinstance(op, effects.Put) and op.space == resources.SPACE and op.key not in touched:
                self._kept(fact, op)
            elif isinstance(op, effects.Delete) and op.space == overrides.SPACE:
                self._ended(fact, op)

    def _kept(self, fact: Stored, op: effects.Put) -> None:
        hub = self.machine(fact)
        held, before = hub.get(overrides.SPACE, op.key), hub.get(op.space, op.key)
        if held is None or before is None or not hub.is_sure(overrides.SPACE, op.key):
            return
        old, now = _decode_resource(before), _decode_resource(op.value)
        same = bytes(old.spec) == bytes(now.spec) and not now.deleted
        by = _decode_override(held).by
        self.demand(same, f"{fact.node} puts another {op.key} into force, though {by} has overridden it there")

    def _ended(self, fact: Stored, op: effects.Delete) -> None:
        key = f'"{op.key}"'.encode()
        said = any(
            _ENDED in raw and key in raw for one in fact.ops if isinstance(one, effects.Rows) for _, raw, _ in one.rows
        )
        self.demand(said, f"an override of {op.key} at {fact.node} ends, and nothing on record says why")

    def _disk(self, fact: Disk) -> None:
        if self.machine(fact).role != "hub" or self.world.calm_at is None:
            return
        held = fact.spaces.get(overrides.SPACE, {})
        for key, raw in fact.spaces.get(delegated.SPACE, {}).items():
            given = _decode_given(raw)
            document = given.good if given.refused else given.document
            if document is None or key in held:
                continue
            stored = fact.spaces.get(resources.SPACE, {}).get(key)
            record = _decode_resource(stored) if stored is not None else None
            text = f"{document.owner} owns {key}"
            if record is None or record.deleted or record.origin is None:
                raise self.broken(f"{text}, and {fact.node} has something else in force, or nothing")
            same = bytes(record.spec) == bytes(document.spec) and record.origin.owner == document.owner
            self.demand(same, f"{text}, and {fact.node} has another version of it in force")
        for key, raw in held.items():
            one = _decode_override(raw)
            whole = one.by and one.reason and one.until_ms > one.since_ms and one.owner
            self.demand(bool(whole), f"the override of {key} at {fact.node} does not say by whom, why, or until when")
