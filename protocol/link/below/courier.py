"""A parent's children by bundle: the rules of their links, for words that come without a session (decision 0050).

What a bundle brings is as old as it is. Its rows meet the cursor, as any rows do. Its Hello and its Status count only
when they are the newest word of the child: of its newest session or a later one, and later than those of any bundle
before; so a late bundle changes no epoch (A9) and no state (A12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from protocol import effects, messages
from protocol.bundle import head
from protocol.bundle.head import Down, Proof, Up
from protocol.effects import Effects, Now
from protocol.errors import Refused, RemoteProtocolError, TrustError
from protocol.link import events
from protocol.link.below.child import CLONE, STATUS, Child
from protocol.link.table import ParentState

Events = list[events.ParentEvent]


class Couriers:
    """The children of one parent, by bundle. All of them are known to `children`; None is added here."""

    def __init__(self, children: Mapping[str, Child], node: str, signer: events.Signer) -> None:
        self._children, self._node, self._signer = children, node, signer
        self.key_of: Callable[[str], str] = lambda node: ""

    def allow(self, node: str) -> None:
        """Raise Refused when nothing may be sent to `node`."""
        if (child := self._children[node]).record.quarantined:
            raise Refused(f"{node} is quarantined: {child.record.quarantined}")
        if child.asked.blocked or child.asked.waits:
            said = f"`skerry node accept {node}` or `skerry hub accept-restore` says so"
            why = f"{node} holds more than this hub asked for, or this hub was restored"
            raise Refused(f"{why}: nothing is sent to it before {said}")

    def down(self, node: str, now: Now) -> Down:
        """Return what a bundle for `node` says, but for its parts. Raises as `allow`."""
        self.allow(node)
        child = self._children[node]
        return Down(
            hub=self._node,
            node=node,
            time_ms=int(now.wall * 1000),
            session=max(child.record.session, child.record.carried[0]),
            seen=child.record.carried,
            cursors=child.incoming.given(dict.fromkeys(child.incoming.cursors, 0)),
            desired=child.asked.whole(),
            chain=self._signer.chain,
        )

    def sign(self, down: Down) -> bytes:
        """Return `bundle.json` of `down`."""
        body, key = head.encode(down), self._signer.key
        signature = self._signer.sign(head.covered("down", down.hub, down.node, head.hash_of(body), key))
        return head.join(body, Proof(key=key, signature=signature))

    def part(self, node: str, name: str) -> bytes | None:
        """Return the document that is the part `name` of a bundle for `node`; None when it is none that is asked."""
        return self._children[node].asked.body(head.digest_of(name))

    # -------------------------------------------------------------------------------------------- from a child

    def check(self, raw: bytes) -> Up:
        """Return the head of a bundle that one of our children made. Raises TrustError and as head.read."""
        up, body, proof = head.read(raw, Up)
        if up.hub != self._node:
            raise TrustError(
                f"the bundle is of {up.node} for the hub {up.hub}: this one is {self._node}; take it to {up.hub}"
            )
        said = (up.hello.node, up.status.session)
        if said != (up.node, up.hello.session) or up.hello.session < 1 or not up.hello.nonce:
            raise RemoteProtocolError(f"the bundle of {up.node} contradicts itself: export it again there")
        if up.node not in self._children:
            raise TrustError(f"the bundle is of {up.node}, which is not enrolled at this hub: see `skerry get nodes`")
        child = self._children[up.node]
        self._signer.check_node(
            up.node, self.key_of(up.node), head.covered("up", up.hub, up.node, head.hash_of(body), proof.key), proof
        )
        if child.state is ParentState.REVOKED:
            raise TrustError(f"{up.node} is revoked ({child.record.revoked}): nothing of it is taken any more")
        if child.record.adopted or child.record.left:
            raise Refused(f"{up.node} is on its way between two hubs: it has to reach one of them by its link first")
        return up

    def begin(self, up: Up, now: Now, fx: Effects) -> tuple[bool, Events]:
        """Take the head of a checked bundle; tell whether it is the newest word of its child.

        Raises Refused for a quarantined child, RemoteProtocolError when a head makes no sense.
        """
        child, hello, status = self._children[up.node], up.hello, up.status
        record = child.record
        told = self._clone(child, hello, now, fx)
        if child.state is ParentState.QUARANTINED:
            if told:
                return False, told
            raise Refused(f"{up.node} is quarantined: {record.quarantined}")
        mark = (status.session, status.count)
        if mark <= record.carried or hello.session < record.session:
            return False, []
        streams = {name: one for name, one in hello.streams.items() if _is_news(child, name, one)}
        told = child.incoming.greet(streams, fx)
        child.record = msgspec.structs.replace(child.record, carried=mark, carrier=hello.nonce)
        child.save(fx)
        before = child.status
        if child.greeted or (before is not None and mark <= (before.session, before.count)):
            return True, told
        child.status, child.heads, child.version = status, status.heads, hello.version
        child.last_contact_wall = now.wall
        fx.store.append(effects.Put(STATUS, up.node, msgspec.json.encode(status)))
        told.append(events.ChildCarried(node=up.node, hello=hello, status=status))
        if not child.asked.note_held(status.held):
            told.append(child.asked.restored())
        return True, told

    def _clone(self, child: Child, hello: messages.Hello, now: Now, fx: Effects) -> Events:
        """The same counter with another nonce: one of two devices (A13)."""
        record, was_connected, was_here = child.record, child.greeted, child.greeted or child.quiet
        known = {record.session: record.nonce} | {record.carried[0]: record.carrier}
        if known.get(hello.session, hello.nonce) == hello.nonce or not child.quarantine(fx):
            return []
        told: Events = [events.CloneSeen(node=child.node, session=hello.session)]
        if was_here:
            child.asked.forget_session()
            child.since_wall, child.postponed = now.wall, None
            told.append(events.ChildAway(node=child.node, reason=CLONE))
        if was_connected:
            told.append(events.CloseAsked(node=child.node, connection=child.connection, reason=CLONE))
        return told

    def rows(self, node: str, message: messages.Entries, fx: Effects) -> tuple[messages.EntriesAck | None, Events]:
        """Take one part's rows, by the rules of the cursor; the ack says where their stream stands; None: fenced.
        Raises Refused for who was revoked or quarantined since the bundle was begun (C5)."""
        child = self._children[node]
        if reason := child.record.revoked or child.record.quarantined:
            raise Refused(f"{node} was turned away since its bundle was begun ({reason}): the rest of it is not taken")
        return child.incoming.take(message, fx)


def _is_news(child: Child, stream: str, given: messages.StreamHead) -> bool:
    """Tell whether a head is of an epoch that is new here: of one that is known, rows may have come since."""
    held = child.incoming.cursors.get(stream)
    if held is None:
        return True
    return given.epoch != held.epoch and all(one.epoch != given.epoch for one in held.former)
