"""Both ends of the proofs, joined in memory; the test is the broker between them."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import codec, messages
from protocol.errors import LocalProtocolError, RemoteProtocolError, SkerryError, TrustError
from protocol.link import seal
from protocol.trust import certificates
from protocol.trust.signing import Anchor
from tests.support.pki import Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(Path(tmp_path_factory.mktemp("pki")))


def child(pki: Pki, node: str = "a1", session: int = 1, *, device: str = "", chain: str = "") -> seal.ChildSeal:
    owner = pki.device(device or node)
    return seal.ChildSeal(
        node=node,
        parent="hub",
        session=session,
        nonce="aa",
        chain=chain or owner.chain,
        sign=owner.sign,
        anchor=Anchor(pki.root),
        secret=secrets.token_bytes(32),
    )


def parent(pki: Pki, *, admits: bool = True) -> seal.ParentSeal:
    return seal.ParentSeal(hub="hub", signer=pki.signer, root=pki.root.decode(), admits=lambda _: admits)


def hello(session: int = 1, node: str = "a1", nonce: str = "aa") -> messages.Hello:
    return messages.Hello(session=session, nonce=nonce, node=node, version="1")


def welcome(pki: Pki, session: int = 1) -> messages.Welcome:
    return messages.Welcome(
        incarnation="i",
        session=session,
        nonce="aa",
        parent="hub",
        cursors={},
        time_ms=0,
        contact_s=60,
        chain=pki.signer.chain,
    )


def bye(session: int = 1) -> messages.Bye:
    return messages.Bye(session=session, nonce="aa", reason="x")


def ack(seq: int) -> messages.EntriesAck:
    return messages.EntriesAck(incarnation="i", session=1, stream="state", epoch="0" * 16, seq=seq)


def need(name: str) -> messages.Need:
    return messages.Need(session=1, documents=[name])


def sealed(hub: seal.ParentSeal, message: messages.AnyMessage, node: str = "a1") -> bytes:
    payload = hub.seal(node, message, secrets.token_bytes(32))
    assert payload is not None
    return payload


def open_session(pki: Pki, hub: seal.ParentSeal, session: int = 1) -> seal.ChildSeal:
    one = child(pki, session=session)
    unsealed = hub.unseal("a1", one.seal(hello(session)))
    assert unsealed.identity is not None
    assert unsealed.identity.key == pki.device("a1").key_hash
    assert one.unseal(sealed(hub, welcome(pki, session))) == welcome(pki, session)
    return one


def test_after_hello_and_welcome_both_ways_are_proven(pki: Pki) -> None:
    hub = parent(pki)
    one = open_session(pki, hub)
    for count in range(1, 4):
        assert hub.unseal("a1", one.seal(need(str(count)))).message == need(str(count))
        assert one.unseal(sealed(hub, ack(count))) == ack(count)


def test_a_large_message_is_compressed_and_still_proven(pki: Pki) -> None:
    hub = parent(pki)
    one = open_session(pki, hub)
    large = messages.Need(session=1, documents=[f"sha256:{number:064x}" for number in range(200)])
    payload = one.seal(large)
    assert len(payload) < 5_000
    assert hub.unseal("a1", payload).message == large


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_byte_of_a_message_can_be_altered(pki: Pki, at: int, flip: int) -> None:
    hub = parent(pki)
    one = open_session(pki, hub)

    def read_up(data: bytes) -> messages.AnyMessage:
        return hub.unseal("a1", data).message

    for payload, read in ((one.seal(need("x")), read_up), (sealed(hub, ack(1)), one.unseal)):
        altered = bytearray(payload)
        altered[at % len(payload)] ^= flip
        try:
            message = read(bytes(altered))
        except SkerryError:
            continue
        assert message in (need("x"), ack(1))  # a byte of the proof's JSON that means nothing


def test_a_replay_and_a_late_message_are_refused(pki: Pki) -> None:
    hub = parent(pki)
    one = open_session(pki, hub)
    first, second = one.seal(need("1")), one.seal(need("2"))
    hub.unseal("a1", second)
    for payload in (second, first):
        with pytest.raises(TrustError, match="came again"):
            hub.unseal("a1", payload)


def test_a_message_of_another_session_or_node_or_direction_is_refused(pki: Pki) -> None:
    hub = parent(pki)
    old = open_session(pki, hub)
    late = old.seal(need("late"))
    new = open_session(pki, hub, 2)
    downwards = sealed(hub, ack(1))
    with pytest.raises(TrustError):
        hub.unseal("a1", late)
    with pytest.raises(TrustError, match="not open here"):
        hub.unseal("a2", new.seal(need("x")))
    with pytest.raises(TrustError):
        hub.unseal("a1", downwards)
    with pytest.raises(TrustError):
        old.unseal(downwards)


def test_a_hello_counts_once(pki: Pki) -> None:
    hub = parent(pki)
    payload = child(pki).seal(hello())
    hub.unseal("a1", payload)
    with pytest.raises(TrustError, match="came again"):
        hub.unseal("a1", payload)


def test_a_hello_of_an_old_copy_is_heard_and_answered_and_changes_nothing(pki: Pki) -> None:
    hub = parent(pki)
    new, old = child(pki, session=7), child(pki, session=2)
    hub.unseal("a1", new.seal(hello(7)))
    new.unseal(sealed(hub, welcome(pki, 7)))
    assert hub.unseal("a1", old.seal(hello(2))).message == hello(2)
    look = messages.Look(incarnation="i", session=7)
    assert old.unseal(sealed(hub, look)) == look
    assert hub.unseal("a1", new.seal(need("x"))).message == need("x")


def test_a_clone_with_the_same_counter_is_heard_so_that_it_can_be_noticed(pki: Pki) -> None:
    hub = parent(pki)
    hub.unseal("a1", child(pki).seal(hello()))
    assert hub.unseal("a1", child(pki).seal(hello(nonce="bb"))).message == hello(nonce="bb")


def test_a_hello_needs_the_certificate_and_the_key_of_its_node(pki: Pki, tmp_path: Path) -> None:
    hub, foreign = parent(pki), Pki(tmp_path)
    with pytest.raises(TrustError, match="names node a2"):
        hub.unseal("a1", child(pki, device="a2").seal(hello()))
    with pytest.raises(TrustError, match="signature of a1"):
        hub.unseal("a1", child(pki, device="a2", chain=pki.device("a1").chain).seal(hello()))
    with pytest.raises(TrustError, match="broken"):
        hub.unseal("a1", child(foreign).seal(hello()))
    with pytest.raises(RemoteProtocolError, match="Hello of a1"):
        hub.unseal("a2", child(pki).seal(hello()))
    with pytest.raises(TrustError, match="names hub hub"):
        hub.unseal("a1", child(pki, chain=(pki.folder / "hub.pem").read_text()).seal(hello()))
    signer = certificates.load_chain(pki.signer.chain)[0].public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(TrustError, match="names signer"):
        hub.unseal("a1", child(pki, chain=signer).seal(hello()))


def test_who_is_not_of_the_fleet_changes_nothing(pki: Pki) -> None:
    hub = parent(pki, admits=False)
    with pytest.raises(TrustError, match="part of the fleet"):
        hub.unseal("a1", child(pki).seal(hello()))
    assert hub.seal("a1", welcome(pki), bytes(32)) is None


def test_a_welcome_is_only_for_the_hello_it_answers(pki: Pki) -> None:
    hub = parent(pki)
    assert hub.seal("a1", welcome(pki), bytes(32)) is None
    one = child(pki)
    hub.unseal("a1", one.seal(hello()))
    assert hub.seal("a1", welcome(pki, 2), bytes(32)) is None
    payload = sealed(hub, welcome(pki))
    with pytest.raises(TrustError, match="wrong"):
        child(pki).unseal(payload)
    one.unseal(payload)
    with pytest.raises(TrustError, match="again"):
        one.unseal(payload)


def test_a_welcome_of_another_hub_is_refused(pki: Pki, tmp_path: Path) -> None:
    foreign = Pki(tmp_path)
    one = child(pki)
    other = seal.ParentSeal(hub="hub", signer=foreign.signer, root=pki.root.decode(), admits=lambda _: True)
    other.unseal("a1", one.seal(hello()))
    with pytest.raises(TrustError, match="pinned root"):
        one.unseal(sealed(other, welcome(foreign)))


def test_a_broken_ephemeral_key_is_refused(pki: Pki) -> None:
    hub = parent(pki)
    one = child(pki)
    one._ephemeral = bytes(32)  # pyright: ignore[reportPrivateUsage] - a peer can send any point
    hub.unseal("a1", one.seal(hello()))
    with pytest.raises(TrustError, match="ephemeral"):
        hub.seal("a1", welcome(pki), bytes(32))


def test_before_the_welcome_only_hello_and_bye_may_leave(pki: Pki) -> None:
    hub, one = parent(pki), child(pki)
    with pytest.raises(LocalProtocolError, match="before the Welcome"):
        one.seal(need("x"))
    with pytest.raises(TrustError, match="before the Welcome"):
        one.unseal(sealed_after_welcome(pki))
    hub.unseal("a1", one.seal(hello()))
    assert hub.unseal("a1", one.seal(bye())) == seal.Unsealed(message=bye(), will=True)


def sealed_after_welcome(pki: Pki) -> bytes:
    hub = parent(pki)
    open_session(pki, hub)
    return sealed(hub, ack(1))


def test_a_will_is_believed_for_its_own_session_only(pki: Pki) -> None:
    hub, one = parent(pki), child(pki)
    will = one.seal_will(bye())
    with pytest.raises(TrustError, match="not open here"):
        hub.unseal("a1", will)
    hub.unseal("a1", one.seal(hello()))
    assert hub.unseal("a1", will).will
    with pytest.raises(TrustError, match="signature"):
        hub.unseal("a1", child(pki, device="a2").seal_will(bye()))
    hub.unseal("a1", child(pki, session=2).seal(hello(2)))
    with pytest.raises(TrustError, match="not open here"):
        hub.unseal("a1", will)


def test_look_and_revoked_reach_a_child_without_a_session(pki: Pki) -> None:
    hub, one = parent(pki), child(pki)
    look, revoked = messages.Look(incarnation="i"), pki.signer.revoked("a1", 0, "stolen", "i")
    assert one.unseal(sealed(hub, look)) == look
    assert one.unseal(sealed(hub, revoked)) == revoked
    with pytest.raises(TrustError):
        one.unseal(sealed(hub, look, node="a2"))
    assert hub.seal("a1", ack(1), bytes(32)) is None


def test_a_forgotten_child_is_not_heard_and_not_answered(pki: Pki) -> None:
    hub = parent(pki)
    one = open_session(pki, hub)
    hub.forget("a1")
    with pytest.raises(TrustError):
        hub.unseal("a1", one.seal(need("x")))
    assert hub.seal("a1", ack(1), bytes(32)) is None


@pytest.mark.parametrize("payload", [b"", b"{}", b"\n", b"{}\n{}", b'{"is":"hello"}\n' + b"x" * 40_000])
def test_bytes_without_a_proof_are_refused_by_both(pki: Pki, payload: bytes) -> None:
    with pytest.raises(TrustError):
        parent(pki).unseal("a1", payload)
    with pytest.raises(TrustError):
        child(pki).unseal(payload)


def test_a_proof_of_another_kind_is_refused_by_both(pki: Pki) -> None:
    hub, one = parent(pki), child(pki)
    word = msgspec.json.encode({"by": "word", "chain": "", "signature": ""})
    with pytest.raises(TrustError, match="another kind"):
        hub.unseal("a1", codec.encode(bye()) + b"\n" + word)
    with pytest.raises(TrustError, match="another kind"):
        one.unseal(codec.encode(ack(1)) + b"\n" + word)


def test_a_count_out_of_range_is_refused(pki: Pki) -> None:
    hub = parent(pki)
    open_session(pki, hub)
    for count in (-1, 1 << 63):
        proof = msgspec.json.encode({"by": "session", "n": count, "mac": "AAAA"})
        with pytest.raises(TrustError):
            hub.unseal("a1", codec.encode(bye()) + b"\n" + proof)


def test_a_certificate_names_its_node(pki: Pki) -> None:
    assert certificates.identify(pki.device("a1").chain).id == "a1"
