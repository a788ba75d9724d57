"""A stick between the two ends of tests.support.link_world: what is carried is bytes, and may come late or again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from protocol import codec, messages
from protocol.bundle import head
from protocol.effects import Effects
from protocol.link import events
from tests.support.link_world import CHILD, PARENT, World


@dataclass(frozen=True)
class Bundle:
    """`bundle.json` and the parts by name."""

    raw: bytes
    parts: dict[str, bytes]


def down(world: World) -> Bundle:
    """Export for the device. Raises Refused."""
    couriers = world.parent.couriers
    made = couriers.down(CHILD, world.now)
    bodies = {name: couriers.part(CHILD, name) for name in made.documents()}
    parts = {name: body for name, body in bodies.items() if body is not None}
    sizes = {name: len(body) for name, body in parts.items()}
    return Bundle(couriers.sign(msgspec.structs.replace(made, parts=sizes)), parts)


def import_down(world: World, bundle: Bundle) -> list[events.ChildEvent]:
    """Import at the device, as its core does. Raises TrustError, RemoteProtocolError, TooLarge."""
    made, body, proof = head.read(bundle.raw, head.Down)
    world.signer.learn(made.chain, PARENT)
    covered = head.covered("down", made.hub, made.node, head.hash_of(body), proof.key)
    world.signer.check(covered, proof.signature, proof.key, PARENT)
    fx = Effects()
    documents = [bundle.parts[name] for name in made.documents() if name in bundle.parts]
    told = world.child.carried(made, documents, world.now, fx)
    world.perform_child(fx, told)
    return told


def up(world: World) -> Bundle:
    """Export at the device."""
    fx = Effects()
    hello, status, plan = world.child.carry(world.now, fx)
    world.perform_child(fx, [])
    parts: dict[str, bytes] = {}
    for send in plan:
        message = world.disk.read(send)
        assert message is not None
        raw = codec.encode(message)
        parts[hashlib.sha256(raw).hexdigest()] = raw
    made = head.Up(
        hub=PARENT,
        node=CHILD,
        time_ms=0,
        parts={name: len(raw) for name, raw in parts.items()},
        hello=hello,
        status=status,
        rows=list(parts),
    )
    body = head.encode(made)
    proof = world.signer.sign_node(head.covered("up", PARENT, CHILD, head.hash_of(body), ""))
    return Bundle(head.join(body, proof), parts)


def import_up(world: World, bundle: Bundle) -> tuple[bool, list[events.ParentEvent]]:
    """Import at the hub, as its core does. Raises TrustError, Refused, RemoteProtocolError, TooLarge."""
    couriers = world.parent.couriers
    made = couriers.check(bundle.raw)
    fx = Effects()
    is_newest, told = couriers.begin(made, world.now, fx)
    world.perform_parent(fx, told)
    for name in made.rows:
        fx = Effects()
        message = codec.decode(bundle.parts[name], codec.UP)
        assert isinstance(message, messages.Entries)
        _, more = couriers.rows(CHILD, message, fx)
        world.perform_parent(fx, more)
        told = [*told, *more]
    return is_newest, told
