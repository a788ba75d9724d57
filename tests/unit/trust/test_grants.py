"""Who may say that a device turns to another hub: a hub above both, by its own signing key, and nobody else."""

from __future__ import annotations

import msgspec
import pytest

from protocol import documents
from protocol.errors import TrustError
from protocol.trust import certificates, grants, signing

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
PIN = certificates.spki_hash(ROOT)


def region(name: str) -> tuple[certificates.ec.EllipticCurvePrivateKey, bytes]:
    key = certificates.make_key()
    return key, certificates.issue_ca(certificates.make_csr(key, name), name, ROOT_KEY, ROOT, NOW_S) + ROOT


def signer(name: str, key: certificates.ec.EllipticCurvePrivateKey, chain: bytes) -> signing.Signer:
    made, its = certificates.make_signer(name, key, chain, NOW_S)
    return signing.Signer(made, name, its)


CLOUD, EAST = signer("cloud", ROOT_KEY, ROOT), signer("east", *region("east"))


def haven(scope: str) -> documents.Haven:
    return documents.Haven(
        id=scope.partition(".")[0], scope=scope, mqtt_host="h", mqtt_port=1, api_host="h", api_port=2
    )


MOVE = documents.Move(node="gw-7", key="k", former="east", to=haven("west.cloud.skerry"), number=1, by="cloud")
GRANT = documents.Grant(
    of="east",
    scope="east.cloud.skerry",
    after_s=60.0,
    havens=[haven("east.cloud.skerry"), haven("cloud.skerry")],
    number=1,
    by="cloud",
)


def test_the_word_of_a_hub_above_both_holds_as_it_stands():
    grants.check(grants.sign(MOVE, CLOUD), PIN, "east.cloud.skerry")
    grants.check(grants.sign(GRANT, CLOUD), PIN, "east.cloud.skerry")
    again = documents.decode(documents.encode(grants.sign(MOVE, CLOUD)))
    assert isinstance(again, documents.Move)
    grants.check(again, PIN, "east.cloud.skerry")


@pytest.mark.parametrize("change", [{"number": 2}, {"node": "gw-8"}, {"key": "x"}, {"arrived": True}, {"who": "eve"}])
def test_whatever_is_altered_in_it_shows(change: dict[str, object]):
    altered = msgspec.structs.replace(grants.sign(MOVE, CLOUD), **change)
    with pytest.raises(TrustError, match="is wrong"):
        grants.check(altered, PIN, "east.cloud.skerry")


def test_a_grant_does_not_serve_for_another_hub_or_with_no_signature_at_all():
    changes: list[dict[str, object]] = [{"of": "west"}, {"after_s": 0.0}, {"signature": "!"}, {"havens": []}]
    for change in changes:
        with pytest.raises(TrustError, match="is wrong"):
            grants.check(msgspec.structs.replace(grants.sign(GRANT, CLOUD), **change), PIN, "east.cloud.skerry")


def test_a_hub_says_nothing_of_what_is_not_below_it():
    by_east = grants.sign(msgspec.structs.replace(MOVE, by="east"), EAST)
    with pytest.raises(TrustError, match=r"east is not above west\.cloud\.skerry"):
        grants.check(by_east, PIN, "east.cloud.skerry")
    with pytest.raises(TrustError, match=r"east is not above south\.cloud\.skerry"):
        grants.check(grants.sign(msgspec.structs.replace(GRANT, by="east"), EAST), PIN, "south.cloud.skerry")
    below = msgspec.structs.replace(MOVE, by="east", to=haven("port.east.cloud.skerry"))
    grants.check(grants.sign(below, EAST), PIN, "quay.east.cloud.skerry")
    beside = msgspec.structs.replace(MOVE, by="east", to=haven("not-east.cloud.skerry"))
    with pytest.raises(TrustError, match="is not above not-east"):
        grants.check(grants.sign(beside, EAST), PIN, "quay.east.cloud.skerry")


def test_it_is_signed_by_who_says_it_under_the_pinned_root():
    with pytest.raises(TrustError, match="names signer east, not signer cloud"):
        grants.check(grants.sign(MOVE, EAST), PIN, "east.cloud.skerry")
    other = certificates.make_key()
    forged = signer("cloud", other, certificates.make_root(other, "cloud", NOW_S))
    with pytest.raises(TrustError, match="does not end at the pinned root"):
        grants.check(grants.sign(MOVE, forged), PIN, "east.cloud.skerry")
