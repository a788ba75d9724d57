"""What a real hub gives a device that is nobody yet: its installer, and the packages it holds, whole or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.shell.install import packages, script
from protocol import limits
from protocol.errors import Refused
from tests.contract.api.conftest import Served

BODY = b"x" * 5_001  # odd: a member of an archive is padded


def archive(*members: bytes) -> bytes:
    """An ar archive, as a package is one."""
    heads = [f"{'m/':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(one):<10}`\n".encode() for one in members]
    padded = (one + b"\n" * (len(one) % 2) for one in members)
    return b"!<arch>\n" + b"".join(head + one for head, one in zip(heads, padded, strict=True))


def put(folder: Path, name: str, raw: bytes) -> Path:
    """Copy a package to the hub, as an operator does."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(raw)
    return folder / name


async def script_of(hub: Served) -> str:
    """The installer as a device gets it."""
    answer = await hub.stranger.get("/install")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/x-shellscript")
    return answer.text


async def test_the_installer_names_this_hub_its_key_and_its_packages(hub: Served) -> None:
    raw = archive(b"2.0\n", BODY)
    put(hub.home.packages, "skerry-agent_0.1.0+deb12_amd64.deb", raw)
    text = await script_of(hub)
    assert f"12 amd64 {hashlib.sha256(raw).hexdigest()} {len(raw)} skerry-agent_0.1.0+deb12_amd64.deb'" in text
    assert f"url=https://{hub.url.removeprefix('https://')}\n" in text
    made = (await hub.api.post("/v1/tokens", json={})).json()
    ours = next(line.removeprefix("ours=") for line in text.splitlines() if line.startswith("ours="))
    assert made["token"].endswith(f".{ours}")
    assert f"pin={made['pin']}\n" in text
    host, _, port = hub.url.removeprefix("https://").rpartition(":")
    shown = x509.load_pem_x509_certificate(
        (await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))).encode()
    )
    key = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64encode(hashlib.sha256(key).digest()).decode() == made["pin"], "curl would not take this hub for it"


async def test_a_package_is_served_to_anybody_and_nothing_else_is(hub: Served) -> None:
    raw = archive(b"2.0\n", BODY)
    put(hub.home.packages, "skerry-agent_0.1.0+deb12_amd64.deb", raw)
    answer = await hub.stranger.get("/install/skerry-agent_0.1.0+deb12_amd64.deb")
    assert (answer.status_code, answer.content) == (200, raw)
    put(hub.home.packages, "notes.txt", b"mine")
    for name in ("notes.txt", "skerry-agent_9_amd64.deb", "..%2Fhub.key", "%2e%2e/hub.json"):
        refused = await hub.stranger.get(f"/install/{name}")
        assert refused.status_code in (401, 404), name


async def test_half_a_package_is_offered_to_nobody(hub: Served) -> None:
    raw = archive(b"2.0\n", BODY)
    name = "skerry-agent_0.1.0+deb12_amd64.deb"
    for half in (raw[:-1], raw[:100], raw[:8], b"", b"no archive", raw + b"more"):
        put(hub.home.packages, name, half)
        assert "packages=''\n" in await script_of(hub), half[:20]
        assert (await hub.stranger.get(f"/install/{name}")).status_code == 404
        assert "pin" not in (await hub.api.post("/v1/tokens", json={})).json()
    put(hub.home.packages, name, raw)
    assert name in await script_of(hub)


def test_of_several_for_one_debian_the_one_that_came_last_is_offered(tmp_path: Path) -> None:
    for at, version in enumerate(("0.2.0", "0.1.0")):
        path = put(tmp_path, f"skerry-agent_{version}+deb12_amd64.deb", archive(version.encode()))
        os.utime(path, (at, at))
    put(tmp_path, "skerry-agent_0.1.0+deb13_arm64.deb", archive(b""))
    put(tmp_path, "skerry-hub_0.1.0+deb12_amd64.deb", archive(b""))
    held = packages.held(tmp_path)
    assert [(one.release, one.arch, one.version) for one in held] == [
        ("12", "amd64", "0.1.0+deb12"),
        ("13", "arm64", "0.1.0+deb13"),
    ]
    assert packages.held(tmp_path / "absent") == []


@pytest.mark.parametrize(
    "raw",
    [
        archive(b"2.0\n").replace(b"4         `", b"-60       `"),
        archive(*[b""] * (limits.DEB_MEMBERS_MAX + 1)),
    ],
)
def test_an_archive_that_leads_in_a_circle_or_on_and_on_is_no_package(tmp_path: Path, raw: bytes) -> None:
    put(tmp_path, "skerry-agent_0.1.0+deb12_amd64.deb", raw)
    assert packages.held(tmp_path) == []


def test_what_is_odd_in_the_folder_hides_no_package(tmp_path: Path) -> None:
    whole = put(tmp_path, "skerry-agent_0.1.0+deb12_amd64.deb", archive(b"2.0\n", BODY))
    (tmp_path / "skerry-agent_0.2.0+deb12_amd64.deb").symlink_to(tmp_path / "gone")
    (tmp_path / "skerry-agent_0.3.0+deb12_amd64.deb").mkdir()
    (tmp_path / "skerry-agent_0.4.0+deb13_amd64.deb").symlink_to("skerry-agent_0.4.0+deb13_amd64.deb")
    os.mkfifo(tmp_path / "skerry-agent_0.5.0+deb12_amd64.deb")
    (tmp_path / "notes").symlink_to(tmp_path / "gone")
    assert [one.path for one in packages.held(tmp_path)] == [whole]
    assert packages.named(tmp_path, "skerry-agent_0.5.0+deb12_amd64.deb") is None


@pytest.mark.parametrize("host", ["", "a b", "x;id", "x\n", "$(id)", "`id`", "a'b", "[::1", "x:1:2"])
def test_nothing_of_a_caller_gets_into_the_script(host: str) -> None:
    with pytest.raises(Refused, match="Host"):
        script.text(hub="cloud", scope="cloud.skerry", host=host, key="00" * 32, root="00" * 32, held=[])


async def test_installers_are_given_at_a_bounded_rate(hub: Served) -> None:
    asked = [hub.stranger.get("/install/none.deb") for _ in range(4 * limits.INSTALLS_PER_CALLER_S)]
    assert {429, 404} == {answer.status_code for answer in await asyncio.gather(*asked)}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "a token is missing"),
        (["--token"], "--token wants a value"),
        (["--tokn", "x"], "--tokn is unknown"),
    ],
)
async def test_the_script_says_what_is_wrong_with_its_options(hub: Served, words: list[str], told: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-s", "--", *words],
        input=await script_of(hub),
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"skerry: {told}")
    assert done.stderr.count("\n") == 1


async def test_a_script_that_was_cut_off_on_its_way_does_nothing(hub: Served) -> None:
    text = await script_of(hub)
    half = text[: text.rindex("main ")]
    done = subprocess.run(["/bin/sh"], input=half, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


_DEVICE = {
    "id": "echo 0",
    "systemctl": ":",
    "getent": '[ ! -d "$HERE/groups" ] || echo skerry:x:900:ada; exit 2',
    "dpkg": 'if [ "$1" = --print-architecture ]; then echo amd64; else echo "$@" >>"$HERE/dpkg"; fi',
    "dpkg-query": '[ -z "$BEFORE" ] || echo "$BEFORE 0.0.9"',
    "apt-get": 'mkdir -p "$HERE/state"; echo "$@" >"$HERE/apt-get"; cat >>"$HERE/apt-get"',
    "skerry-agent": 'for file in $ENROLLED; do : >"$HERE/state/$file"; done; echo "skerry-agent: a wrong name"; exit 1',
}
"""What the script calls on a device, and what each does: an enrollment that fails."""


@pytest.mark.parametrize(
    ("before", "held", "enrolled", "undone", "told"),
    [
        ("", "", "", "--purge", "this device is as it was before"),
        ("", "", "key.pem", "--remove", "what lies in"),  # the hub may know that key
        ("", "agent.json key.pem journal.db", "", "--remove", "what lies in"),
        ("", "telemetry.db", "", "--remove", "what lies in"),
        ("", "agent.toml", "", "--remove", "what lies in"),  # its owner's, written ahead
        ("", "group", "", "--remove", "what lies in"),  # with its members
        ("config-files", "agent.json key.pem journal.db", "", "--remove", "what lies in"),
        ("config-files", "", "", "--remove", "what lies in"),
        ("installed", "agent.json key.pem", "", "", ""),
        ("half-configured", "agent.json key.pem", "", "", ""),
    ],
)
async def test_what_was_here_before_a_failure_is_never_taken_back(
    hub: Served, tmp_path: Path, before: str, held: str, enrolled: str, undone: str, told: str
) -> None:
    put(hub.home.packages, "skerry-agent_0.1.0+deb12_amd64.deb", archive(b"2.0\n", BODY))
    token = (await hub.api.post("/v1/tokens", json={})).json()["token"]
    here = tmp_path / "device"
    for folder in ("bin", "run"):
        (here / folder).mkdir(parents=True)
    for name in held.split():
        folder = here / {"agent.toml": "etc", "group": "groups"}.get(name, "state")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    for name, does in _DEVICE.items():
        (here / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (here / "bin" / name).chmod(0o755)
    (here / "os-release").write_text("ID=debian\nVERSION_ID=12\n")
    text = await script_of(hub)
    elsewhere = {"/var/lib/skerry/agent": "state", "/run/systemd/system": "run", "/etc/skerry": "etc"}
    for there, name in {**elsewhere, "/etc/os-release": "os-release"}.items():
        text = text.replace(there, str(here / name))
    done = await asyncio.to_thread(
        subprocess.run,
        ["/bin/sh", "-s", "--", "--token", token, "--name", "oslo"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": f"{here}/bin:/usr/bin:/bin", "HERE": str(here), "BEFORE": before, "ENROLLED": enrolled},
    )
    assert (done.returncode, done.stderr) == (1, "skerry: a wrong name\n")
    called = (here / "dpkg").read_text() if (here / "dpkg").exists() else ""
    assert called.strip() == f"{undone} skerry-agent".strip() * bool(undone)
    assert told in done.stdout
    assert ("taken back" in done.stdout) == bool(undone)
    assert "--force-confold" in (here / "apt-get").read_text()
    assert (here / "apt-get").read_text().count("\n") == 1, "it is asked nothing, and reads nothing of the script"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed here")
async def test_shellcheck_finds_nothing(hub: Served, tmp_path: Path) -> None:
    (tmp_path / "install.sh").write_text(await script_of(hub))
    room = Path(__file__).resolve().parents[3] / "packaging"
    scripts = [tmp_path / "install.sh", *room.glob("*.sh"), *room.glob("*/p*")]
    done = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True, timeout=120)
    assert done.stdout == ""
