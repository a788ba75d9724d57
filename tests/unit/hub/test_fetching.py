"""Artifacts that a region fetches from its parent: once, when it is asked for them, for all nodes below."""

from typing import Any

import pytest

from hub.core import inputs
from protocol import effects, limits, messages
from tests.support.tree import Hub, Tree
from tests.unit.hub import world

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    cloud = tree.add("cloud")
    tree.add("eu-north", "cloud", {"continent": "eu"})
    cloud.ask(inputs.NoteArtifact(digest=DIGEST, size=7))
    return tree


def service(name: str = "vision", digest: str = DIGEST) -> dict[str, Any]:
    made = world.service(name, "continent=eu")
    made["spec"]["artifact"] = digest
    return made


def want(tree: Tree, *documents: dict[str, Any]) -> Hub:
    """Have the root delegate these; return the region."""
    tree.hubs["cloud"].ask(inputs.Apply(documents=list(documents)))
    return tree.hubs["eu-north"]


def asked(region: Hub) -> list[inputs.FetchArtifact]:
    return [act for act in region.acts if isinstance(act, inputs.FetchArtifact)]


def tickets(fx: effects.Effects) -> dict[str, str]:
    """Return the tickets that are sent."""
    sent = [send.message for send in fx.send if isinstance(send, effects.Send)]
    return {key: ticket for one in sent if isinstance(one, messages.Documents) for key, ticket in one.tickets.items()}


def test_an_artifact_is_fetched_once_and_who_waits_is_told(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    device = region.device("gw-1", {"continent": "eu"})
    want(tree, service())
    device.settle()
    assert [one.digest for one in asked(region)] == [DIGEST]
    assert tree.hubs["cloud"].core.ticket_holder(asked(region)[0].ticket, DIGEST, tree.wall) == "eu-north"
    fx = device.got(messages.Need(session=device.session, tickets=[DIGEST]))
    assert not tickets(fx)
    fx = region.take(inputs.ArtifactFetched(digest=DIGEST, size=7))
    assert region.core.ticket_holder(tickets(fx)[DIGEST], DIGEST, tree.wall) == "gw-1"
    region.take(inputs.Tick())
    tree.later(limits.TICKET_WAIT_S * 2)
    assert len(asked(region)) == 1


def test_what_fails_is_tried_again_and_says_why(tree: Tree) -> None:
    region = want(tree, service())
    fetching = region.core.fetching
    assert fetching is not None
    region.take(inputs.ArtifactFetched(digest=DIGEST, error="no route"))
    assert fetching.errors() == {DIGEST: "no route"}
    tree.later(limits.RESTART_BACKOFF_S_MAX)
    assert len(asked(region)) == 2
    region.take(inputs.ArtifactFetched(digest=DIGEST, error="refused", ticket_refused=True))
    tree.run()
    assert len(asked(region)) == 3
    region.take(inputs.ArtifactFetched(digest=DIGEST, error="no room", lacks=limits.ARTIFACTS_BYTES_MAX + 1))
    assert "no room at the hub" in fetching.errors()[DIGEST]
    region.take(inputs.ArtifactFetched(digest=OTHER, error="nobody waits for it"))
    tree.later(limits.RESTART_BACKOFF_S_MAX)
    region.take(inputs.ArtifactFetched(digest=DIGEST, size=7))
    assert not fetching.errors()


def test_what_nothing_names_any_more_is_not_fetched(tree: Tree) -> None:
    region = want(tree, service())
    region.cut()
    region.take(inputs.ArtifactFetched(digest=DIGEST, error="the link broke"))
    tree.hubs["cloud"].ask(inputs.DeleteResource(kind="service", name="vision"))
    tree.hubs["cloud"].ask(inputs.NoteArtifact(digest=OTHER, size=7))
    want(tree, service("audio", OTHER))
    region.heal()
    assert [one.digest for one in asked(region)] == [DIGEST, OTHER]


def test_a_few_are_fetched_at_a_time(tree: Tree) -> None:
    cloud = tree.hubs["cloud"]
    digests = [f"sha256:{number:064x}" for number in range(limits.FETCHES_MAX + 2)]
    documents = [service(f"s-{number}", digest) for number, digest in enumerate(digests)]
    for digest in digests:
        cloud.ask(inputs.NoteArtifact(digest=digest, size=1))
    region = want(tree, *documents)
    assert len(asked(region)) == limits.FETCHES_MAX
    region.take(inputs.ArtifactFetched(digest=asked(region)[0].digest, size=1))
    tree.run()
    assert len(asked(region)) == limits.FETCHES_MAX + 1
