"""Bundles at a hub: what an operator carries to a device, and brings of it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.core import inputs
from protocol import codec, limits, messages, status
from protocol.bundle import head
from protocol.link import cursor, parent_desired
from protocol.trust import gaps
from tests.unit.hub.test_restore import restored
from tests.unit.hub.tiers import Tier
from tests.unit.hub.world import SECRET_HASH, World, enroll, only, service


class Mast:
    """A device that no network reaches, enrolled with a key of its own."""

    def __init__(self, world: World, number: int = 7) -> None:
        self.world, self.name = world, f"mast-{number}"
        key = ec.derive_private_key(number, ec.SECP256R1())
        self.signer = gaps.GapSigner(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        spki = hashlib.sha256(msgspec.json.decode(b'"%s"' % self.signer.key.encode(), type=bytes)).hexdigest()
        name = self.name
        if not world.core.enrollment.tokens:
            world.token()
        asked = enroll(name, key=spki, labels={"site": "mast"})
        issue = only(world.request(asked), inputs.IssueCertificate)
        world.take(inputs.CertificateIssued(request=issue.request, node=name, certificate="CERT", until_ms=1))
        self.held, self.count = messages.Held(), 0
        self.begin("b" * 16)

    def begin(self, epoch: str) -> None:
        """Have a new journal."""
        self.epoch, self.hash, self.seq = epoch, cursor.genesis(self.name, epoch, "state"), 0

    def bundle(
        self, *kinds: str, hub: str = "cloud", report: bytes = b"{}", parts: dict[str, bytes] | None = None
    ) -> Any:
        """Return `bundle.json` and the parts, with these entries in one part."""
        prev, before = self.seq, self.hash
        items = [(kind, "beat", b'{"n":1}') for kind in kinds]
        rows = cursor.encode_rows(prev, before, True, 1_000, items)
        raws: dict[str, bytes] = dict(parts or {})
        if rows:
            self.seq, _, self.hash = rows[-1]
            message = messages.Entries(
                session=0,
                stream="state",
                epoch=self.epoch,
                prev=prev,
                rows=[msgspec.Raw(raw) for _, raw, _ in rows],
                hash=self.hash.hex(),
            )
            raw = codec.encode(message)
            raws[hashlib.sha256(raw).hexdigest()] = raw
        self.count += 1
        streams = {
            "state": messages.StreamHead(epoch=self.epoch, seq=self.seq, hash=self.hash.hex() if self.seq else "")
        }
        up = head.Up(
            hub="cloud",
            node=self.name,
            time_ms=5,
            parts={name: len(raw) for name, raw in raws.items()},
            rows=list(raws),
            hello=messages.Hello(
                session=1, nonce="aa", node=self.name, version="0.1.0", streams=streams, held=self.held
            ),
            status=messages.Status(
                session=1,
                count=self.count,
                held=self.held,
                heads={"state": self.seq},
                time_ms=5,
                body=msgspec.Raw(report),
            ),
        )
        body = head.encode(up)
        covered = head.covered("up", "cloud", self.name, head.hash_of(body), self.signer.key)
        return head.join(body, head.Proof(key=self.signer.key, signature=self.signer.signature(covered))), raws

    def bring(self, made: Any) -> list[Any]:
        """Import a bundle as the operator's command does; return the answers."""
        raw, parts = made
        begun = self.world.ask(inputs.TakeBundle(head=raw))
        return [begun, *(self.world.ask(inputs.TakePart(node=self.name, raw=parts[one])) for one in begun["rows"])]


@pytest.fixture
def mast() -> Mast:
    return Mast(World())


def test_a_bundle_holds_all_that_is_asked_and_a_second_one_what_changed(mast: Mast) -> None:
    world = mast.world
    first = world.ask(inputs.ExportBundle(node="mast-7"))
    assert (first["generation"], first["parts"]) == (1, {})
    world.ask(inputs.Apply(documents=[service("beat", "site=mast")]))
    made = world.ask(inputs.ExportBundle(node="mast-7"))
    assert made["generation"] == 2
    down, _, _ = head.read(made["head"].encode(), head.Down)
    assert down.desired is not None
    assert list(down.desired.put) == ["assignment/beat"]
    (name,) = made["parts"]
    body = world.core.parent.couriers.part("mast-7", name)
    assert body is not None
    assert made["parts"] == {hashlib.sha256(body).hexdigest(): len(body)}
    assert world.store.rows["audit"][-1] == ("bundle.exported", "mast-7", {"who": "token:admin", "parts": 1})


def test_an_artifact_rides_along_and_one_that_is_not_here_is_waited_for(mast: Mast) -> None:
    world, digest = mast.world, "sha256:" + "c" * 64
    world.ask(inputs.NoteArtifact(digest=digest, size=77))
    world.ask(inputs.Apply(documents=[service("beat", "site=mast", artifact=digest)]))
    assert world.ask(inputs.ExportBundle(node="mast-7"))["parts"]["c" * 64] == 77
    world.take(inputs.ArtifactsFound(sizes={}))
    reply = only(world.request(inputs.ExportBundle(node="mast-7")), inputs.Reply)
    assert "is not at this hub yet" in reply.error


def test_what_is_brought_is_known_and_dated_and_nothing_is_twice(mast: Mast) -> None:
    world = mast.world
    world.ask(inputs.Apply(documents=[service("beat", "site=mast")]))
    down, _, _ = head.read(world.ask(inputs.ExportBundle(node="mast-7"))["head"].encode(), head.Down)
    assert down.desired is not None
    signed = down.desired.signed
    mast.held = messages.Held(term=signed.term, generation=signed.generation, digest=signed.digest)
    report = status.encode(status.Report(services={"beat": status.ServiceReport(state="running")}))
    made = mast.bundle("app.one", "app.two", report=report)
    begun, part = mast.bring(made)
    assert begun["newest"]
    assert (part["stream"], part["seq"], part["refill"]) == ("state", 2, False)
    node = world.node("mast-7")
    assert (node["state"], node["observed_generation"]) == ("away", 2)
    assert node["services"]["beat"]["state"] == "running"
    assert world.store.received == [("mast-7", "state", 1), ("mast-7", "state", 2)]
    assert not mast.bring(made)[0]["newest"]
    assert len(world.store.received) == 2
    mast.bring(mast.bundle("app.three"))
    assert world.store.received[-1] == ("mast-7", "state", 3)
    assert world.ask(inputs.ExportBundle(node="mast-7"))
    seen, _, _ = head.read(world.ask(inputs.ExportBundle(node="mast-7"))["head"].encode(), head.Down)
    assert (seen.cursors["state"].seq, seen.seen, seen.session) == (3, (1, 2), 1)


def test_a_status_that_cannot_be_read_is_no_report(mast: Mast) -> None:
    assert mast.bring(mast.bundle(report=b'{"services": 7}'))[0]["newest"]
    assert mast.world.node("mast-7")["state"] == "away"


def test_a_bundle_that_lacks_the_one_before_is_told_so(mast: Mast) -> None:
    mast.bundle("app.one")
    _, part = mast.bring(mast.bundle("app.two"))
    assert (part["seq"], part["refill"]) == (0, True)


def test_what_is_refused_is_told_and_stands_in_the_audit(mast: Mast) -> None:
    world = mast.world
    raw, _ = mast.bundle("app.one")
    altered = raw.replace(b'"time_ms":5', b'"time_ms":6', 1)
    reply = only(world.request(inputs.TakeBundle(head=altered)), inputs.Reply)
    assert reply.status == 403
    assert reply.error.startswith("nothing of this bundle was taken: its signature is wrong")
    assert [one["what"] for one in world.node("mast-7")["alarms"]] == ["bundle-refused"]
    assert world.store.rows["audit"][-1][0] == "bundle.refused"
    strange = raw.replace(b'"node":"mast-7"', b'"node":"mast-8"')
    assert "not enrolled" in only(world.request(inputs.TakeBundle(head=strange)), inputs.Reply).error
    assert only(world.request(inputs.TakeBundle(head=b"x")), inputs.Reply).status == 422
    part = inputs.TakePart(node="mast-7", raw=b"{}")
    assert "import the bundle again" in only(world.request(part), inputs.Reply).error
    assert world.store.received == []


def test_a_part_that_holds_no_rows_is_refused(mast: Mast) -> None:
    noise, need = b"noise", codec.encode(messages.Need(session=1))
    parts = {hashlib.sha256(one).hexdigest(): one for one in (noise, need)}
    raw, _ = mast.bundle(parts=parts)
    world = mast.world
    world.ask(inputs.TakeBundle(head=raw))
    assert "is no message" in only(world.request(inputs.TakePart(node="mast-7", raw=noise)), inputs.Reply).error
    assert "holds no rows" in only(world.request(inputs.TakePart(node="mast-7", raw=need)), inputs.Reply).error


def test_a_quarantined_device_is_not_heard_by_stick_either(mast: Mast) -> None:
    world = mast.world
    mast.bring(mast.bundle("app.one"))
    raw, _ = mast.bundle()
    world.request(inputs.TakeBundle(head=raw))
    clone = Mast(World())
    clone.world = world
    up, body, _ = head.read(clone.bundle()[0], head.Up)
    other = msgspec.structs.replace(up, hello=msgspec.structs.replace(up.hello, nonce="bb"))
    body = head.encode(other)
    covered = head.covered("up", "cloud", "mast-7", head.hash_of(body), clone.signer.key)
    proof = head.Proof(key=clone.signer.key, signature=clone.signer.signature(covered))
    world.request(inputs.TakeBundle(head=head.join(body, proof)))
    assert world.node("mast-7")["state"] == "quarantined"
    assert only(world.request(inputs.TakeBundle(head=raw)), inputs.Reply).status == 409
    assert "quarantined" in only(world.request(inputs.ExportBundle(node="mast-7")), inputs.Reply).error


def test_who_is_revoked_while_a_bundle_of_it_is_taken_is_heard_no_further(mast: Mast) -> None:
    world = mast.world
    raw, parts = mast.bundle("app.one")
    (part,) = parts.values()
    world.ask(inputs.TakeBundle(head=raw))
    world.ask(inputs.RevokeNode(node="mast-7", reason="stolen"))
    reply = only(world.request(inputs.TakePart(node="mast-7", raw=part)), inputs.Reply)
    assert reply.error.startswith("mast-7 was turned away since its bundle was begun (stolen")
    assert world.store.received == []


def test_a_hub_that_lives_from_a_backup_asks_nothing_more_by_stick_before_that_is_accepted(mast: Mast) -> None:
    world = mast.world
    world.ask(inputs.Apply(documents=[service("beat", "site=mast")]))
    restored(world, world.store)
    world.ask(inputs.Apply(documents=[service("pulse", "site=mast")]))
    asked = dict(world.store.spaces[parent_desired.ASKED])
    assert "accept-restore" in only(world.request(inputs.ExportBundle(node="mast-7")), inputs.Reply).error
    assert world.store.spaces[parent_desired.ASKED] == asked
    world.ask(inputs.AcceptRestore(reason="we know"))
    assert world.ask(inputs.ExportBundle(node="mast-7"))["generation"] > 1


def test_bundles_of_many_devices_are_open_at_a_time_within_a_bound(mast: Mast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUNDLES_OPEN_MAX", 1)
    world, other = mast.world, Mast(mast.world, 8)
    raw, parts = mast.bundle("app.one")
    world.ask(inputs.TakeBundle(head=raw))
    other.bring(other.bundle("app.one"))
    (part,) = parts.values()
    assert (
        "import the bundle again" in only(world.request(inputs.TakePart(node="mast-7", raw=part)), inputs.Reply).error
    )


def test_too_much_for_one_bundle_is_for_the_link(mast: Mast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUNDLE_PARTS_MAX", 0)
    mast.world.ask(inputs.Apply(documents=[service("beat", "site=mast")]))
    assert "use its link" in only(mast.world.request(inputs.ExportBundle(node="mast-7")), inputs.Reply).error


def test_rows_of_an_epoch_that_is_fenced_are_left_out(mast: Mast) -> None:
    world = mast.world
    mast.bring(mast.bundle("app.one"))
    late = mast.bundle("app.two")
    mast.begin("c" * 16)
    mast.bring(mast.bundle("app.three"))
    begun, part = mast.bring(late)
    assert not begun["newest"]
    assert part["fenced"]
    assert [seq for _, _, seq in world.store.received] == [1, 1]


def test_hubs_are_not_carried() -> None:
    world = Tier("cloud")
    world.region("north")
    assert "north is a hub" in only(world.request(inputs.ExportBundle(node="north")), inputs.Reply).error


def _reserve(world: World, token: str = "stick", name: str = "mast-9") -> Any:
    wished = inputs.ReserveNode(node=name, token=token, secret_hash=SECRET_HASH, ttl_s=3_600.0, labels={"site": "mast"})
    return world.request(wished)


def _show(world: World, name: str, key: str, token: str) -> str:
    """Have a device show a token; return why it is turned down, or an empty text."""
    fx = world.request(enroll(name, key=key, token=token))
    issue = [act for act in fx.act if isinstance(act, inputs.IssueCertificate)]
    if not issue:
        return only(fx, inputs.Reply).error
    done = inputs.CertificateIssued(request=issue[0].request, node=issue[0].node, certificate="CERT", until_ms=1)
    return only(world.take(done), inputs.Reply).error


def test_a_name_is_kept_for_who_has_the_stick_and_for_nobody_else() -> None:
    world = World()
    world.ask(inputs.Apply(documents=[service("beat", "site=mast")]))
    assert msgspec.json.decode(only(_reserve(world), inputs.Reply).data)["node"] == "mast-9"
    assert world.ask(inputs.ExportBundle(node="mast-9"))["parts"], "it is asked before it was ever met"
    raw, _ = Mast(World(), 9).bundle()
    assert "has not enrolled yet" in only(world.request(inputs.TakeBundle(head=raw)), inputs.Reply).error
    assert world.node("mast-9")["alarms"] == []
    world.token("tok")
    assert "taken by another key" in _show(world, "mast-9", "b" * 64, "tok")
    assert "for a device called mast-9 alone" in _show(world, "other", "b" * 64, "stick")
    assert _show(world, "mast-9", "a" * 64, "stick") == ""
    assert world.node("mast-9")["labels"] == {"site": "mast"}
    assert world.core.registry.get("mast-9").key == "a" * 64
    assert "alone" in _show(world, "mast-9", "c" * 64, "stick"), "a second device with a copy of the stick"
    assert _show(world, "mast-9", "a" * 64, "stick") == "", "its answer was lost: it asks again"
    assert "there is a mast-9 already" in only(_reserve(world, "again"), inputs.Reply).error
    assert "there is a cloud already" in only(_reserve(world, "again", "cloud"), inputs.Reply).error


def test_a_stick_that_is_made_anew_replaces_the_one_before() -> None:
    world = World()
    _reserve(world)
    _reserve(world, "second")
    assert "knows no token" in _show(world, "mast-9", "a" * 64, "stick")
    assert _show(world, "", "a" * 64, "second") == ""
    assert world.core.registry.get("mast-9").key == "a" * 64
