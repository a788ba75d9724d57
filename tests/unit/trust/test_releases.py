"""Which version a device may be given: the root hub says so by its own signing key, and nobody below it can."""

from __future__ import annotations

import msgspec
import pytest

from protocol import documents
from protocol.errors import TrustError
from protocol.trust import certificates, releases, signing

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
PIN = certificates.spki_hash(ROOT)
EAST_KEY = certificates.make_key()
EAST_CA = certificates.issue_ca(certificates.make_csr(EAST_KEY, "east"), "east", ROOT_KEY, ROOT, NOW_S) + ROOT
PACKAGE = documents.Package(release="12", arch="amd64", artifact="sha256:" + 64 * "a")
SAID = documents.Upgrade(name="agents", version="0.2.0", packages=[PACKAGE], only=["gw-1"], number=3, by="cloud")


def signer(name: str, key: certificates.ec.EllipticCurvePrivateKey, chain: bytes) -> signing.Signer:
    made, its = certificates.make_signer(name, key, chain, NOW_S)
    return signing.Signer(made, name, its)


CLOUD, EAST = signer("cloud", ROOT_KEY, ROOT), signer("east", EAST_KEY, EAST_CA)


def test_the_word_of_the_root_holds_as_it_stands_wherever_it_is_passed_on() -> None:
    raw = documents.encode(releases.sign(SAID, CLOUD))
    again = documents.decode(raw)
    assert isinstance(again, documents.Upgrade)
    assert (documents.document_id(again), again.full("12")) == ("upgrade/agents", "0.2.0+deb12")
    releases.check(again, PIN)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "0.3.0"},
        {"packages": []},
        {"only": ["gw-2"]},
        {"packages": [PACKAGE, PACKAGE]},
        {"packages": [msgspec.structs.replace(PACKAGE, release="13")]},
        {"packages": [msgspec.structs.replace(PACKAGE, arch="arm64")]},
        {"packages": [msgspec.structs.replace(PACKAGE, artifact="x")]},
        {"number": 4},
        {"confirm_s": 9.0},
    ],
)
def test_whatever_is_altered_in_it_shows(change: dict[str, object]) -> None:
    with pytest.raises(TrustError, match="is wrong"):
        releases.check(msgspec.structs.replace(releases.sign(SAID, CLOUD), **change), PIN)


def test_a_region_says_nothing_of_versions_not_even_in_the_name_of_the_root() -> None:
    mine = msgspec.structs.replace(SAID, by="east")
    with pytest.raises(TrustError, match="hub east is not the root"):
        releases.check(releases.sign(mine, EAST), PIN)
    with pytest.raises(TrustError):
        releases.check(releases.sign(SAID, EAST), PIN)
    posing = msgspec.structs.replace(releases.sign(SAID, EAST), chain=CLOUD.chain)
    with pytest.raises(TrustError, match="is wrong"):
        releases.check(posing, PIN)


def test_another_root_than_the_pinned_one_is_nobody() -> None:
    with pytest.raises(TrustError, match="does not end at the pinned root"):
        releases.check(releases.sign(SAID, CLOUD), 64 * "0")
    with pytest.raises(TrustError):
        releases.check(SAID, PIN)
    odd = msgspec.structs.replace(releases.sign(SAID, CLOUD), signature="no base64")
    with pytest.raises(TrustError, match="is wrong"):
        releases.check(odd, PIN)
