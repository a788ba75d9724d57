"""A new hub: what lies where, with which permissions, and what an init that cannot be done leaves behind."""

import stat
from pathlib import Path

import msgspec
import pytest

from hub.core import streams
from hub.shell import authority, init
from hub.shell.home import Broker, Home, parse_broker, parse_place
from hub.shell.operators import SPACE, Operators
from hub.shell.papers import hosts
from protocol.aio.journal import Journal
from protocol.errors import BadId, Refused, StoreNewer
from protocol.trust import certificates


async def make(folder: Path, **more: str) -> init.Made:
    return await init.init(folder, name="cloud", context=folder.parent / "context.json", **more)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_hub_is_made_whole_and_its_secrets_are_its_owners_alone(tmp_path: Path):
    made = await make(tmp_path / "hub", mqtt="127.0.0.1:1883", api="127.0.0.1:8000")
    home = Home(made.folder)
    assert home.load() == made.hub
    assert (made.hub.mqtt.port, made.hub.api.host) == (1883, "127.0.0.1")
    assert mode(made.folder) == 0o700
    for name in ("root.key", "hub.key", "signer.key", "ticket.key", "hub.json"):
        assert mode(home.path(name)) == 0o600
    assert not [path for path in made.folder.iterdir() if path.name.startswith(".")]


async def test_the_operators_context_opens_the_hub_that_it_names(tmp_path: Path):
    made = await make(tmp_path / "hub")
    assert mode(made.context) == 0o600
    context = msgspec.json.decode(made.context.read_bytes(), type=init.Context)
    assert (context.url, context.hub) == ("https://127.0.0.1:8443", "cloud")
    assert certificates.spki_hash(context.root_pem) == made.root_pin
    journal = await Journal.open(Home(made.folder).database, node="cloud", streams=streams.NAMES, mint=init.mint_epoch)
    stored = journal.snapshot().spaces[SPACE]
    await journal.close()
    assert Operators(stored).who(context.token) == "admin"
    assert context.token.split(".")[2] not in str(stored)


async def test_a_former_context_is_kept(tmp_path: Path):
    first = await make(tmp_path / "one")
    assert first.former is None
    text = first.context.read_text()
    second = await make(tmp_path / "two")
    assert second.former is not None
    assert second.former.read_text() == text


async def test_a_second_hub_in_the_same_place_is_refused_and_the_first_stays(tmp_path: Path):
    made = await make(tmp_path / "hub")
    root = (made.folder / "root.pem").read_bytes()
    with pytest.raises(Refused, match="holds the hub 'cloud' already"):
        await make(tmp_path / "hub")
    assert (made.folder / "root.pem").read_bytes() == root


async def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "letters").write_text("mine")
    with pytest.raises(Refused, match="is not empty"):
        await make(tmp_path / "hub")
    assert [path.name for path in (tmp_path / "hub").iterdir()] == ["letters"]


async def test_what_an_interrupted_init_left_is_no_obstacle(tmp_path: Path):
    (tmp_path / "hub" / ".making").mkdir(parents=True)
    (tmp_path / "hub" / ".making" / "root.key").write_text("half")
    await make(tmp_path / "hub")


@pytest.mark.parametrize("name", ["", "Cloud", "a/b", "x" * 64])
async def test_a_hub_needs_a_name_that_can_be_an_id(tmp_path: Path, name: str):
    with pytest.raises(BadId):
        await init.init(tmp_path / "hub", name=name, context=tmp_path / "context.json")
    assert not (tmp_path / "hub").exists()


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="choose another place with --data"):
        await make(tmp_path / "file" / "hub")


@pytest.mark.parametrize("text", ["", "8443", "localhost", "localhost:x", "h:0", "h:70000", "h:٣"])
def test_a_place_to_listen_has_a_host_and_a_port(text: str):
    with pytest.raises(Refused, match="--api"):
        parse_place(text, "--api")


def test_an_ipv6_address_stands_in_brackets():
    assert parse_place("[::1]:8443", "--api").host == "::1"


def test_a_broker_is_known_by_the_hubs_name_unless_it_is_told():
    assert parse_broker("mqtts://b.example:8883", "cloud") == Broker(host="b.example", port=8883, name="cloud")
    assert parse_broker("mqtts://b.example:8883?name=b.example", "cloud").name == "b.example"
    for odd in ("mqtt://b:1", "b:1", "mqtts://b", "mqtts://:1", "mqtts://b:x", "mqtts://b:1?name"):
        with pytest.raises(Refused, match="write mqtts://HOST:PORT"):
            parse_broker(odd, "cloud")


def test_where_there_is_no_hub_the_next_step_is_named(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(Refused, match="run `skerry hub init --data"):
            Home(folder).load()


async def test_a_hub_of_a_newer_version_or_a_damaged_one_is_told_apart(tmp_path: Path):
    made = await make(tmp_path / "hub")
    file = Home(made.folder).file
    file.write_bytes(file.read_bytes().replace(b'"id"', b'"format": 2, "id"'))
    with pytest.raises(StoreNewer, match="newer version"):
        Home(made.folder).load()
    file.write_bytes(b"{}")
    with pytest.raises(Refused, match="is damaged"):
        Home(made.folder).load()


async def test_the_hubs_own_certificate_renews_when_it_grows_old_or_the_machine_moves(tmp_path: Path):
    made = await make(tmp_path / "hub")
    keys = authority.Authority(Home(made.folder), "cloud")
    pem = keys.tls_chain_path.read_bytes()
    now_s = certificates.identify(pem).from_ms / 1000
    hosts = sorted(certificates.hosts_of(pem))
    assert not keys.refresh_tls(hosts, now_s)
    assert keys.refresh_tls([*hosts, "new.example"], now_s)
    assert "new.example" in certificates.hosts_of(keys.tls_chain_path.read_bytes())
    assert keys.refresh_tls(hosts, now_s + 700 * 86_400)


async def test_a_key_that_is_missing_or_of_another_hub_is_named(tmp_path: Path):
    one, two = await make(tmp_path / "one"), await make(tmp_path / "two")
    (one.folder / "root.key").write_bytes((two.folder / "root.key").read_bytes())
    with pytest.raises(Exception, match="are not a pair"):
        authority.Authority(Home(one.folder), "cloud")
    (two.folder / "ticket.key").unlink()
    with pytest.raises(Refused, match=r"ticket\.key cannot be read"):
        authority.Authority(Home(two.folder), "cloud")


def test_a_machine_is_reached_by_its_addresses_but_not_by_a_wildcard():
    found = hosts.of_machine("0.0.0.0", "hub.example", "bad host!")
    assert {"localhost", "127.0.0.1", "hub.example"} <= set(found)
    assert not {"0.0.0.0", "bad host!"} & set(found)


async def test_two_listeners_at_one_place_are_refused(tmp_path: Path):
    for mqtt, api in (("127.0.0.1:8443", "127.0.0.1:8443"), ("0.0.0.0:8443", "127.0.0.1:8443")):
        with pytest.raises(Refused, match="are one place"):
            await make(tmp_path / "hub", mqtt=mqtt, api=api)
    assert not (tmp_path / "hub").exists()
    await make(tmp_path / "hub", mqtt="127.0.0.2:8443", api="127.0.0.1:8443")


async def test_a_hub_that_moves_keeps_its_new_place_and_the_context_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = await make(tmp_path / "hub", mqtt="127.0.0.1:1883", api="127.0.0.1:8000")
    monkeypatch.setenv("SKERRY_CONTEXT", str(made.context))
    init.move(made.folder, api="127.0.0.1:8001")
    assert Home(made.folder).load() == msgspec.structs.replace(made.hub, api=parse_place("127.0.0.1:8001", ""))
    assert msgspec.json.decode(made.context.read_bytes(), type=init.Context).url == "https://127.0.0.1:8001"
    assert mode(made.context) == mode(Home(made.folder).file) == 0o600
    with pytest.raises(Refused, match="one place"):
        init.move(made.folder, mqtt="127.0.0.1:8001")
    with pytest.raises(Refused, match="--mqtt"):
        init.move(made.folder, mqtt="here")
