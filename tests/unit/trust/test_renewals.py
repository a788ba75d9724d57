"""What a device signs to be renewed apart from its link: good for one node, hub, moment and key, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from protocol import limits
from protocol.errors import TooLarge, TrustError
from protocol.trust import certificates, renewals

NOW_MS = 1_800_000_000_000
KEY = certificates.make_key()
PEM = certificates.key_pem(KEY)
CSR = certificates.make_csr(KEY, "gw-1").decode()
ASKED = renewals.Renewal(node="gw-1", hub="cloud", time_ms=NOW_MS, until_ms=5, csr=CSR)
SIGNED = renewals.sign(ASKED, PEM)


def test_a_question_holds_and_names_the_key_that_signed_it() -> None:
    assert renewals.check(SIGNED, "cloud", NOW_MS) == certificates.spki_hash(CSR)


@pytest.mark.parametrize("off_s", [limits.RENEW_APART_FRESH_S, -limits.RENEW_APART_FRESH_S])
def test_a_question_holds_for_its_moment_and_a_replay_after_it_gives_nothing(off_s: float) -> None:
    renewals.check(SIGNED, "cloud", NOW_MS + int(off_s * 1000))
    with pytest.raises(TrustError, match="of another time"):
        renewals.check(SIGNED, "cloud", NOW_MS + int(off_s * 1001))


def test_a_question_to_another_hub_is_refused() -> None:
    with pytest.raises(TrustError, match="for another one"):
        renewals.check(SIGNED, "other", NOW_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"node": "gw-2"},
        {"time_ms": NOW_MS + 1},
        {"until_ms": 6},
        {"csr": certificates.make_csr(KEY, "gw-2").decode()},
        {"csr": certificates.make_csr(certificates.make_key(), "gw-1").decode()},
        {"signature": ""},
        {"signature": "?"},
        {"signature": "AAAA"},
    ],
)
def test_what_was_altered_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(TrustError, match="not signed by the key"):
        renewals.check(msgspec.structs.replace(SIGNED, **change), "cloud", NOW_MS)


def test_sizes_are_checked_before_anything_is_parsed() -> None:
    with pytest.raises(TooLarge):
        renewals.check(
            msgspec.structs.replace(SIGNED, signature="A" * (limits.SIGNATURE_CHARS_MAX + 1), csr="no"), "cloud", NOW_MS
        )
    with pytest.raises(TooLarge):
        renewals.check(msgspec.structs.replace(SIGNED, csr="x" * (limits.CSR_BYTES_MAX + 1)), "cloud", NOW_MS)
