"""Which hub a device belongs to: it turns on a proven word, with all it holds; or when its hub is gone for good."""

from __future__ import annotations

from typing import Any

import msgspec

from edge_agent.core import inputs
from edge_agent.core.agent import AgentConfig, AgentCore
from protocol import documents, limits, messages
from protocol.link import table
from tests.unit.agent.world import Trust, World, acts, only, sent, service

CLOUD, OSLO, WEST = (
    documents.Haven(id=name, scope=f"{name}.skerry", mqtt_host=name, mqtt_port=8883, api_host=name, api_port=8443)
    for name in ("cloud", "oslo", "west")
)
MOVE = documents.Move(node="gw-1", key="k", former="cloud", to=OSLO, number=1, by="root", chain="C", signature="S")
GRANT = documents.Grant(
    of="cloud", scope="cloud.skerry", after_s=600.0, havens=[CLOUD, OSLO, WEST], number=3, by="root"
)


class Somewhere(World):
    """A device whose shell has stored another parent."""

    parent = "cloud"

    def _core(self) -> AgentCore:
        config = AgentConfig(node="gw-1", parent=self.parent, trust=Trust(), labels={"site": "oslo"})
        return AgentCore(self.store.snapshot(), config)


def device(*wanted: documents.AnyDocument) -> Somewhere:
    world = Somewhere()
    world.start()
    world.online()
    world.desire(service("web"), *wanted)
    return world


def checked(world: World, move: documents.Move = MOVE, error: str = "") -> Any:
    return world.do(inputs.MoveChecked(digest=documents.digest_of(documents.encode(move)), error=error))


def test_a_word_to_move_is_proven_first_and_then_followed_with_all_that_is_held() -> None:
    world = device()
    asked = only(world.desire(service("web"), MOVE), inputs.CheckMove)
    assert asked.move == documents.encode(MOVE)
    assert not world.all(inputs.Turn)
    held = world.store.spaces["manifest"]["cloud"]

    fx = checked(world)
    assert only(fx, inputs.Turn).to == OSLO
    last_word, _ = sent(fx, messages.Status)[0], sent(fx, messages.Bye)[0]
    assert last_word.held.generation == 2, "the former hub hears that it is known, and lets go"
    assert world.store.spaces["manifest"] == {"oslo": held}
    assert world.last("home.turned", "audit")["to"] == "oslo"
    world.wait(600)
    assert not [act for act in world.acts[-50:] if isinstance(act, table.Connect) and act.session > world.session()]

    world.parent = "oslo"
    fx = world.start()
    assert not acts(fx, inputs.Turn)
    assert not acts(fx, inputs.Stop), "its work goes on"
    hello = only_hello(world)
    assert (hello.held.term, hello.held.generation) == (1, 2)
    assert not acts(world.fx, inputs.CheckMove), "the word that is in force still is an old one"


def only_hello(world: World) -> messages.Hello:
    (hello,) = sent(world.do(inputs.Opened(session=world.session())), messages.Hello)
    return hello


def test_a_crash_before_the_shell_has_stored_it_changes_nothing() -> None:
    world = device(MOVE)
    checked(world)
    fx = world.start()
    assert only(fx, inputs.Turn).to == OSLO
    assert not [act for act in world.wait(600) if isinstance(act, table.Connect)]


def test_a_crash_before_the_word_was_proven_has_it_proven_in_the_next_life() -> None:
    world = device(MOVE)
    assert only(world.start(), inputs.CheckMove).move == documents.encode(MOVE)
    assert only(checked(world), inputs.Turn).to == OSLO


def test_a_device_that_was_enrolled_elsewhere_since_stays_there() -> None:
    world = device(MOVE)
    checked(world)
    world.parent = "west"
    assert not acts(world.start(), inputs.Turn)


def test_a_word_that_does_not_hold_is_put_on_record_and_not_asked_about_again() -> None:
    world = device(MOVE)
    checked(world, error="hub south is not above cloud.skerry")
    assert world.last("move.refused", "audit")["reason"] == "hub south is not above cloud.skerry"
    before = len(world.all(inputs.CheckMove))
    world.desire(service("web"), service("db"), MOVE)
    assert len(world.all(inputs.CheckMove)) == before
    assert not world.all(inputs.Turn)
    checked(world, documents.Move(node="gw-1", key="k", former="x", to=WEST, number=9, by="root"))
    assert not world.all(inputs.Turn), "nobody asked that"


def test_an_old_word_and_one_for_where_it_is_already_and_one_for_another_are_nothing() -> None:
    world = device(MOVE)
    checked(world)
    world.parent = "oslo"
    world.start()
    before = len(world.all(inputs.CheckMove))
    back = documents.Move(node="gw-1", key="k", former="oslo", to=CLOUD, number=1, by="root")
    here = documents.Move(node="gw-1", key="k", former="cloud", to=OSLO, number=7, by="root")
    other = documents.Move(node="gw-2", key="k", former="cloud", to=WEST, number=7, by="root")
    out = documents.Move(node="gw-1", key="k", former="oslo", to=WEST, number=9, by="root", revoked="at oslo")
    for one in (back, here, other, out):
        asked(world, one)
        assert len(world.all(inputs.CheckMove)) == before
    asked(world, documents.Move(node="gw-1", key="k", former="oslo", to=CLOUD, number=2, by="root"))
    assert len(world.all(inputs.CheckMove)) == before + 1, "a newer one brings it back"


def asked(world: World, *wanted: documents.AnyDocument) -> None:
    """The hub of now asks for this, under a term of its own."""
    hello = only_hello(world) if world.core.status(world.now()).link.state != "live" else None
    if hello is not None:
        welcome = messages.Welcome(
            incarnation="one",
            session=hello.session,
            nonce=hello.nonce,
            parent="oslo",
            cursors={},
            time_ms=1,
            contact_s=60,
        )
        world.do(inputs.Got(message=welcome))
    items = {documents.document_id(one): documents.encode(one) for one in wanted}
    digests: dict[str, str] = {key: documents.digest_of(raw) for key, raw in items.items()}
    world.generation += 1
    signed = messages.Signed(
        parent="oslo",
        child="gw-1",
        term=2,
        generation=world.generation,
        digest=documents.manifest_digest(digests),
        key="k",
        signature="s",
    )
    raws = [msgspec.Raw(raw) for raw in items.values()]
    world.got(messages.Desired, signed=signed, put=digests, documents=raws)


def test_at_a_new_hub_it_asks_for_a_certificate_of_that_domain_once() -> None:
    world = device(MOVE)
    checked(world)
    world.parent = "oslo"
    world.start()
    asked(world)
    assert world.all(inputs.MakeCsr)
    world.do(inputs.CertificateStored(from_ms=int(world.wall * 1000), until_ms=int((world.wall + 9e6) * 1000)))
    before = len(world.all(inputs.MakeCsr))
    world.start()
    asked(world)
    assert len(world.all(inputs.MakeCsr)) == before


# ------------------------------------------------------------------------------------------------ its hub is gone


def looks(world: World, seconds: float) -> list[inputs.LookForHaven]:
    return [act for act in world.wait(seconds) if isinstance(act, inputs.LookForHaven)]


def found(world: World, to: documents.Haven | None) -> Any:
    digest = documents.digest_of(documents.encode(GRANT))
    return world.do(inputs.HavenFound(digest=digest, to=to, reason="" if to else "nobody is there"))


def test_only_who_has_heard_nothing_for_long_looks_for_another_hub() -> None:
    world = device(GRANT)
    assert not looks(world, 3_600)
    world.offline()
    assert not looks(world, GRANT.after_s - 1)
    assert len(looks(world, limits.DISCOVER_S_MIN + 1)) == 1
    assert not looks(world, 10_000), "one at a time"

    assert not acts(found(world, None), inputs.Turn)
    assert not looks(world, limits.DISCOVER_S_MAX / 2 - 1)
    assert len(looks(world, limits.DISCOVER_S_MAX / 2 + 1)) == 1
    fx = found(world, OSLO)
    assert only(fx, inputs.Turn).to == OSLO
    assert world.last("home.turned", "audit")["reason"] == "its hub is gone"


def test_the_time_without_a_hub_goes_on_over_restarts_and_boots_and_forgets_a_step_of_it_at_most() -> None:
    world = device(GRANT)
    world.offline()
    world.wall -= 400 * 86_400
    assert not looks(world, GRANT.after_s / 3)
    world.mono += GRANT.after_s / 3
    world.start()
    assert not looks(world, GRANT.after_s / 3 - 1), "the agent was away for a third of it"

    world.mono = 10.0
    world.start(reboot=True)
    assert len(looks(world, GRANT.after_s / 20 + limits.DISCOVER_S_MIN + 2)) == 1


def test_a_device_that_boots_every_day_turns_in_the_end() -> None:
    world = device(msgspec.structs.replace(GRANT, after_s=86_400.0))
    world.offline()
    boots = 0
    while boots < 20 and not looks(world, 3 * 3_600):
        world.mono = 10.0
        world.start(reboot=True)
        boots += 1
    assert boots in (7, 8)


def test_contact_begins_the_time_anew_and_costs_no_notes() -> None:
    world = device(GRANT)
    for _ in range(3):
        world.offline()
        assert not looks(world, GRANT.after_s * 0.9)
        world.online()
    noted = world.store.spaces["agent"]["absence"]
    world.wait(86_400)
    assert world.store.spaces["agent"]["absence"] == noted
    world.start()
    assert not looks(world, GRANT.after_s - 1), "who crashed while there was contact has just heard of its hub"


def test_at_the_hub_that_was_turned_to_the_time_begins_anew() -> None:
    world = device(GRANT)
    world.offline()
    assert looks(world, 10_000)
    found(world, OSLO)
    world.parent = "oslo"
    world.start()
    assert not looks(world, GRANT.after_s - 1)
    world.start(reboot=True)
    assert len(looks(world, GRANT.after_s / 20 + limits.DISCOVER_S_MIN + 2)) == 1


def test_a_hub_that_turned_the_device_away_is_there() -> None:
    world = device(GRANT)
    world.offline()
    assert not looks(world, GRANT.after_s - 1)
    world.online(refused="a clone was seen")
    assert not looks(world, GRANT.after_s - 1)
    assert len(looks(world, limits.REFUSED_RETRY_S + limits.DISCOVER_S_MIN + 1)) == 1


def test_a_hub_that_came_back_meanwhile_is_not_left() -> None:
    world = device(GRANT)
    world.offline()
    assert looks(world, 10_000)
    world.online()
    assert not acts(found(world, OSLO), inputs.Turn)
    assert not looks(world, 3_600)


def test_who_has_no_grant_stays_and_a_grant_outlasts_a_restart() -> None:
    world = device()
    world.offline()
    assert not looks(world, 100_000)

    world = device(GRANT)
    world.start()
    assert len(looks(world, GRANT.after_s + limits.DISCOVER_S_MIN + 1)) == 1
