"""A device that its link does not let in asks the hub's API how it stands: with its own helper, at a real hub."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from edge_agent.shell import enroll, identity
from edge_agent.shell.papers import notary, notes, own
from protocol import limits, messages
from protocol.link.anchor import ProvenAnchor
from protocol.trust import certificates, renewals
from tests.contract.api.conftest import Served

DAY_MS = 86_400_000


@pytest.fixture
async def device(hub: Served, tmp_path: Path) -> Path:
    token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    url = hub.line.rpartition("API ")[2]
    await asyncio.to_thread(enroll.enroll, tmp_path / "gw-1", enroll.Request(hub=url, token=token, name="gw-1"))
    return tmp_path / "gw-1"


async def ask(device: Path) -> notes.Answer:
    return await asyncio.to_thread(notary.perform, notes.Job(do="apart", data=str(device)))


def outdated(device: Path, hub: Served) -> None:
    """Give the device a certificate that has ended."""
    root = certificates.load_key(hub.home.path("root.key").read_bytes())
    csr = own.make_csr(device, "gw-1").encode()
    ca = hub.home.path("root.pem").read_bytes()
    (device / "cert.pem").write_bytes(certificates.issue_node(csr, "gw-1", root, ca, time.time() - 2 * 86_400, 1))


def question(device: Path, **more: object) -> renewals.Renewal:
    made = renewals.Renewal(
        node="gw-1", hub="cloud", time_ms=int(time.time() * 1000), until_ms=1, csr=own.make_csr(device, "gw-1")
    )
    return renewals.sign(msgspec.structs.replace(made, **more), own.key_of(device))


async def post(hub: Served, asked: renewals.Renewal) -> tuple[int, str]:
    answer = await hub.stranger.post("/v1/renew", json=msgspec.to_builtins(asked))
    return answer.status_code, answer.text


async def test_an_expired_certificate_is_renewed_on_the_same_key(hub: Served, device: Path):
    outdated(device, hub)
    answer = await ask(device)
    assert answer.renewed, answer
    kept = own.store_certificate(device, identity.load(device), answer.renewed)
    assert kept.until_ms > time.time() * 1000 + 80 * DAY_MS
    audit = (await hub.api.get("/v1/events?kind=certificate.renewed")).text
    assert "gw-1" in audit


async def test_a_certificate_that_is_good_for_long_is_not_made_anew(hub: Served, device: Path):
    assert await ask(device) == notes.Answer()


async def test_a_revoked_device_is_told_by_a_word_that_its_own_anchor_proves(hub: Served, device: Path):
    assert (await hub.api.post("/v1/nodes/gw-1/revoke", json={"reason": "sold"})).status_code == 200
    answer = await ask(device)
    assert answer.revoked is not None
    assert answer.proof is not None
    anchor = ProvenAnchor(identity.load(device).root_pin)
    anchor.take(answer.proof)
    anchor.check_revoked(answer.revoked, "cloud", "gw-1")
    assert (answer.revoked.reason, answer.renewed) == ("sold (by token:admin)", "")
    assert isinstance(answer.revoked, messages.Revoked)


async def test_a_key_that_no_node_has_learns_nothing(hub: Served, device: Path, tmp_path: Path):
    stranger = tmp_path / "other"
    stranger.mkdir()
    unknown = await post(hub, question(stranger, node="gw-2"))
    assert unknown == await post(hub, question(stranger))
    assert unknown[0] == 404
    assert "enrolled here with this key" in unknown[1]
    (device / "key.pem").write_bytes((stranger / "key.pem").read_bytes())
    assert "enrolled here with this key" in (await ask(device)).refused


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"hub": "other"}, 403, "for another one"),
        ({"time_ms": 1}, 403, "of another time"),
        ({"node": "../x"}, 422, "node id"),
        ({"csr": "x"}, 403, "not a certificate request"),
        ({"csr": "x" * 5_000}, 413, "is over"),
        ({"csr": "x" * 20_000}, 413, "is over"),
        ({"until_ms": -1}, 422, "until_ms"),
    ],
)
async def test_an_odd_question_is_one_clear_error(
    hub: Served, device: Path, more: dict[str, object], status: int, says: str
):
    got = await post(hub, question(device, **more))
    assert (got[0], says in got[1]) == (status, True), got


@pytest.mark.parametrize("field", ["node", "time_ms", "until_ms", "signature"])
async def test_what_was_altered_is_refused(hub: Served, device: Path, field: str):
    asked = question(device)
    other = {"node": "gw-2", "time_ms": asked.time_ms + 1, "until_ms": 2, "signature": "AAAA"}
    status, text = await post(hub, msgspec.structs.replace(asked, **{field: other[field]}))
    assert (status, "not signed by the key" in text) == (403, True), text
    long = msgspec.structs.replace(asked, signature="A" * (limits.SIGNATURE_CHARS_MAX + 1))
    assert (await post(hub, long))[0] == 413


async def test_one_device_and_all_of_them_are_held_to_a_rate(hub: Served, device: Path):
    asked = question(device)
    answers = [await post(hub, asked) for _ in range(limits.RENEWS_BURST + 1)]
    assert [status for status, _ in answers] == [200] * limits.RENEWS_BURST + [429], answers
    assert "asked too often" in answers[-1][1]
    many = await asyncio.gather(*[post(hub, asked) for _ in range(limits.RENEWALS_PER_CALLER_S + 30)])
    assert any("renewals a second from one address" in text for _, text in many)


async def test_who_has_no_key_uses_up_nothing_of_the_devices(hub: Served, device: Path, tmp_path: Path):
    """He says junk, or signs with a key of his own; the device asks from another address."""
    stranger = tmp_path / "other"
    stranger.mkdir()
    junk = [hub.stranger.post("/v1/renew", content=b"{}") for _ in range(2 * limits.RENEWALS_PER_S)]
    answers = await asyncio.gather(*junk, *[post(hub, question(stranger)) for _ in range(limits.RENEWALS_PER_S)])
    assert any(isinstance(one, tuple) and one[0] == 429 for one in answers), answers
    trust = ssl.create_default_context(cadata=hub.context.root_pem)
    elsewhere = httpx.AsyncHTTPTransport(verify=trust, local_address="127.0.0.2")
    async with httpx.AsyncClient(base_url=hub.stranger.base_url, transport=elsewhere) as other:
        assert (await other.post("/v1/renew", json=msgspec.to_builtins(question(device)))).status_code == 200
