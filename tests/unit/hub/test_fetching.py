"""Artifacts that a region fetches from its parent: once, when it is asked for them, for all nodes below."""

import pytest

from hub.core import inputs
from hub.core.work import declared
from protocol import limits, messages
from protocol.effects import Effects
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
    cloud.ask(inputs.Apply(documents=[service()]))
    return tree


def service(name: str = "vision", digest: str = DIGEST) -> dict[str, object]:
    made = world.service(name, "continent=eu")
    made["spec"]["artifact"] = digest
    return made


def want(region: Hub, *documents: dict[str, object]) -> None:
    """Have the region hold resources whose artifacts are above, as it does when they are delegated."""
    fx = Effects()
    for document in documents:
        compiled = declared.compiled(document)
        region.core.resources.put(compiled, "cloud", region.now, fx)
    assert region.core.fetching is not None
    region.core.fetching.settle(region.now, fx)
    region.perform(fx)
    region.tree.run()


def asked(region: Hub) -> list[inputs.FetchArtifact]:
    return [act for act in region.acts if isinstance(act, inputs.FetchArtifact)]


def test_an_artifact_is_fetched_once_and_who_waits_is_told(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    device = region.device("gw-1", {"continent": "eu"})
    want(region, service())
    region.take(inputs.Tick())
    assert [one.digest for one in asked(region)] == [DIGEST]
    assert tree.hubs["cloud"].core.ticket_holder(asked(region)[0].ticket, DIGEST, tree.wall) == "eu-north"
    region.core.delegate.mark("gw-1")
    device.settle()
    fx = device.got(messages.Need(session=device.session, tickets=[DIGEST]))
    assert not [send for send in fx.send if isinstance(send.message, messages.Documents)]
    fx = region.take(inputs.ArtifactFetched(digest=DIGEST, size=7))
    (told,) = [send.message for send in fx.send if isinstance(send.message, messages.Documents)]
    assert region.core.ticket_holder(told.tickets[DIGEST], DIGEST, tree.wall) == "gw-1"
    region.take(inputs.Tick())
    tree.later(limits.TICKET_WAIT_S * 2)
    assert len(asked(region)) == 1


def test_what_fails_is_tried_again_and_says_why(tree: Tree) -> None:
    region = tree.hubs["eu-north"]
    want(region, service())
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
    region = tree.hubs["eu-north"]
    region.cut()
    want(region, service(), service("audio", OTHER))
    assert not asked(region)
    region.ask(inputs.DeleteResource(kind="service", name="vision"))
    want(region)
    region.heal()
    assert DIGEST not in [one.digest for one in asked(region)]


def test_a_few_are_fetched_at_a_time(tree: Tree) -> None:
    region, cloud = tree.hubs["eu-north"], tree.hubs["cloud"]
    digests = [f"sha256:{number:064x}" for number in range(limits.FETCHES_MAX + 2)]
    documents = [service(f"s-{number}", digest) for number, digest in enumerate(digests)]
    for digest in digests:
        cloud.ask(inputs.NoteArtifact(digest=digest, size=1))
    cloud.ask(inputs.Apply(documents=documents))
    want(region, *documents)
    assert len(asked(region)) == limits.FETCHES_MAX
    region.take(inputs.ArtifactFetched(digest=asked(region)[0].digest, size=1))
    tree.run()
    assert len(asked(region)) == limits.FETCHES_MAX + 1
