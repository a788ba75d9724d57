"""The installer's hour: one command, clear errors, nothing half done. Against a real hub."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import msgspec
import pytest

from edge_agent.shell import enroll, identity
from edge_agent.shell.papers import own
from protocol.errors import BadId, Refused, SkerryError, StoreError, TrustError
from protocol.trust import certificates, signing
from tests.support.fleet import Fleet, fleet
from tests.support.pki import Pki


async def _token(it: Fleet, uses: int = 1, ttl_s: float = 3_600.0) -> tuple[str, str]:
    made = await it.ask("POST", "/v1/tokens", {"ttl_s": ttl_s, "uses": uses, "labels": {"site": "oslo"}})
    return made["id"], made["token"]


async def _enroll(it: Fleet, data: Path, token: str, name: str = "", hub: str = "") -> enroll.Result:
    request = enroll.Request(hub=hub or f"https://127.0.0.1:{it.api_port}", token=token, name=name)
    return await asyncio.to_thread(enroll.enroll, data, request)


async def test_what_is_stored_is_whole_and_only_its_owner_s(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        data = tmp_path / "a"
        result = await _enroll(it, data, (await _token(it))[1], "oslo-1")

    assert result.new
    assert result.file == identity.load(data)
    assert result.file.node == "oslo-1"
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in data.iterdir()}
    assert modes.pop("root.pem") == "0o644"
    assert {"agent.json", "cert.pem", "key.pem"} <= modes.keys()
    assert set(modes.values()) == {"0o600"}
    assert own.certificate(data).id == "oslo-1"
    assert signing.spki_hash((data / "root.pem").read_bytes()) == result.file.root_pin
    assert certificates.load_key((data / "key.pem").read_bytes()).curve.name == "secp256r1"


async def test_twice_is_harmless_and_needs_no_hub(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        first = await _enroll(it, tmp_path / "a", (await _token(it))[1], "oslo-1")
        key = (tmp_path / "a/key.pem").read_bytes()

    again = enroll.enroll(tmp_path / "a", enroll.Request(hub="https://nowhere.invalid", token="", name="oslo-1"))

    assert (again.new, again.file) == (False, first.file)
    assert (tmp_path / "a/key.pem").read_bytes() == key
    with pytest.raises(Refused, match="this device is 'oslo-1' already"):
        enroll.enroll(tmp_path / "a", enroll.Request(hub="https://nowhere.invalid", token="", name="oslo-2"))


async def test_a_quota_is_changed_later_and_a_bad_one_is_refused_as_at_first(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        first = await _enroll(it, tmp_path / "a", (await _token(it))[1], "oslo-1")

    changed = enroll.enroll(tmp_path / "a", enroll.Request(hub="", token="", quota="128M"))

    assert (changed.new, changed.quota_changed) == (False, True)
    expected = msgspec.structs.replace(first.file, quota_bytes=128_000_000)
    assert identity.load(tmp_path / "a") == expected
    with pytest.raises(Refused, match="--quota 1Ki"):
        enroll.enroll(tmp_path / "a", enroll.Request(hub="", token="", quota="1Ki"))
    assert identity.load(tmp_path / "a") == expected


async def test_who_is_known_is_not_enrolled_again_unless_told_to_and_never_at_another_hub(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        _, token = await _token(it)
        data = tmp_path / "a"
        first = await _enroll(it, data, token, "oslo-1")
        key = (data / "key.pem").read_bytes()

        known = await _enroll(it, data, token)
        assert (known.new, known.unasked) == (False, "")
        other = signing.token_make("abc", b"x" * 24, "0" * 64, "cloud.skerry")
        with pytest.raises(Refused, match="the token is of another hub"):
            await _enroll(it, data, other)
        with pytest.raises(Refused, match="takes a token"):
            enroll.enroll(data, enroll.Request(hub="", token="", again=True))
        again = await asyncio.to_thread(enroll.enroll, data, enroll.Request(hub="", token=token, again=True))

    assert (again.new, again.again, again.file) == (True, True, first.file)
    assert (data / "key.pem").read_bytes() == key
    away = enroll.enroll(data, enroll.Request(hub="", token=token))
    assert not away.new
    assert "cannot reach the hub's API" in away.unasked


async def test_mistakes_are_told_clearly_and_leave_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        deleted, withdrawn = await _token(it)
        await it.ask("DELETE", f"/v1/tokens/{deleted}")
        _, short = await _token(it, ttl_s=0.05)
        _, used = await _token(it)
        await _enroll(it, tmp_path / "taken", used, "oslo-1")
        _, good = await _token(it, uses=5)
        parts = good.split(".")
        other_pin = signing.token_make("abc", b"x" * 24, "0" * 64, "cloud.skerry")
        altered = ".".join([*parts[:2], parts[2][::-1] if parts[2][::-1] != parts[2] else parts[2], *parts[3:]])
        cases: list[tuple[type[SkerryError], str, str, str]] = [
            (TrustError, "not an enrollment token", "sk1.cut", ""),
            (TrustError, "does not match the token's pin", other_pin, ""),
            (Refused, "", altered, ""),
            (Refused, "", withdrawn, ""),
            (Refused, "", short, ""),
            (Refused, "", used, "oslo-2"),
            (Refused, "oslo-1", good, "oslo-1"),
            (BadId, "is not a node id", good, "Oslo One"),
        ]
        for number, (kind, text, token, name) in enumerate(cases):
            data = tmp_path / f"a{number}"
            with pytest.raises(kind) as told:
                await _enroll(it, data, token, name)
            assert text in str(told.value), (number, told.value)
            assert token not in str(told.value)
            assert not data.exists(), (number, list(data.iterdir()))


async def test_a_hub_that_is_away_or_is_none_is_told(tmp_path: Path) -> None:
    async with fleet(tmp_path / "f") as it:
        token = (await _token(it))[1]
        with pytest.raises(enroll.Unreachable, match=r"cannot reach the hub at https://127\.0\.0\.1:1"):
            await _enroll(it, tmp_path / "a", token, hub="127.0.0.1:1")
        with pytest.raises(Refused, match="is not the address of a hub"):
            await _enroll(it, tmp_path / "a", token, hub="http://127.0.0.1:8443")
        with pytest.raises(enroll.Unreachable, match="is it the port of MQTT"):
            await _enroll(it, tmp_path / "a", token, hub=f"127.0.0.1:{it.mqtt_port}")

    assert not (tmp_path / "a").exists()


def test_a_renewed_certificate_is_stored_only_if_it_is_ours(tmp_path: Path) -> None:
    papers = tmp_path / "pki"
    papers.mkdir()
    pki = Pki(papers)
    data = tmp_path / "a"
    data.mkdir()
    (data / "root.pem").write_bytes(pki.root)
    file = identity.AgentFile(
        node="oslo-1",
        hub="hub",
        parent="hub",
        scope="hub.skerry",
        mqtt=identity.Mqtt(host="h", port=1, name="hub"),
        api=identity.Address(host="h", port=1),
        root_pin=signing.spki_hash(pki.root),
    )
    csr = own.make_csr(data, "oslo-1").encode()
    good = certificates.issue_node(csr, "oslo-1", pki.ca_key, pki.root, 1_000_000.0, 90).decode()
    other_name = certificates.issue_node(csr, "oslo-2", pki.ca_key, pki.root, 1_000_000.0, 90).decode()

    with pytest.raises(TrustError):
        own.store_certificate(data, file, other_name)
    with pytest.raises(TrustError, match="another key"):
        own.store_certificate(data, file, pki.device("oslo-1").chain)
    assert not (data / "cert.pem").exists()
    assert own.store_certificate(data, file, good).id == "oslo-1"
    assert own.certificate(data).from_ms < 1_000_000_000


def test_who_is_not_enrolled_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"not enrolled: .*skerry-agent enroll --hub URL"):
        identity.load(tmp_path)
    (tmp_path / "agent.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        identity.load(tmp_path)


def test_the_data_directory_follows_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("SKERRY_DATA", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert identity.default_data() == tmp_path / "skerry/agent"
    monkeypatch.setenv("SKERRY_DATA", "/srv/x")
    assert identity.default_data() == Path("/srv/x")
