"""Devices get in over a real hub's API."""

import asyncio

import pytest

from protocol import limits
from protocol.trust import certificates, chains, signing
from tests.contract.api.conftest import Served


def csr(name: str = "gw-1") -> str:
    return certificates.make_csr(certificates.make_key(), name).decode()


async def test_anyone_may_ask_who_the_hub_is(hub: Served):
    assert (await hub.stranger.get("/v1/ca")).text == hub.context.root_pem
    info = (await hub.stranger.get("/v1/info")).json()
    assert info["hub"] == "cloud"
    assert hub.line.startswith("hub cloud ready: MQTT 127.0.0.1:")


async def test_a_device_with_a_token_gets_a_certificate_for_its_own_key(hub: Served):
    made = (await hub.api.post("/v1/tokens", json={"ttl_s": 60, "uses": 2, "labels": {"site": "oslo"}})).json()
    pin = signing.spki_hash(hub.context.root_pem)
    assert signing.token_parse(made["token"]).pin == pin
    asked = csr()
    answer = await hub.stranger.post("/v1/enroll", json={"token": made["token"], "csr": asked, "name": "gw-1"})
    assert answer.status_code == 200
    got = answer.json()
    assert (got["node"], got["hub"], got["root"]) == ("gw-1", "cloud", hub.context.root_pem)
    assert (got["mqtt"]["name"], got["mqtt"]["sealed"]) == ("cloud.skerry", False)
    chains.check_issued(got["certificate"] + got["root"], "node", "gw-1", pin)
    assert certificates.identify(got["certificate"]).key == certificates.spki_hash(asked)
    node = (await hub.api.get("/v1/nodes/gw-1")).json()
    assert (node["state"], node["labels"]) == ("away", {"site": "oslo"})
    (token,) = (await hub.api.get("/v1/tokens")).json()
    assert (token["used"], "token" in token, "secret_hash" in token) == (1, False, False)


async def test_a_token_that_is_used_up_withdrawn_or_altered_lets_nobody_in(hub: Served):
    made = (await hub.api.post("/v1/tokens", json={})).json()
    token = made["token"]
    assert (await hub.stranger.post("/v1/enroll", json={"token": token, "csr": csr()})).status_code == 200
    used = await hub.stranger.post("/v1/enroll", json={"token": token, "csr": csr()})
    assert (used.status_code, "used up" in used.json()["error"]) == (403, True)
    parts = token.split(".")
    altered = ".".join([*parts[:2], "A" * len(parts[2]), *parts[3:]])
    refused = await hub.stranger.post("/v1/enroll", json={"token": altered, "csr": csr()})
    assert (refused.status_code, "altered" in refused.json()["error"]) == (403, True)
    assert parts[2] not in used.text + refused.text
    assert (await hub.api.delete(f"/v1/tokens/{made['id']}")).status_code == 200
    assert (await hub.api.delete(f"/v1/tokens/{made['id']}")).status_code == 404
    assert len((await hub.api.get("/v1/nodes")).json()) == 1


async def test_a_token_of_another_hub_is_told_apart(hub: Served):
    foreign = signing.token_make("abcd", bytes(24), "0" * 64, "cloud.skerry")
    answer = await hub.stranger.post("/v1/enroll", json={"token": foreign, "csr": csr()})
    assert (answer.status_code, "of another hub" in answer.json()["error"]) == (403, True)


async def test_a_name_that_is_taken_by_another_key_stays_its_owners(hub: Served):
    first = await hub.enrolled("gw-1")
    token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    answer = await hub.stranger.post("/v1/enroll", json={"token": token, "csr": csr(), "name": "gw-1"})
    assert (answer.status_code, "taken by another key" in answer.json()["error"]) == (409, True)
    assert certificates.identify(first.certificate).id == "gw-1"
    (left,) = [one for one in (await hub.api.get("/v1/tokens")).json() if one["used"] == 0]
    assert left["uses"] == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"csr": "x"}, 422, "token is missing"),
        ({"token": "x", "csr": "x"}, 403, "not an enrollment token"),
        ({"token": "{token}", "csr": "x"}, 403, "not a certificate request"),
        ({"token": "{token}", "csr": "x" * 5_000}, 413, "is over"),
        ({"token": "{token}", "csr": "{csr}", "name": "../x"}, 422, "cannot name a node"),
        ({"token": "{token}", "csr": "{csr}", "colour": "red"}, 422, "no such field"),
        ({"token": "{token}", "csr": "{csr}", "labels": {"a": 1}}, 422, "labels.a"),
    ],
)
async def test_an_odd_request_is_one_clear_error(hub: Served, body: dict[str, object], status: int, says: str):
    token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    filled = {key: {"{token}": token, "{csr}": csr()}.get(str(value), value) for key, value in body.items()}
    answer = await hub.stranger.post("/v1/enroll", json=filled)
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
    assert (await hub.api.get("/v1/nodes")).json() == []


@pytest.mark.parametrize("body", [{"ttl_s": 0}, {"ttl_s": 1e9}, {"uses": 0}, {"uses": 10**9}, {"labels": {"a b": "c"}}])
async def test_a_token_has_its_bounds(hub: Served, body: dict[str, object]):
    answer = await hub.api.post("/v1/tokens", json=body)
    assert (answer.status_code, set(answer.json())) == (422, {"error"})


async def test_a_burst_of_enrollments_is_held_to_a_rate(hub: Served):
    asking = [hub.stranger.post("/v1/enroll", json={}) for _ in range(limits.ENROLLMENTS_PER_S + 30)]
    answers = await asyncio.gather(*asking)
    assert 429 in {answer.status_code for answer in answers}
