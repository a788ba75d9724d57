"""What a person at the device hears of sticks, and what stands in the journal of it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from edge_agent.core import inputs
from protocol import documents, limits, messages
from protocol.bundle import head
from protocol.upgrade.words import Kept
from tests.unit.agent.world import World, acts, only, service

_ARTIFACT = "sha256:" + "a" * 64


def _bundle(
    *wanted: documents.AnyDocument,
    generation: int = 1,
    node: str = "gw-1",
    artifacts: dict[str, int] | None = None,
    cursors: dict[str, messages.Cursor] | None = None,
) -> tuple[bytes, list[bytes]]:
    bodies = {documents.document_id(one): documents.encode(one) for one in wanted}
    items: dict[str, str] = {key: documents.digest_of(body) for key, body in bodies.items()}
    signed = messages.Signed(
        parent="cloud",
        child="gw-1",
        term=1,
        generation=generation,
        digest=documents.manifest_digest(items),
        key="k",
        signature="s",
    )
    parts = {hashlib.sha256(body).hexdigest(): len(body) for body in bodies.values()} | (artifacts or {})
    down = head.Down(
        hub="cloud",
        node=node,
        time_ms=0,
        parts=parts,
        cursors=cursors or {},
        desired=messages.Desired(incarnation="", session=0, signed=signed, put=items) if generation else None,
    )
    return head.join(head.encode(down), head.Proof(key="k", signature="s")), list(bodies.values())


def _import(world: World, made: tuple[bytes, list[bytes]], *artifacts: str) -> Any:
    raw, bodies = made
    return world.local(inputs.LocalBundleTake(head=raw, documents=bodies, artifacts=list(artifacts)))


def test_what_a_stick_asks_runs_with_what_it_brought() -> None:
    world = World()
    world.start()
    made = _bundle(service("web", artifact=_ARTIFACT), artifacts={"a" * 64: 10})
    opened = world.local(inputs.LocalBundleOpen(head=made[0]))
    assert (opened["hub"], opened["generation"]) == ("cloud", 1)
    assert opened["parts"]["a" * 64] == 10
    assert "a" * 64 not in opened["documents"]
    said = _import(world, made, _ARTIFACT)
    assert (said["text"], said["news"]) == ("generation 1 is in force", True)
    assert [one.key for one in world.all(inputs.Launch)] == ["web"]
    assert not _import(world, made, _ARTIFACT)["news"]
    assert len(world.all(inputs.Launch)) == 1
    assert world.kinds("audit").count("bundle.taken") == 2
    assert world.last("bundle.taken", "audit")["user"] == "ada"


def test_another_version_of_the_agent_comes_by_stick_with_its_package() -> None:
    world = World()
    world.start(slots=inputs.Slots(version="0.1.0+deb12", release="12", arch="arm64", kept=Kept()))
    package = documents.Package(release="12", arch="arm64", artifact=_ARTIFACT)
    wished = documents.Upgrade(name="agents", version="0.2.0", packages=[package], number=4, by="cloud")
    _import(world, _bundle(wished, artifacts={"a" * 64: 10}), _ARTIFACT)
    assert [one.number for one in world.all(inputs.Install)] == [4]
    assert not [act for act in world.all(inputs.Collect) if _ARTIFACT not in act.keep]


def test_an_artifact_that_came_late_by_stick_starts_what_waited_for_it() -> None:
    world = World()
    world.start()
    _import(world, _bundle(service("web", artifact=_ARTIFACT)))
    assert not world.all(inputs.Launch)
    _import(world, _bundle(service("web", artifact=_ARTIFACT), artifacts={"a" * 64: 10}), _ARTIFACT)
    assert [one.key for one in world.all(inputs.Launch)] == ["web"]


def test_what_is_of_others_older_or_too_large_is_refused_and_stands_in_the_audit() -> None:
    world = World()
    world.start()
    _import(world, _bundle(service("web"), generation=3))
    foreign = _import(world, _bundle(service("web"), generation=4, node="gw-2"))
    assert foreign == (
        "nothing of it was taken: this bundle is of hub cloud for gw-2; this device is gw-1 of hub cloud"
    )
    older = _import(world, _bundle(generation=2))
    assert older["text"].startswith("what it asks was refused: generation 2 of term 1 is older")
    assert world.local(inputs.LocalBundleOpen(head=b"{}")).startswith("nothing of it was taken: bundle.json is not")
    huge = _bundle(generation=4, artifacts={"b" * 64: limits.ARTIFACT_BYTES_MAX + 1})
    assert "more than any may have" in world.local(inputs.LocalBundleOpen(head=huge[0]))
    many = {f"{number:064x}": limits.DOCUMENT_BYTES_MAX for number in range(200)}
    down, _, proof = head.read(_bundle(generation=4)[0], head.Down)
    assert down.desired is not None
    put = {f"task/t{number}": head.digest_of(name) for number, name in enumerate(many)}
    desired = msgspec.structs.replace(down.desired, put=put)
    fat = head.join(head.encode(msgspec.structs.replace(down, parts=many, desired=desired)), proof)
    assert "documents have more than" in world.local(inputs.LocalBundleOpen(head=fat))
    assert world.local(inputs.LocalBundleRefused(reason="the stick was pulled out")) is None
    reasons = [msgspec.json.decode(one.body)["reason"] for one in world.entries("audit", "bundle.refused")]
    assert len(reasons) == 6
    assert reasons[-1] == "the stick was pulled out"
    assert list(world.local(inputs.LocalStatus())["services"]) == ["web"]


def test_an_export_takes_all_that_the_hub_is_not_known_to_have() -> None:
    world = World()
    assert "only begun" in _refused_before_start()
    world.start()
    world.wait(1.0)
    plan = world.local(inputs.LocalBundleExport())
    assert (plan["node"], plan["hub"], plan["hello"]["session"]) == ("gw-1", "cloud", world.session())
    rows = {one["stream"]: (one["after"], one["upto"]) for one in plan["rows"]}
    assert rows["audit"] == (0, len(world.entries("audit")))
    assert world.kinds("audit")[-1] == "bundle.exported"
    acked = messages.Cursor(epoch="0" * 16, seq=1, hash=world.store.streams["audit"].hash.hex())
    _import(world, _bundle(generation=0, cursors={"audit": acked}))
    again = world.local(inputs.LocalBundleExport())
    assert [one["after"] for one in again["rows"] if one["stream"] == "audit"] == [1]


def _refused_before_start() -> str:
    world = World()
    reply = only(
        world.do(inputs.Local(request=7, user="ada", uid=1, command=inputs.LocalBundleExport())), inputs.LocalReply
    )
    assert not acts(world.fx, inputs.Launch)
    assert "bundle.exported" not in world.kinds("audit")
    return reply.error
