"""A broker that forges, replays and swaps: the test publishes on the real topics through a door without rules."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator

import aiomqtt
import msgspec
import pytest

from hub.core import inputs
from hub.shell.front_door import Verdict
from protocol import codec, messages, topics
from protocol.link.seal import ChildSeal
from protocol.trust.signing import Anchor
from tests.contract.world import HUB, Child, World, hello
from tests.support.door import WAIT_S

pytestmark = pytest.mark.mosquitto


class Hostile:
    """Sees everything and says whatever it likes."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._seen: list[tuple[str, bytes]] = []
        self._told = asyncio.Event()

    async def watch(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self._seen.append((message.topic.value, message.payload))
            self._told.set()

    async def caught(self, topic: str, index: int = 0) -> bytes:
        """The payload of the message number `index` on `topic`."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [payload for seen, payload in self._seen if seen == topic]) <= index:
                self._told.clear()
                await self._told.wait()
        return found[index]

    async def say(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload, qos=1)


@contextlib.asynccontextmanager
async def hostile(world: World) -> AsyncGenerator[Hostile]:
    async with aiomqtt.Client("127.0.0.1", world.back_door, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("skerry/#")
        broker = Hostile(client)
        watching = asyncio.ensure_future(broker.watch())
        yield broker
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def up(node: str, channel: str) -> str:
    return topics.up(HUB, node, channel)


def down(node: str, channel: str) -> str:
    return topics.down(HUB, node, channel)


def status(count: int) -> messages.Status:
    return messages.Status(
        session=1, count=count, held=messages.Held(), heads={}, time_ms=0, body=msgspec.Raw(b'{"a":1}')
    )


def question(text: str) -> messages.Ask:
    return messages.Ask(incarnation="i1", session=1, id=text, deadline_ms=0, what="logs")


async def refused_below(world: World, broker: Hostile, node: str, topic: str, payload: bytes) -> str:
    """Let the hub hear `payload`: it must be one Bad and nothing else."""
    before = len(world.inbox.all)
    await broker.say(topic, payload)
    await world.inbox.until(lambda: len(world.inbox.all) > before)
    bad = world.inbox.all[-1]
    assert isinstance(bad, inputs.Bad), bad
    assert bad.node == node
    assert len(world.inbox.all) == before + 1
    return bad.error


async def refused_above(world: World, broker: Hostile, child: Child, topic: str, payload: bytes) -> None:
    """Let the child hear `payload`: it must count it, and hear nothing but what the hub says next."""
    before, heard = child.link.refused, len(child.heard)
    await broker.say(topic, payload)
    world.door.send(child.node, question(f"after {payload[:8]!r}"))
    await child.until(lambda: len(child.heard) > heard)
    assert child.link.refused == before + 1
    assert isinstance(child.heard[-1], messages.Ask)
    assert len(child.heard) == heard + 1


async def test_what_the_broker_forges_is_refused_at_the_hub(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        await world.child("a1").greet(1)
        for channel, message in (("status", status(1)), ("hello", hello("a1", 5)), ("ctl", _bye(1))):
            bare = codec.encode(message)
            assert "without a proof" in await refused_below(world, broker, "a1", up("a1", channel), bare)
        guessed = codec.encode(status(1)) + b"\n" + msgspec.json.encode({"by": "session", "n": 9, "mac": bytes(32)})
        assert "altered" in await refused_below(world, broker, "a1", up("a1", "status"), guessed)
        assert await refused_below(world, broker, "a1", up("a1", "status"), b"junk\n{}")
        posing = _seal_of(world, "a2", "a1").seal(hello("a1", 5))
        assert "names node a2" in await refused_below(world, broker, "a1", up("a1", "hello"), posing)


async def test_what_the_broker_replays_is_refused_at_the_hub(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        child = world.child("a1")
        await child.greet(1)
        child.say(status(1))
        child.say(status(2))
        await world.inbox.wait(inputs.Got, 3)
        for channel, index in (("status", 0), ("status", 1), ("hello", 0)):
            payload = await broker.caught(up("a1", channel), index)
            assert "again" in await refused_below(world, broker, "a1", up("a1", channel), payload)
        child.say(status(3))
        await world.inbox.wait(inputs.Got, 4)


async def test_what_the_broker_swaps_is_refused_at_the_hub(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        one, other = world.child("a1"), world.child("a2")
        await one.greet(1)
        await other.greet(1)
        one.say(status(1))
        await world.inbox.wait(inputs.Got, 2, "a1")
        payload = await broker.caught(up("a1", "status"))
        await refused_below(world, broker, "a2", up("a2", "status"), payload)
        greeting = await broker.caught(up("a1", "hello"))
        assert "Hello of a1" in await refused_below(world, broker, "a2", up("a2", "hello"), greeting)
        altered = payload.replace(b'"count":1', b'"count":7')
        assert altered != payload
        assert "altered" in await refused_below(world, broker, "a1", up("a1", "status"), altered)
        reflected = await broker.caught(down("a1", "ctl"))
        await refused_below(world, broker, "a1", up("a1", "ctl"), reflected)


async def test_a_will_ends_only_the_session_it_was_signed_for(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        child = world.child("a1")
        await child.greet(1, "aa")
        child.link.cut()
        await world.inbox.wait(inputs.Closed)
        will = await broker.caught(up("a1", "ctl"))
        await child.end(1)
        await child.greet(2, "bb")
        await broker.say(up("a1", "ctl"), will)  # late: it changes nothing, and is nobody's fault
        forged = will.replace(b'"session":1', b'"session":2').replace(b'"aa"', b'"bb"')
        assert "signature" in await refused_below(world, broker, "a1", up("a1", "ctl"), forged)


async def test_what_the_broker_forges_replays_or_swaps_is_refused_at_the_child(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        one, other = world.child("a1"), world.child("a2")
        await one.greet(1)
        await other.greet(1)
        world.door.send("a1", question("first"))
        asked = await broker.caught(down("a1", "ask"))
        await one.hear(messages.Ask)
        welcome = await broker.caught(down("a1", "ctl"))
        await refused_above(world, broker, one, down("a1", "ask"), codec.encode(question("bare")))
        await refused_above(world, broker, one, down("a1", "ask"), asked)
        await refused_above(world, broker, other, down("a2", "ask"), asked)
        await refused_above(world, broker, one, down("a1", "ctl"), welcome)
        await refused_above(world, broker, other, down("a2", "ctl"), welcome)
        await refused_above(world, broker, one, down("a1", "ask"), asked.replace(b'"first"', b'"other"'))
        greeting = await broker.caught(up("a1", "hello"))
        await refused_above(world, broker, one, down("a1", "ctl"), greeting)
        look = codec.encode(messages.Look(incarnation="x")) + b"\n"
        look += msgspec.json.encode({"by": "word", "chain": world.pki.signer.chain, "signature": "AAAA"})
        await refused_above(world, broker, one, down("a1", "ctl"), look)


async def test_a_welcome_of_an_older_session_opens_nothing(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        child = world.child("a1")
        await child.greet(1, "aa")
        welcome = await broker.caught(down("a1", "ctl"))
        await child.connect(2, "bb")
        await broker.say(down("a1", "ctl"), welcome)
        child.say(hello("a1", 2, "bb"))
        await world.inbox.until(lambda: len(world.inbox.of(inputs.Got, "a1")) == 2)
        world.door.send("a1", world.welcome(2, "bb"))
        await child.hear(messages.Welcome, 2)
        assert child.link.refused == 1


async def test_who_speaks_in_a_session_that_is_over_is_told_and_a_late_will_is_not(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        child = world.child("a1")
        await child.greet(1, "aa")
        world.door.close_child("a1", 0, "silent")
        child.say(status(1))
        assert (await world.inbox.wait(inputs.Strayed)).node == "a1"
        world.door.send("a1", messages.Look(incarnation="i1", ended=1))
        assert (await child.hear(messages.Look)).ended == 1
        child.link.cut()
        await broker.caught(up("a1", "ctl"))
        await child.end(1)
        await child.greet(2, "bb")
        assert len(world.inbox.of(inputs.Strayed)) == 1


async def test_a_revoked_child_gets_no_answer_whatever_the_broker_lets_through(brokered: World) -> None:
    world = brokered
    async with hostile(world) as broker:
        child = world.child("a1")
        await child.greet(1)
        world.verdicts["a1"] = Verdict.REVOKED
        world.door.close_child("a1", 0, "stolen", ban=True)
        heard = len(child.heard)
        child.say(status(1))
        child.say(hello("a1", 2))
        await broker.caught(up("a1", "hello"), 1)
        world.door.send("a1", world.welcome(2))
        world.door.send("a1", question("anybody?"))
        await world.child("a2").greet(1)
        assert len(world.inbox.of(inputs.Got, "a1")) == 1
        assert len(child.heard) == heard


def _bye(session: int) -> messages.Bye:
    return messages.Bye(session=session, nonce="aa", reason="forged")


def _seal_of(world: World, device: str, node: str) -> ChildSeal:
    """The proofs that `device` can make for a session of `node`."""
    owner = world.pki.device(device)
    return ChildSeal(
        node=node,
        parent=HUB,
        session=5,
        nonce="aa",
        chain=owner.chain,
        sign=owner.sign,
        anchor=Anchor(world.pki.root),
        secret=secrets.token_bytes(32),
    )
