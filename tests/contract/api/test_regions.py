"""A hub below a hub: its papers, what its confined CA issues, and what is refused; over real TLS, with real hubs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mqtt5
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from edge_agent.shell import enroll, identity
from edge_agent.shell.papers import apart
from hub.core.doctor import folder
from hub.core.up.certificate import AnsweredApart
from hub.shell import init
from hub.shell.authority import Authority
from hub.shell.doctor import gather
from hub.shell.home import Home, Place
from hub.shell.papers import renewal
from hub.shell.uplink import HubTrust
from protocol.aio import tls
from protocol.aio.joining.words import Unreachable
from protocol.errors import Refused, TrustError
from protocol.link.anchor import chain_hash
from protocol.trust import certificates, chains, signing
from tests.contract.api.conftest import ANY, Served, made, serving
from tests.support.broker import free_port

WAIT_S = 20.0


async def below(parent: Served, folder: Path, name: str, token: str = "") -> Home:
    """Make a hub below `parent` in `folder`, that listens on ports of the system's choice."""
    token = token or await hub_token(parent)
    folder.mkdir()
    result = await init.init(folder / "hub", name=name, parent=parent.url, token=token, context=folder / "context.json")
    home = Home(result.folder)
    home.file.write_bytes(msgspec.json.encode(msgspec.structs.replace(result.hub, mqtt=ANY, api=ANY)))
    return home


async def hub_token(parent: Served) -> str:
    """Return a token that lets a hub in."""
    return (await parent.api.post("/v1/tokens", json={"kind": "hub"})).json()["token"]


async def device(served: Served, data: Path, name: str) -> identity.AgentFile:
    """Enroll a device as `skerry-agent enroll` does."""
    token = (await served.api.post("/v1/tokens", json={})).json()["token"]
    asked = enroll.Request(hub=served.url, token=token, name=name)
    return (await asyncio.to_thread(enroll.enroll, data, asked)).file


async def answered(served: Served, context: ssl.SSLContext, name: str) -> mqtt5.ConnAckReasonCode:
    """Return what the door of `served` answers to a CONNECT of `name`. Raises ssl.SSLError when TLS refuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.mqtt_port, ssl=context)
    try:
        writer.write(mqtt5.ConnectPacket(name).write())
        raw = await asyncio.wait_for(reader.read(1_024), WAIT_S)
        packet = mqtt5.read(memoryview(raw))[0]
        assert isinstance(packet, mqtt5.ConnAckPacket)
        return packet.reason_code
    finally:
        writer.close()


@pytest.fixture
async def region(hub: Served, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(await below(hub, tmp_path / "eu-north", "eu-north")) as served:
        yield served


async def test_a_device_enrolls_at_a_region_and_connects_to_it(hub: Served, region: Served, tmp_path: Path):
    file = await device(region, tmp_path / "gw-7", "gw-7")
    assert (file.hub, file.scope) == ("eu-north", "eu-north.cloud.skerry")
    assert file.root_pin == certificates.spki_hash(hub.context.root_pem)
    chain = (tmp_path / "gw-7" / "cert.pem").read_text()
    chains.check_issued(chain + hub.context.root_pem, "node", "gw-7", file.root_pin, file.scope)
    assert await answered(region, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0


async def test_a_region_is_a_child_that_its_parent_sees_come(hub: Served, region: Served):
    async with asyncio.timeout(WAIT_S):
        while (node := (await hub.api.get("/v1/nodes/eu-north")).json())["state"] != "online":
            await asyncio.sleep(0.02)  # bounded poll
    assert node["path"] == "cloud/eu-north"
    info = (await region.stranger.get("/v1/info")).json()
    assert (info["path"], info["scope"]) == (["cloud", "eu-north"], "eu-north.cloud.skerry")


async def test_a_region_enrolls_and_serves_with_its_parent_gone(tmp_path: Path):
    async with serving(await made(tmp_path)) as cloud:
        home = await below(cloud, tmp_path / "eu-north", "eu-north")
    async with serving(home) as alone:
        file = await device(alone, tmp_path / "gw-7", "gw-7")
        assert await answered(alone, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0


async def test_a_region_whose_ca_expired_goes_on(hub: Served, tmp_path: Path):
    home = await below(hub, tmp_path / "eu-north", "eu-north")
    age(home, hub.home)
    async with serving(home) as region:
        assert certificates.identify(home.path("ca.pem").read_bytes()).until_ms < time.time() * 1000
        file = await device(region, tmp_path / "gw-7", "gw-7")
        assert await answered(region, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0


async def test_three_tiers_of_real_hubs(hub: Served, region: Served, tmp_path: Path):
    async with serving(await below(region, tmp_path / "oslo", "oslo")) as oslo:
        assert (await oslo.stranger.get("/v1/info")).json()["path"] == ["cloud", "eu-north", "oslo"]
        file = await device(oslo, tmp_path / "gw-7", "gw-7")
        assert file.scope == "oslo.eu-north.cloud.skerry"
        assert await answered(oslo, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0
        with pytest.raises(Refused, match=r"\(cloud/eu-north/oslo\): hubs make no loop"):
            await below(oslo, tmp_path / "again", "cloud")


# ------------------------------------------------------------------------------------------------ renewal


async def test_a_region_whose_ca_expired_is_renewed_apart_and_all_it_issued_holds(hub: Served, tmp_path: Path):
    home = await below(hub, tmp_path / "eu-north", "eu-north")
    file = home.load()
    assert file.parent is not None
    above = msgspec.structs.replace(file.parent, api=Place(host="127.0.0.1", port=int(hub.url.rpartition(":")[2])))
    assert await renewal.ask(Authority(home, "eu-north"), above) == renewal.Heard(answer=AnsweredApart())  # it is new
    chain, key = of_node(home, tmp_path, "gw-1")
    age(home, hub.home)
    keys = Authority(home, "eu-north")
    heard = await renewal.ask(keys, above)
    assert (heard.answer.refused, heard.revoked) == ("", None)
    signer = keys.signer()
    former = signer.chain
    keys.store_ca(heard.answer.certificate)
    assert keys.dates.until_ms > (time.time() + 300 * 86_400) * 1000
    assert keys.refresh_tls([], time.time())
    assert (signer.chain != former, signer.chain.encode()) == (True, home.path("signer.pem").read_bytes())
    renewed = signer.chain
    assert not keys.refresh_tls([], time.time())
    assert signer.chain is renewed, "each other text would be proven anew by every device"
    again = Authority(home, "eu-north")
    for name in ("hub.pem", "signer.pem"):
        assert chains.intermediates(home.path(name).read_bytes()) == chains.intermediates(again.chain)
    signing.prove_signer(again.signer().chain, "eu-north", again.root_pin, "eu-north.cloud.skerry")
    chains.check_issued(chain.read_bytes() + again.root, "node", "gw-1", again.root_pin, "eu-north.cloud.skerry")
    assert key.exists()


async def test_a_region_renews_its_ca_over_the_link(hub: Served, tmp_path: Path):
    home = await below(hub, tmp_path / "eu-north", "eu-north")
    age(home, hub.home)
    async with serving(home) as region:
        async with asyncio.timeout(WAIT_S):
            while certificates.identify(home.path("ca.pem").read_bytes()).until_ms < time.time() * 1000:
                await asyncio.sleep(0.02)  # bounded poll
            while not [one for one in await events(region) if one["kind"] == "ca.renewed"]:
                await asyncio.sleep(0.02)  # bounded poll
        file = await device(region, tmp_path / "gw-7", "gw-7")
        ca = chains.intermediates(home.path("ca.pem").read_bytes())
        assert chains.intermediates((tmp_path / "gw-7" / "cert.pem").read_bytes()) == ca
        assert await answered(region, identity.link_context(tmp_path / "gw-7", file), "gw-7") == 0
        await region.api.post("/v1/nodes/gw-7/revoke", json={"reason": "sold"})
        heard = await asyncio.to_thread(apart.ask, tmp_path / "gw-7", file)
        signer = home.path("signer.pem").read_bytes()
        assert chains.intermediates(signer) == ca
        assert heard.proof is not None
        assert heard.proof.chain == chain_hash(signer), "what is signed is proven by the new chain, without a restart"


async def test_the_doctor_looks_at_a_regions_ca_in_place_of_a_root_key(hub: Served, tmp_path: Path):
    home = await below(hub, tmp_path / "eu-north", "eu-north")
    found = {one.check: one for one in folder.folder(gather.folder(home.folder))}
    assert {check: found[check].next for check in ("keys", "root", "ca", "tls", "signer")} == dict.fromkeys(
        ("keys", "root", "ca", "tls", "signer"), ""
    )
    age(home, hub.home)
    found = {one.check: one for one in folder.folder(gather.folder(home.folder))}
    assert "the hub above renews it" in found["ca"].next


async def test_a_region_that_was_revoked_is_told_so_apart(hub: Served, tmp_path: Path):
    home = await below(hub, tmp_path / "eu-north", "eu-north")
    file = home.load()
    assert file.parent is not None
    above = msgspec.structs.replace(file.parent, api=Place(host="127.0.0.1", port=int(hub.url.rpartition(":")[2])))
    await hub.api.post("/v1/nodes/eu-north/revoke", json={"reason": "sold"})
    heard = await renewal.ask(Authority(home, "eu-north"), above)
    trust = HubTrust(home, file.parent)
    trust.learn(heard.chain, "cloud")
    assert heard.revoked is not None
    trust.check_revoked(heard.revoked, "cloud", "eu-north")
    away = msgspec.structs.replace(above, api=Place(host="127.0.0.1", port=free_port()))
    assert await renewal.ask(Authority(home, "eu-north"), away) == renewal.Heard(answer=AnsweredApart())


async def test_a_chain_that_is_not_ours_is_not_stored(hub: Served, tmp_path: Path):
    north, south = [await below(hub, tmp_path / name, name) for name in ("eu-north", "eu-south")]
    keys, root = Authority(north, "eu-north"), Authority(hub.home, "cloud")
    before = north.path("ca.pem").read_bytes()
    other_key = certificates.issue_ca(csr().encode(), "eu-north", *root_of(hub.home), time.time())
    for chain, says in (
        (south.path("ca.pem").read_bytes().removesuffix(root.root), "names ca eu-south, not ca eu-north"),
        (other_key, "for another key"),
        (north.path("hub.pem").read_bytes(), "names hub eu-north"),
    ):
        with pytest.raises(TrustError, match=says):
            keys.store_ca(chain.decode())
    assert north.path("ca.pem").read_bytes() == before


# ------------------------------------------------------------------------------------------------ who is not let in


@pytest.mark.parametrize(("name", "says"), [("cloud", "hubs make no loop"), ("broker", "no hub is called broker")])
async def test_a_hub_with_a_name_that_may_not_be_leaves_nothing(hub: Served, tmp_path: Path, name: str, says: str):
    with pytest.raises(Refused, match=says):
        await below(hub, tmp_path / "x", name)
    assert list((tmp_path / "x" / "hub").iterdir()) == []
    assert not (tmp_path / "x" / "context.json").exists()
    assert (await hub.api.get("/v1/nodes")).json() == []


async def test_the_parent_refuses_a_loop_by_itself(region: Served):
    body = {"token": await hub_token(region), "csr": csr(), "ca": csr(), "name": "cloud"}
    answer = await region.stranger.post("/v1/enroll", json=body)
    assert (answer.status_code, "hubs make no loop" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize("name", ["cloud", "eu-north"])
async def test_no_device_carries_the_id_of_a_hub_on_the_path(region: Served, tmp_path: Path, name: str):
    with pytest.raises(Refused, match=rf"{name} is this hub or one above it \(cloud/eu-north\)"):
        await device(region, tmp_path / "gw-7", name)
    assert (await device(region, tmp_path / "gw-7", "gw-7")).node == "gw-7"
    token = (await region.api.post("/v1/tokens", json={})).json()["token"]
    body = {"token": token, "csr": csr(), "facts": {"hostname": "cloud"}}
    assert (await region.stranger.post("/v1/enroll", json=body)).json()["node"].startswith("cloud-")


async def test_two_hubs_of_one_name_are_not_below_one_parent(hub: Served, region: Served, tmp_path: Path):
    with pytest.raises(Refused, match="the name eu-north is taken by another key"):
        await below(hub, tmp_path / "two", "eu-north")


async def test_a_token_lets_in_what_it_is_for(hub: Served, tmp_path: Path):
    device_token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    with pytest.raises(Refused, match="lets devices in, no hub: skerry token create --hub"):
        await below(hub, tmp_path / "x", "eu-north", device_token)
    asked = enroll.Request(hub=hub.url, token=await hub_token(hub), name="gw-1")
    with pytest.raises(Refused, match=r"lets a hub in .* no device"):
        await asyncio.to_thread(enroll.enroll, tmp_path / "gw-1", asked)
    odd = await hub.api.post("/v1/tokens", json={"kind": "king"})
    assert odd.status_code == 422
    assert (await hub.api.get("/v1/nodes")).json() == []


async def test_a_hub_whose_keys_are_one_is_refused(hub: Served):
    one = csr()
    answer = await hub.stranger.post("/v1/enroll", json={"token": await hub_token(hub), "csr": one, "ca": one})
    assert (answer.status_code, "a key of its own" in answer.json()["error"]) == (403, True)


async def test_a_parent_that_cannot_be_reached_leaves_the_keys_for_the_next_try(hub: Served, tmp_path: Path):
    gone, token = f"https://127.0.0.1:{free_port()}", await hub_token(hub)
    with pytest.raises(Unreachable):
        await init.init(tmp_path / "x", name="eu-north", parent=gone, token=token, context=tmp_path / "c.json")
    keys = tmp_path / "x" / init.JOINING
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = certificates.key_pem(certificates.make_key())
    (keys / "hub.key").write_bytes(kept)
    made = await init.init(tmp_path / "x", name="eu-north", parent=hub.url, token=token, context=tmp_path / "c.json")
    assert Home(made.folder).path("hub.key").read_bytes() == kept
    assert not keys.exists()


async def test_a_token_without_a_parent_and_a_parent_without_a_token_are_mistakes(hub: Served, tmp_path: Path):
    with pytest.raises(Refused, match="name that one with --parent"):
        await init.init(tmp_path / "x", name="eu-north", token="sk1.x", context=tmp_path / "c.json")
    with pytest.raises(Refused, match="skerry token create --hub"):
        await init.init(tmp_path / "x", name="eu-north", parent=hub.url, context=tmp_path / "c.json")


async def test_the_certificate_of_a_sibling_region_opens_nothing(hub: Served, region: Served, tmp_path: Path):
    south = await below(hub, tmp_path / "eu-south", "eu-south")
    for name, chain, key in (
        ("eu-south", south.path("hub.pem"), south.path("hub.key")),
        ("gw-1", *of_node(south, tmp_path, "gw-1")),
    ):
        context = tls.child_context(chain=chain, key=key, root=south.path("root.pem"), name="eu-north.cloud.skerry")
        assert await answered(region, context, name) == mqtt5.ConnAckReasonCode.NOT_AUTHORIZED


async def test_a_node_that_claims_to_be_a_hub_and_a_hub_as_a_node_are_not_let_in(hub: Served, region: Served):
    home = region.home
    leaf = certificates.issue_node(
        certificates.make_csr(certificates.load_key(home.path("hub.key").read_bytes()), "x"),
        "eu-north",
        *ca_of(home),
        time.time(),
        1,
    )
    home.path("odd.pem").write_bytes(leaf)
    context = tls.child_context(
        chain=home.path("odd.pem"), key=home.path("hub.key"), root=home.path("root.pem"), name="cloud.skerry"
    )
    assert await answered(hub, context, "eu-north") == mqtt5.ConnAckReasonCode.NOT_AUTHORIZED


# ------------------------------------------------------------------------------------------------ what TLS refuses


async def test_a_region_cannot_pass_for_another_hub_in_tls(hub: Served, region: Served, tmp_path: Path):
    ca, key = ca_of(region.home), certificates.make_key()
    for scope in ("cloud.skerry", "eu-south.cloud.skerry"):
        server = serving_context(tmp_path, key, signed(ca, key, "hub", scope.partition(".")[0], scope))
        assert "permitted subtree violation" in await refusal(server, tls.api_context(hub.context.root_pem, scope))
    server = serving_context(tmp_path, key, signed(ca, key, "hub", "eu-north", "eu-north.cloud.skerry"))
    assert await refusal(server, tls.api_context(hub.context.root_pem, "eu-north.cloud.skerry")) == ""


async def test_a_region_issues_for_nobody_outside_its_scope_in_tls(hub: Served, region: Served, tmp_path: Path):
    key = certificates.make_key()
    (tmp_path / "gw.key").write_bytes(certificates.key_pem(key))
    for name, opens in (("gw-1.eu-north.cloud.skerry", True), ("gw-1.cloud.skerry", False)):
        (tmp_path / "gw.pem").write_bytes(signed(ca_of(region.home), key, "node", "gw-1", name))
        context = tls.child_context(
            chain=tmp_path / "gw.pem", key=tmp_path / "gw.key", root=hub.home.path("root.pem"), name="cloud.skerry"
        )
        if opens:
            assert await answered(hub, context, "gw-1") == mqtt5.ConnAckReasonCode.NOT_AUTHORIZED
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
                await answered(hub, context, "gw-1")


async def test_a_node_is_no_ca_and_no_server_in_tls(hub: Served, region: Served, tmp_path: Path):
    chain, path = of_node(region.home, tmp_path, "gw-1")
    node_key = certificates.load_key(path.read_bytes())
    api = tls.api_context(hub.context.root_pem, "gw-1.eu-north.cloud.skerry")
    assert "unsuitable certificate purpose" in await refusal(
        serving_context(tmp_path, node_key, chain.read_bytes()), api
    )
    key = certificates.make_key()
    made = signed((node_key, chain.read_bytes()), key, "hub", "gw-1", "gw-1.eu-north.cloud.skerry")
    assert await refusal(serving_context(tmp_path, key, made), api) != ""


# ------------------------------------------------------------------------------------------------ forging


def csr() -> str:
    return certificates.make_csr(certificates.make_key(), "x").decode()


def ca_of(home: Home) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """The CA of a hub below another."""
    return certificates.load_key(home.path("ca.key").read_bytes()), home.path("ca.pem").read_bytes()


async def events(served: Served) -> list[dict[str, Any]]:
    answer = await served.api.get("/v1/events")
    return [json.loads(line) for line in answer.text.splitlines()]


def root_of(home: Home) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """The CA of a root hub."""
    return certificates.load_key(home.path("root.key").read_bytes()), home.path("root.pem").read_bytes()


def age(home: Home, parent: Home) -> None:
    """Give a region, which does not serve, a certificate of its CA that ended yesterday."""
    key, by = ca_of(home)[0], root_of(parent)
    asked = certificates.make_csr(key, "x")
    old = certificates.issue_ca(asked, home.load().id, *by, time.time() - 10 * 86_400, 9)
    home.path("ca.pem").write_bytes(old + by[1])


def of_node(home: Home, folder: Path, name: str) -> tuple[Path, Path]:
    """The chain and the key of a node that a region issued, as files."""
    key = certificates.make_key()
    chain = certificates.issue_node(certificates.make_csr(key, name), name, *ca_of(home), time.time(), 1)
    (folder / f"{name}.pem").write_bytes(chain)
    (folder / f"{name}.key").write_bytes(certificates.key_pem(key))
    return folder / f"{name}.pem", folder / f"{name}.key"


def signed(
    ca: tuple[ec.EllipticCurvePrivateKey, bytes], key: ec.EllipticCurvePrivateKey, role: str, name: str, dns: str
) -> bytes:
    """A chain that no hub of ours would issue: any DNS name, by whoever has the key of `ca`."""
    issuers = certificates.load_chain(ca[1])
    builder = x509.CertificateBuilder().issuer_name(issuers[0].subject).public_key(key.public_key())
    builder = builder.subject_name(x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)]))
    builder = builder.not_valid_before(issuers[0].not_valid_before_utc)
    builder = builder.not_valid_after(issuers[0].not_valid_after_utc).serial_number(x509.random_serial_number())
    names = [x509.UniformResourceIdentifier(f"skerry:{role}:{name}"), x509.DNSName(dns)]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    usages = [oid.ExtendedKeyUsageOID.SERVER_AUTH, oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    leaf = builder.sign(ca[0], hashes.SHA256())
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, *issuers))


def serving_context(folder: Path, key: ec.EllipticCurvePrivateKey, chain: bytes) -> ssl.SSLContext:
    (folder / "server.pem").write_bytes(chain)
    (folder / "server.key").write_bytes(certificates.key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


async def refusal(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Return why `client` refuses a server with the context `server`; empty when it does not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        try:
            _, writer = await asyncio.open_connection(*listening.sockets[0].getsockname(), ssl=client)
        except ssl.SSLError as error:
            return str(error)
        writer.close()
    return ""
