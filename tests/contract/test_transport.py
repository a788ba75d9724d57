"""What a transport promises to the link, whichever it is."""

from __future__ import annotations

import secrets

import msgspec

from hub.core import inputs
from hub.shell.front_door import FrontDoor, Verdict
from protocol import codec, limits, messages, topics
from tests.contract.world import HUB, Child, World, hello
from tests.support.pki import Pki


def noise(size: int) -> msgspec.Raw:
    """A JSON string that does not compress well."""
    return msgspec.Raw(b'"' + secrets.token_hex(size // 2).encode() + b'"')


def status(session: int, count: int, node_body: bytes = b"{}") -> messages.Status:
    return messages.Status(
        session=session, count=count, held=messages.Held(), heads={}, time_ms=0, body=msgspec.Raw(node_body)
    )


def heard_of(world: World, node: str) -> list[inputs.Input]:
    return [item for item in world.inbox.all if getattr(item, "node", "") == node]


async def test_a_child_says_hello_and_is_welcomed(world: World) -> None:
    child = world.child("a1")
    got = await child.greet(1)
    assert got.message == hello("a1", 1)
    opened = await world.inbox.wait(inputs.Opened)
    assert (opened.node, opened.key, opened.expired) == ("a1", child.device.key_hash, False)
    assert opened.scope == f"{HUB}.skerry", "who comes by a grant is known by the domain of its certificate"
    assert world.inbox.all.index(opened) < world.inbox.all.index(got)
    assert await child.hear(messages.Welcome) == world.welcome(1)


async def test_messages_arrive_whole_and_in_order_both_ways(world: World) -> None:
    child = world.child("a1")
    await child.greet(1)
    for count in range(1, 201):
        child.say(status(1, count))
        world.door.send("a1", messages.Ask(incarnation="i1", session=1, id=str(count), deadline_ms=0, what="logs"))
    await world.inbox.wait(inputs.Got, 201, "a1")
    said = [got.message.count for got in world.inbox.of(inputs.Got) if isinstance(got.message, messages.Status)]
    assert said == list(range(1, 201))
    await child.hear(messages.Ask, 200)
    assert [ask.id for ask in child.heard if isinstance(ask, messages.Ask)] == [str(n) for n in range(1, 201)]


async def test_a_message_of_nearly_a_mebibyte_crosses_both_ways(world: World) -> None:
    child = world.child("a1")
    await child.greet(1)
    rows = [noise(limits.ENTRY_BYTES_MAX) for _ in range(15)]
    up = messages.Entries(session=1, stream="state", epoch="0" * 16, prev=0, rows=rows)
    child.say(up)
    down = messages.Documents(incarnation="i1", session=1, documents=rows)
    world.door.send("a1", down)
    got = await world.inbox.wait(inputs.Got, 2)
    assert got.message == up
    assert await child.hear(messages.Documents) == down


async def test_a_child_that_is_cut_off_is_closed_by_its_will(world: World) -> None:
    child = world.child("a1")
    await child.greet(7, "beef")
    child.link.cut()
    await world.inbox.until(lambda: any(closed.session == 7 for closed in world.inbox.of(inputs.Closed)))
    closed = next(closed for closed in world.inbox.of(inputs.Closed) if closed.session)
    assert (closed.node, closed.session, closed.nonce) == ("a1", 7, "beef")
    await child.end(7)
    assert [session for session, _ in child.closed] == [7]


async def test_a_child_that_leaves_says_bye_and_leaves_no_will(world: World) -> None:
    child = world.child("a1")
    await child.greet(1)
    child.say(messages.Bye(session=1, nonce="aa", reason="stopping"))
    await child.link.close()
    got = await world.inbox.wait(inputs.Got, 2, "a1")
    assert isinstance(got.message, messages.Bye)
    other = world.child("a2")
    await other.greet(1)
    assert [closed.session for closed in world.inbox.of(inputs.Closed, "a1") if closed.session] == []


async def test_a_child_cannot_publish_on_another_ones_topics(world: World) -> None:
    await world.child("a2").greet(1)
    intruder = world.client("a1")
    assert await intruder.run(topics.child_filter(HUB, "a1")) == ""
    before = len(world.inbox.of(inputs.Got, "a2"))
    intruder.publish(topics.up(HUB, "a2", "hello"), codec.encode(hello("a2", 9)))
    intruder.publish(topics.up(HUB, "a2", "ctl"), codec.encode(messages.Bye(session=1, nonce="aa", reason="x")))
    intruder.publish(topics.up(HUB, "a1", "hello"), b"junk")
    await intruder.leave()
    last = world.child("a3")
    await last.greet(1)
    assert len(world.inbox.of(inputs.Got, "a2")) == before
    assert world.inbox.of(inputs.Bad, "a2") == []
    assert world.inbox.of(inputs.Closed, "a2") == []


async def test_a_child_cannot_hear_what_is_for_another(world: World) -> None:
    overheard: list[bytes] = []
    victim = world.child("a2")
    await victim.greet(1)
    for filter_, identifier in ((topics.child_filter(HUB, "a2"), "a1"), ("#", "a1"), ("skerry/1/hub/+/down/+", "a1")):
        intruder = world.client("a1", identifier, lambda _, payload: overheard.append(payload))
        await intruder.run(filter_)
        count = sum(isinstance(message, messages.Look) for message in victim.heard)
        world.door.send("a2", messages.Look(incarnation="i1"))
        await victim.hear(messages.Look, count + 1)
        await intruder.leave()
    assert overheard == []


async def test_a_client_id_is_no_identity(world: World) -> None:
    overheard: list[bytes] = []
    victim = world.child("a2")
    await victim.greet(1)
    intruder = world.client("a1", "a2", lambda _, payload: overheard.append(payload))
    await intruder.run(topics.child_filter(HUB, "a2"))
    world.door.send("a2", messages.Look(incarnation="i1"))
    await victim.hear(messages.Look)
    await intruder.leave()
    assert overheard == []
    assert victim.closed == []


async def test_a_certificate_of_another_root_does_not_get_in(world: World) -> None:
    (world.pki.folder / "foreign").mkdir()
    foreign = Pki(world.pki.folder / "foreign").device("a1")
    context = foreign.context(world.server_name)
    context.load_verify_locations(world.pki.root_path)
    child = world.child("a1")
    child.link.context = lambda: context
    child.link.connect(1, "aa")
    await child.end(1)
    assert child.opened == []
    assert child.link.turned_away, "a matter of who we are, not of the network"
    assert heard_of(world, "a1") == []


async def test_a_server_that_is_not_our_parent_gets_nothing(world: World) -> None:
    child = world.child("a1")
    child.link.context = lambda: child.device.context("another-hub")
    child.link.connect(1, "aa")
    assert "another-hub" in await child.end(1)
    assert not child.link.turned_away
    assert heard_of(world, "a1") == []


async def test_an_unknown_key_is_not_let_in(world: World) -> None:
    world.verdicts["a1"] = Verdict.UNKNOWN
    child = world.child("a1")
    child.link.connect(1, "aa")
    await child.until(lambda: bool(child.opened or child.closed))
    child.say(hello("a1", 1))
    await world.child("a2").greet(1)
    assert world.inbox.of(inputs.Opened, "a1") == []
    assert world.inbox.of(inputs.Got, "a1") == []


async def test_a_revoked_child_is_told_and_cut_off_at_once(world: World) -> None:
    child = world.child("a1")
    await child.greet(1)
    revoked = world.pki.signer.revoked("a1", 0, "stolen", "i1")
    world.door.send("a1", revoked)
    world.door.close_child("a1", 0, "stolen", ban=True)
    assert await child.hear(messages.Revoked) == revoked
    before = len(world.inbox.of(inputs.Got, "a1"))
    child.say(status(1, 1))
    child.link.connect(2, "bb")
    await child.until(lambda: 2 in child.opened or 2 in dict(child.closed))
    child.say(hello("a1", 2, "bb"))
    world.door.send("a1", world.welcome(2, "bb"))
    await world.child("a2").greet(1)
    assert len(world.inbox.of(inputs.Got, "a1")) == before
    assert not any(isinstance(message, messages.Welcome) and message.session == 2 for message in child.heard)


async def test_a_child_that_was_revoked_while_away_is_told_when_it_comes_back(door: World) -> None:
    assert isinstance(door.door, FrontDoor)
    revoked = door.pki.signer.revoked("a1", 0, "stolen", "i1")

    def farewell(_node: str) -> messages.Revoked:
        return revoked

    door.door.farewell = farewell
    door.verdicts["a1"] = Verdict.REVOKED
    child = door.child("a1")
    child.link.connect(1, "aa")
    assert await child.hear(messages.Revoked) == revoked
    await child.end(1)
    assert door.inbox.all == []


async def test_a_newer_connection_takes_over_from_an_older_one(world: World) -> None:
    older, newer = world.child("a1"), world.child("a1")
    await older.greet(1, "aa")
    await newer.greet(2, "bb")
    await older.end(1)
    newer.say(status(2, 1))
    got = await world.inbox.wait(inputs.Got, 3, "a1")
    assert isinstance(got.message, messages.Status)
    world.door.send("a1", messages.Ask(incarnation="i1", session=2, id="q", deadline_ms=0, what="logs"))
    await newer.hear(messages.Ask)
    assert newer.closed == []
    assert not any(isinstance(message, messages.Ask) for message in older.heard)


async def test_an_oversized_packet_is_refused_and_neighbours_are_unaffected(world: World) -> None:
    neighbour = world.child("a2")
    await neighbour.greet(1)
    flooder = world.client("a1")
    assert await flooder.run(topics.child_filter(HUB, "a1")) == ""
    flooder.publish(topics.up(HUB, "a1", "entries"), bytes(limits.PACKET_BYTES_MAX + 1))
    assert await flooder.ended()
    neighbour.say(status(1, 1))
    await world.inbox.wait(inputs.Got, 2, "a2")
    assert world.inbox.of(inputs.Got, "a1") == []
    assert neighbour.closed == []


async def test_what_is_no_message_is_counted_against_its_sender(world: World) -> None:
    client = world.client("a1")
    assert await client.run(topics.child_filter(HUB, "a1")) == ""
    client.publish(topics.up(HUB, "a1", "hello"), b"{not json")
    bad = await world.inbox.wait(inputs.Bad)
    assert bad.node == "a1"
    assert bad.error
    await client.leave()


async def test_a_hub_that_comes_back_asks_its_children_to_greet_again(world: World) -> None:
    child = world.child("a1")
    await child.greet(1)
    await world.stop()
    await world.start()
    if not world.sealed:
        await child.end(1)
        await child.connect(2)
    else:
        world.door.send("a1", messages.Look(incarnation="i2"))
        await child.hear(messages.Look)
        child.link.connect(2, "aa")
        await child.until(lambda: 2 in child.opened)
    child.say(hello("a1", 2))
    await world.inbox.until(lambda: len(world.inbox.of(inputs.Got, "a1")) == 2)
    world.door.send("a1", world.welcome(2))
    await child.hear(messages.Welcome, 2)


async def test_a_parent_that_is_not_there_is_one_closed_with_a_reason(world: World) -> None:
    child: Child = world.child("a1")
    child.link.port = 1
    child.link.connect(1, "aa")
    assert "127.0.0.1:1" in await child.end(1)
    assert not child.link.turned_away
    assert len(child.closed) == 1
