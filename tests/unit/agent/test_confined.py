"""A service that is to be kept from something, on a device that can do so, or only half of it, or must."""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from protocol import documents
from tests.unit.agent.world import World, acts, exited, only, running, service

QUIET = documents.Isolation(no_network=True, private_tmp=True)


def confined(isolation: documents.Isolation, *command: str) -> documents.Assignment:
    plain = service("web", *command)
    return msgspec.structs.replace(plain, process=msgspec.structs.replace(plain.process, isolation=isolation))


def at(*able: str) -> World:
    world = World()
    world.start(able=able)
    world.online()
    return world


def test_what_the_device_cannot_do_is_left_out_and_told() -> None:
    world = at("private_tmp")

    launch = only(world.desire(confined(QUIET)), inputs.Launch)

    assert launch.process.isolation == documents.Isolation(private_tmp=True)
    told = world.local(inputs.LocalStatus())["conditions"]
    assert [(one["what"], one["text"].partition(":")[0]) for one in told] == [
        ("service/web", "this device cannot enforce no network")
    ]
    running(world, launch.instance)
    first, *rest = world.local(inputs.LocalWhy(service="web"))["reasons"]
    assert first.startswith("the hub wants it running")
    assert told[0]["text"] in rest


def test_a_device_that_can_is_asked_for_all_of_it_and_says_nothing() -> None:
    world = at("private_tmp", "no_network")

    assert only(world.desire(confined(QUIET)), inputs.Launch).process.isolation == QUIET
    assert not world.local(inputs.LocalStatus())["conditions"]


def test_what_requires_it_does_not_run_and_says_why_and_nothing_spins() -> None:
    world = at("private_tmp")

    fx = world.desire(confined(msgspec.structs.replace(QUIET, required=True)))

    assert not acts(fx, inputs.Launch)
    assert world.service("web")["state"] == "failed"
    assert world.service("web")["reason"] == (
        "refused: its isolation is required, and this device cannot enforce no network"
    )
    assert not [one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)]


def test_a_version_that_is_refused_leaves_the_one_before_running() -> None:
    world = at()
    world.desire(service("web"))
    running(world, "s-web-1")

    fx = world.desire(confined(msgspec.structs.replace(QUIET, required=True)))

    assert not acts(fx, inputs.Stop)
    assert world.service("web")["state"] == "running"
    assert "required" in world.service("web")["reason"]


def test_a_device_that_lost_what_a_service_requires_starts_it_no_more_until_it_has_it_again() -> None:
    world = at("private_tmp", "no_network")
    world.desire(confined(msgspec.structs.replace(QUIET, required=True)))
    running(world, "s-web-1")

    world.start(inputs.Found(instance="s-web-1", pid=7), able=("private_tmp",))
    world.do(exited("s-web-1", 1))
    assert not [one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)]

    assert acts(world.start(able=("private_tmp", "no_network")), inputs.Launch) or [
        one for one in world.wait(3_600.0) if isinstance(one, inputs.Launch)
    ]
