"""Certificates without X.509 in the daemon: what is noted is used, what is new is proven by a helper first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from edge_agent.core import inputs
from edge_agent.shell import identity
from edge_agent.shell.papers import clerk, notes, own
from edge_agent.shell.runners.children import Helpers
from protocol import limits, messages
from protocol.errors import TrustError
from protocol.trust import certificates, signing
from tests.contract.shell.world import until

NOW_S = 1_800_000_000.0
ROOT_KEY = certificates.make_key()
ROOT = certificates.make_root(ROOT_KEY, "cloud", NOW_S)
DIGEST = "sha256:" + "a" * 64


def hub(root_key: certificates.ec.EllipticCurvePrivateKey = ROOT_KEY, root: bytes = ROOT) -> signing.Signer:
    key, chain = certificates.make_signer("cloud", root_key, root, NOW_S)
    return signing.Signer(key, "cloud", chain)


def issue(csr: str, days: int = 90) -> str:
    return certificates.issue_node(csr.encode(), "gw-1", ROOT_KEY, ROOT, NOW_S, days).decode()


def enrolled(data: Path, *, sealed: bool = False) -> identity.AgentFile:
    """Make the files of a device that was just enrolled."""
    file = identity.AgentFile(
        node="gw-1",
        hub="cloud",
        parent="cloud",
        scope="cloud.skerry",
        mqtt=identity.Mqtt(host="127.0.0.1", port=1, name="cloud", sealed=sealed),
        api=identity.Address(host="127.0.0.1", port=1),
        root_pin=signing.spki_hash(ROOT),
    )
    (data / "root.pem").write_bytes(ROOT)
    own.store_certificate(data, file, issue(own.make_csr(data, "gw-1")))
    identity.save(data, file)
    return file


def welcome(chain: str, session: int = 1) -> messages.Welcome:
    return messages.Welcome(
        incarnation="i1", session=session, nonce="n", parent="cloud", cursors={}, time_ms=1, contact_s=30, chain=chain
    )


class Office:
    """A clerk at work, and what he handed on."""

    def __init__(self, data: Path, helpers: Helpers) -> None:
        self.data, self.file, self._helpers = data, enrolled(data), helpers
        self.heard: list[messages.AnyMessage] = []
        self.reported: list[inputs.Input] = []

    async def open(self) -> clerk.Clerk:
        """Return the clerk of a new life."""
        self.clerk = await clerk.Clerk.of(self.data, self.file)
        return self.clerk

    def hear(self, *said: messages.AnyMessage) -> None:
        """Let the clerk hear what the parent says."""
        for message in said:
            self.clerk.heard(message, self._helpers, self.heard.append)


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with asyncio.TaskGroup() as group:
        yield Office(tmp_path, Helpers(group))


async def test_a_welcome_with_a_new_chain_waits_until_it_is_proven_and_what_follows_waits_behind_it(office: Office):
    cloud = hub()
    said = [welcome(cloud.chain), *(messages.Look(incarnation="i1", session=n) for n in range(3))]
    anchor = (await office.open()).anchor

    office.hear(*said)
    assert not office.heard

    await until(lambda: len(office.heard) == len(said))
    assert office.heard == said
    assert anchor.learn(cloud.chain, "cloud") == cloud.key
    anchor.check_manifest(cloud.manifest("gw-1", 1, 7, DIGEST), "cloud", "gw-1")


async def test_what_was_proven_in_one_life_needs_no_proof_in_the_next(office: Office):
    cloud = hub()
    await office.open()
    office.hear(welcome(cloud.chain))
    await until(lambda: office.heard)

    anchor = (await office.open()).anchor
    anchor.check_revoked(cloud.revoked("gw-1", 5, "stolen", "i1"), "cloud", "gw-1")  # before any Welcome
    office.hear(welcome(cloud.chain, session=2))
    assert len(office.heard) == 2


async def test_a_chain_of_another_root_is_refused_and_the_reason_is_told(office: Office):
    key = certificates.make_key()
    other = hub(key, certificates.make_root(key, "cloud", NOW_S))
    anchor = (await office.open()).anchor

    office.hear(welcome(other.chain))
    await until(lambda: office.heard)

    with pytest.raises(TrustError, match="does not end at the pinned root"):
        anchor.learn(other.chain, "cloud")
    with pytest.raises(TrustError, match="has not proven"):
        anchor.check_manifest(other.manifest("gw-1", 1, 7, DIGEST), "cloud", "gw-1")


async def test_a_chain_that_is_too_long_is_not_even_looked_at(office: Office):
    anchor = (await office.open()).anchor
    chain = "x" * (limits.CHAIN_BYTES_MAX + 1)

    office.hear(welcome(chain))
    await until(lambda: office.heard)

    with pytest.raises(TrustError, match="chain of 16385 bytes is over"):
        anchor.learn(chain, "cloud")


async def test_only_so_much_waits_for_a_proof(office: Office):
    await office.open()
    office.hear(welcome(hub().chain), *[messages.Look(incarnation="i1")] * 100)

    await until(lambda: office.heard)
    assert len(office.heard) == limits.WAITING_FOR_PROOF_MAX


async def test_a_second_new_chain_that_came_meanwhile_is_proven_as_well(office: Office):
    one, two = hub(), hub()
    anchor = (await office.open()).anchor
    office.hear(welcome(one.chain), welcome(two.chain, session=2))

    await until(lambda: len(office.heard) == 2)
    assert [anchor.learn(each.chain, "cloud") for each in (one, two)] == [one.key, two.key]


async def test_a_proof_under_another_root_is_not_believed(office: Office):
    office.file = msgspec.structs.replace(office.file, root_pin="0" * 64)
    proof = signing.Proof(root=signing.spki_hash(ROOT), parent="cloud", chain="c", key="k")
    noted = notes.read(office.data, office.file.root_pin)
    notes.write(office.data, notes.Notes(certificate=noted.certificate, proofs=[proof]))

    assert not (await office.open()).anchor.proofs()
    with pytest.raises(TrustError, match="another root"):
        office.clerk.anchor.take(proof)


async def test_a_certificate_whose_notes_are_lost_or_of_another_file_is_read_again(office: Office):
    before = (await office.open()).certificate
    assert before.id == "gw-1"

    (office.data / "papers.json").write_text("rubbish")
    assert (await office.open()).certificate == before

    (office.data / "cert.pem").write_text(issue(own.make_csr(office.data, "gw-1"), days=30))
    assert (await office.open()).certificate.until_ms < before.until_ms
    assert notes.read(office.data, office.file.root_pin).certificate == office.clerk.certificate


async def test_a_certificate_that_is_none_is_told_so(office: Office):
    (office.data / "cert.pem").write_text("rubbish")

    with pytest.raises(TrustError, match="not a certificate"):
        await office.open()


async def test_a_renewal_goes_through_the_helper(office: Office):
    before = (await office.open()).certificate

    await office.clerk.make_csr(office.reported.append)
    made = office.reported.pop()
    assert isinstance(made, inputs.CsrMade)
    await office.clerk.store(issue(made.csr, days=120), office.reported.append)

    stored = office.reported.pop()
    assert isinstance(stored, inputs.CertificateStored)
    assert stored.until_ms > before.until_ms
    assert (await office.open()).certificate.until_ms == stored.until_ms


async def test_a_certificate_for_another_key_is_not_stored(office: Office, caplog: pytest.LogCaptureFixture):
    before = (await office.open()).certificate
    foreign = certificates.make_csr(certificates.make_key(), "gw-1").decode()

    await office.clerk.store(issue(foreign), office.reported.append)

    assert not office.reported
    assert "for another key than this device's" in caplog.text
    assert (await office.open()).certificate == before


async def test_a_request_that_cannot_be_made_is_told_and_asked_for_again_later(
    office: Office, caplog: pytest.LogCaptureFixture
):
    await office.open()
    (office.data / "key.pem").write_text("rubbish")

    await office.clerk.make_csr(office.reported.append)

    assert not office.reported
    assert "the private key cannot be read" in caplog.text


async def test_through_a_broker_the_seal_proves_chains_itself(tmp_path: Path):
    cloud = hub()
    anchor = (await clerk.Clerk.of(tmp_path, enrolled(tmp_path, sealed=True))).anchor

    assert anchor.learn(cloud.chain, "cloud") == cloud.key


def test_a_full_disk_costs_the_note_and_not_the_proof(tmp_path: Path):
    file, cloud = enrolled(tmp_path), hub()
    (tmp_path / "papers.json").unlink()
    (tmp_path / "papers.json").mkdir()

    assert own.prove_signer(tmp_path, file, cloud.chain).parent == "cloud"


async def test_a_hub_that_cannot_be_asked_apart_is_an_answer_too_so_that_the_core_asks_again(office: Office):
    await (await office.open()).ask_apart(office.reported.append)
    assert office.reported == [inputs.AnsweredApart()]
