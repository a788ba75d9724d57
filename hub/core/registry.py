"""Who belongs to the fleet: one record for each node that ever enrolled, by name and by key.

A record is never deleted: a name is never reused by another key, and a revoked key never comes back under another name
(INVARIANTS C5). Labels are the device's own at enrollment, overlaid by the token's and then changed by operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from protocol import ids, limits, selector
from protocol.effects import Effects, Now, Put
from protocol.errors import Refused
from protocol.snapshot import Snapshot

SPACE = "node"


class Refusal(Refused):
    """A request turned down: `status` is the HTTP status code that says what kind of no it is."""

    def __init__(self, text: str, status: int = 409) -> None:
        super().__init__(text)
        self.status = status


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a node that an operator must know of; `what` names its kind, one of a kind at a time."""

    what: str
    text: str
    since_ms: int


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node. `key` is the SHA-256 (hex) of its SubjectPublicKeyInfo; times are milliseconds of the hub's clock."""

    name: str
    key: str
    token: str
    enrolled_ms: int
    labels: dict[str, str] = {}
    facts: dict[str, str] = {}
    serial: str = ""
    until_ms: int = 0
    cordoned: bool = False
    drained: bool = False
    revoked_ms: int = 0
    revoked_reason: str = ""
    lodger: str = ""
    """The hub that it belonged to, and came from by a grant: asked nothing here until the hub above both says more."""
    moved: str = ""
    """The hub that it belongs to now: this one asks nothing of it any more."""
    reserved: str = ""
    """The token that whoever is to have this name shows; until then it has no key, and is asked by sticks alone."""
    kind: str = "agent"
    """`agent` or `hub`."""
    ca: str = ""
    """Of a hub: the SHA-256 of the key of its CA, whose certificate it renews here."""
    alarms: list[Alarm] = []

    def selectable(self) -> dict[str, str]:
        """Return what a selector sees: the labels, and the node's own name as `node`."""
        return {**self.labels, "node": self.name}


class Registry:
    """All nodes, in the order of their names' first enrollment. `path`: the ids from the root down to this hub, which
    none of them carries, for a peer is known by its id."""

    def __init__(self, snapshot: Snapshot, path: Sequence[str]) -> None:
        self.path = path
        decoder = msgspec.json.Decoder(Node)
        nodes = sorted(map(decoder.decode, snapshot.spaces.get(SPACE, {}).values()), key=_by_age)
        self._nodes = {node.name: node for node in nodes}
        self._by_key = {node.key: node.name for node in nodes}

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def find(self, name: str) -> Node | None:
        """Return the node called `name`, if there ever was one."""
        return self._nodes.get(name)

    def get(self, name: str) -> Node:
        """Return the node called `name`. Raises Refusal (404)."""
        node = self._nodes.get(name)
        if node is None:
            raise Refusal(f"there is no node {name[:80]!r}: see `skerry get nodes`", 404)
        return node

    def living(self, name: str, *, may_have_left: bool = False) -> Node:
        """Return the node called `name` if it is not revoked, and belongs here or `may_have_left`. Raises Refusal."""
        node = self.get(name)
        if node.revoked_ms:
            raise Refusal(f"{name} is revoked ({node.revoked_reason}): enroll the device anew under another name")
        if node.moved and not may_have_left:
            raise Refusal(f"{name} belongs to hub {node.moved} now: ask there, or at the hub above both")
        return node

    def owner(self, key: str) -> Node | None:
        """Return the node that `key` belongs to."""
        name = self._by_key.get(key)
        return None if name is None else self._nodes[name]

    def select(self, chosen: selector.Selector) -> list[Node]:
        """Return the nodes that are not revoked and match; an empty selector selects nobody (C7)."""
        return [node for node in self if not (node.revoked_ms or node.moved) and chosen.matches(node.selectable())]

    def put(self, node: Node, fx: Effects) -> None:
        """Store `node` as it is now."""
        self._nodes[node.name] = node
        self._by_key[node.key] = node.name
        fx.store.append(Put(SPACE, node.name, msgspec.json.encode(node)))

    def gate(self, name: str, key: str, role: str = "") -> str:
        """Return why a connection of `name` with `key` is turned away, or "" when it may come in (C4, C5, C8).

        `role`: what its certificate says; empty: that was looked at before.
        """
        node = self._nodes.get(name)
        if node is None:
            return f"{name} is not enrolled at this hub"
        if node.key != key:
            return f"{name} is enrolled with another key"
        if role and (role == "hub") != (node.kind == "hub"):
            return f"{name} is enrolled as {node.kind}, and came with the certificate of a {role}"
        return f"{name} is revoked: {node.revoked_reason}" if node.revoked_ms else ""

    def has_expired(self, name: str, now_ms: float) -> bool:
        """Tell whether the certificate that a child hub's CA got here is past its end; an agent's own shows that."""
        node = self._nodes[name]
        return node.kind == "hub" and 0 < node.until_ms < now_ms

    def has_alarm(self, name: str, what: str) -> bool:
        """Tell whether an alarm of this kind stands."""
        return any(alarm.what == what for alarm in self._nodes[name].alarms)

    def alarm_text(self, name: str, what: str) -> str:
        """Return the text of an alarm of this kind; empty when there is none."""
        return next((alarm.text for alarm in self._nodes[name].alarms if alarm.what == what), "")

    def calm(self, name: str, what: str, fx: Effects) -> None:
        """End an alarm whose cause is gone; harmless when there is none."""
        if self.has_alarm(name, what):
            node = self._nodes[name]
            rest = [alarm for alarm in node.alarms if alarm.what != what]
            self.put(msgspec.structs.replace(node, alarms=rest), fx)

    def alarm(self, name: str, what: str, text: str, now: Now, fx: Effects) -> None:
        """Raise an alarm on a node; one of the same kind is replaced and keeps its date."""
        node = self._nodes[name]
        since = next((alarm.since_ms for alarm in node.alarms if alarm.what == what), int(now.wall * 1000))
        others = [alarm for alarm in node.alarms if alarm.what != what][-(limits.ALARMS_KEPT_MAX - 1) :]
        raised = [*others, Alarm(what=what, text=text, since_ms=since)]
        if raised != node.alarms:
            self.put(msgspec.structs.replace(node, alarms=raised), fx)


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return `labels` if they obey the grammar and the bounds. Raises Refusal (422)."""
    if len(labels) > limits.LABELS_MAX:
        raise Refusal(f"{len(labels)} labels: at most {limits.LABELS_MAX}", 422)
    for key, value in labels.items():
        if not selector.is_label_key(key) or key == "node":
            raise Refusal(f"label {key[:80]!r}: a key is {selector.KEY_RULE}, and not `node`, which is the name", 422)
        if not selector.is_label_value(value):
            raise Refusal(f"label {key}={value[:80]!r}: a value is {selector.VALUE_RULE}", 422)
    return labels


def check_name(name: str) -> str:
    """Return `name` if it can name a node. Raises Refusal (422)."""
    if not ids.is_name(name):
        raise Refusal(f"{name[:80]!r} cannot name a node: write {ids.NAME_RULE}", 422)
    return name


def _by_age(node: Node) -> tuple[int, str]:
    return node.enrolled_ms, node.name
