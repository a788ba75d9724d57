"""A device from the one command to its purge: a clean Debian with real systemd, its packages, a hub on another host.

Needs what `make packages` makes, which takes minutes, Debian's packages and root: without it these are skipped.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import debian, deeds
from tests.support.debian import Debian
from tests.support.installed import hub as _hub
from tests.support.installed import line as _line
from tests.support.installed import pid as _pid
from tests.support.installed import status as _status
from tests.support.installed import token as _token
from tests.support.net import lands
from tests.support.net.host import Host
from tests.support.net.lands import Lands

NATIVE = ("bookworm-amd64", "trixie-amd64")
EMULATED = {"bookworm-arm64": "aarch64", "bookworm-armhf": "armv7l"}
STATE = "/var/lib/skerry/agent"
HUB_STATE, HOME = "/var/lib/skerry/hub", "/root"
_NUMBER = 90


def _trees(*wanted: str) -> pytest.MarkDecorator:
    """Run for each of these trees, skipping those that this machine lacks."""
    params = [
        pytest.param(tree, marks=pytest.mark.skipif(bool(lack := debian.missing(tree)), reason=lack or "all is here"))
        for tree in wanted
    ]
    return pytest.mark.parametrize("tree", params)


async def _main_pid(device: Debian) -> int:
    return int(await device.run("systemctl", "show", "-P", "MainPID", "skerry-agent"))


async def _another(it: Lands, device: Debian, former: int) -> None:
    """Wait until the agent has another process, which is ready."""

    async def there() -> bool:
        active = (await device.run("systemctl", "is-active", "skerry-agent", check=False)).strip()
        return active == "active" and await _main_pid(device) not in (0, former)

    await it.until(there, "the agent has started again", 60)


async def _left(device: Debian) -> str:
    """What there is of Skerry on a device; dpkg's own list of what it once unpacked aside."""
    found = await device.run("sh", "-c", "find / -xdev -name '*skerry*' ! -path '/media/*' ! -path '/proc/*'")
    return found + await device.run("sh", "-c", "grep skerry /etc/passwd /etc/group || :")


@_trees(*NATIVE)
async def test_installed_by_one_command_it_survives_all_that_a_device_meets_and_leaves_nothing(
    tmp_path: Path, tree: str
) -> None:
    async with _hub(tmp_path / "f", tree) as it, debian.booted(tmp_path / "oslo", it.land("oslo", _NUMBER), tree) as on:
        made = await _token(it)
        said = await on.run(*_line(it, made, "--name", "oslo"))
        assert "Done. On this device:  skerry-agent status" in said
        await it.until(lambda: it.online("oslo"), "the device is online")
        again = await on.run(*_line(it, made, "--name", "oslo"))
        assert "is here already" in again
        assert "already; nothing was changed" in again

        await deeds.declare(it, deeds.service("works", ["sh", "-c", "id -un >/var/tmp/who; exec sleep 100000"]))
        pid = await _pid(it, on, "works")
        await _agent_starts_again(it, on, pid)
        await deeds.declare(it, _half_done(), _each_second())
        await it.ask("POST", "/v1/tasks", {"selector": "site=oslo", "workflow": "half", "deadline_s": None})
        await it.until(lambda: _holds(on, "/var/tmp/steps", "first\nsecond\n"), "the workflow is half done")

        for way in it.ways("oslo"):
            way.cut = True
        await on.lose_power()
        await on.boot()
        await _pid(it, on, "works")
        await it.until(lambda: _holds(on, "/var/tmp/steps", "first\nsecond\nsecond\n"), "it resumed where it stopped")
        await _fires(it, on)
        await on.reboot()
        pid = await _pid(it, on, "works")
        await _fires(it, on)
        assert (await _status(on))["link"]["state"] != "live", "all this happened with no network"
        for way in it.ways("oslo"):
            way.cut = False
        await it.until(lambda: it.online("oslo"), "the device is back")

        await on.run("sh", "-c", "dpkg -i /media/$(basename $0)", str(debian.package("skerry-agent", tree)))
        assert await _pid(it, on, "works") == pid, "an upgrade stopped what ran"
        await on.run("dpkg", "--remove", "skerry-agent")
        assert await on.tried("pgrep", "-f", "sleep 100000") == (1, ""), "what runs would have nobody to look after it"
        assert "agent.json" in await on.run("ls", STATE)
        await on.run("sh", "-c", "echo '[people]' >/etc/skerry/agent.toml")
        await on.run("dpkg", "--purge", "skerry-agent")
        assert await _left(on) == ""


async def _agent_starts_again(it: Lands, on: Debian, pid: int) -> None:
    """In order, killed, and hanging: each time its work goes on."""
    assert await on.run("cat", "/var/tmp/who") == "skerry-work\n"
    former = await _main_pid(on)
    await on.run("systemctl", "restart", "skerry-agent")
    assert await _main_pid(on) != former
    assert await _pid(it, on, "works") == pid
    former = await _main_pid(on)
    await on.run("kill", "-KILL", str(former))
    await _another(it, on, former)
    assert await _pid(it, on, "works") == pid
    await on.run("mkdir", "/etc/systemd/system/skerry-agent.service.d")
    quick = "printf '[Service]\\nWatchdogSec=4\\n' >/etc/systemd/system/skerry-agent.service.d/quick.conf"
    await on.run("sh", "-c", f"{quick}; systemctl daemon-reload; systemctl restart skerry-agent")
    former = await _main_pid(on)
    fed = await _fed(on)

    async def later() -> bool:
        return await _fed(on) >= fed + 8_000_000

    await it.until(later, "its watchdog is fed", 60)
    assert await _main_pid(on) == former
    await on.run("kill", "-STOP", str(former))
    await _another(it, on, former)
    assert await _pid(it, on, "works") == pid
    assert "watchdog" in (await on.run("journalctl", "-u", "skerry-agent")).lower()
    await on.run("rm", "-r", "/etc/systemd/system/skerry-agent.service.d")
    code, said = await on.tried("runuser", "-u", "skerry-agent", "--", "skerry-agent", "run", "--data", STATE)
    assert code == 1
    assert "another" in said, said


async def _fed(on: Debian) -> int:
    """When the agent told its watchdog last that its core turns, in microseconds of its device's life."""
    return int(await on.run("systemctl", "show", "-P", "WatchdogTimestampMonotonic", "skerry-agent"))


def _half_done() -> dict[str, Any]:
    second = "echo second >>steps; sync; [ ! -e once ] || exit 0; touch once; sync; exec sleep 100000"
    steps = [
        {"name": "first", "run": ["sh", "-c", "cd /var/tmp; echo first >>steps"]},
        {"name": "second", "needs": ["first"], "run": ["sh", "-c", f"cd /var/tmp; {second}"], "interrupted": "retry"},
    ]
    return deeds.workflow("half", steps)


def _each_second() -> dict[str, Any]:
    count = {"name": "count", "run": ["sh", "-c", "echo once >>/var/tmp/fired"]}
    return deeds.workflow("beat", [count], triggers=[{"cron": "* * * * * *", "timezone": "UTC", "catch_up": "none"}])


async def _fires(it: Lands, on: Debian) -> None:
    """Wait until a schedule fires from now on, more than once."""

    async def fired() -> int:
        return (await on.tried("cat", "/var/tmp/fired"))[1].count("once")

    before = await fired()

    async def again() -> bool:
        return await fired() > before + 1

    await it.until(again, "its schedule fires")


async def _holds(on: Debian, path: str, text: str) -> bool:
    return await on.tried("cat", path) == (0, text)


@_trees(*EMULATED)
async def test_installed_on_another_machine_it_enrolls_runs_work_and_syncs(tmp_path: Path, tree: str) -> None:
    async with _hub(tmp_path / "f", tree) as it, debian.booted(tmp_path / "oslo", it.land("oslo", _NUMBER), tree) as on:
        assert (await on.run("uname", "-m")).strip() == EMULATED[tree]
        # The emulator makes no network's namespace: systemd there cannot keep the launcher from the network.
        drop_in = "/run/systemd/system/skerry-agent-launch.service.d"
        await on.run(
            "sh", "-c", f"mkdir -p {drop_in}; printf '[Service]\\nPrivateNetwork=no\\n' >{drop_in}/emulated.conf"
        )
        assert "Done" in await on.run(*_line(it, await _token(it), "--name", "oslo"))
        await it.until(lambda: it.online("oslo"), "the device is online", 120)
        say = "skerry-agent emit --kind said --body '{\"here\": 1}'; exec sleep 100000"
        await deeds.declare(it, deeds.service("works", ["sh", "-c", say]))
        pid = await _pid(it, on, "works")
        await on.run("systemctl", "restart", "skerry-agent")
        assert await _pid(it, on, "works") == pid

        async def told() -> bool:
            events = await it.ask("GET", "/v1/events?node=oslo&kind=app.said&limit=1")
            return bool(events)

        await it.until(told, "what it says has come to the hub", 120)
        await on.run("dpkg", "--purge", "skerry-agent")
        assert await _left(on) == ""


@_trees(*NATIVE)
async def test_installed_as_a_package_a_hub_serves_starts_again_and_leaves_nothing(tmp_path: Path, tree: str) -> None:
    at = Host(_NUMBER)
    try:
        async with debian.booted(tmp_path / "hub", at, tree) as on:
            package = debian.package("skerry-hub", tree)
            assert package is not None
            await on.run("dpkg", "-i", f"/media/{package.name}")
            assert (await on.run("systemctl", "is-active", "skerry-hub", check=False)).strip() == "inactive"
            await on.run("skerry", "hub", "init", "--data", HUB_STATE, "--name", "cloud")
            await on.run("chown", "-R", "skerry-hub:", HUB_STATE)
            await on.run("systemctl", "start", "skerry-hub")
            assert "sk1." in await on.run("skerry", "token", "create")
            await on.reboot()
            await on.run("systemctl", "is-active", "skerry-hub")
            assert await on.run("skerry", "get", "tokens", "-o", "json") != "[]"
            await on.run("dpkg", "--remove", "skerry-hub")
            assert "hub.db" in await on.run("ls", HUB_STATE)
            await on.run("dpkg", "--purge", "skerry-hub")
            await on.run("rm", "-r", "/".join((HOME, ".config", "skerry")))  # the operator's own
            assert await _left(on) == ""
    finally:
        at.close()


@_trees(NATIVE[0])
async def test_installed_by_one_command_or_not_at_all(tmp_path: Path, tree: str) -> None:
    async with _hub(tmp_path / "f", tree) as it, debian.booted(tmp_path / "oslo", it.land("oslo", _NUMBER), tree) as on:
        held = next((it.data / "packages").iterdir())
        made = await _token(it, uses=1)
        away = {**made, "pin": "A" * 43 + "="}
        assert "Done" not in await on.run(*_line(it, away), check=False), "another key than the pin's served a script"
        foreign = {**made, "token": made["token"].replace(".cloud.", ".other.")}
        assert "this token is of another hub than cloud" in await _refused(on, *_line(it, foreign))
        assert "--nmae is unknown" in await _refused(on, *_line(it, made, "--nmae", "x"))

        fetched = f"curl -fsSk https://{it.where.address}:{lands.API_PORT}/install >/srv/install.sh"
        await on.run("sh", "-c", fetched)
        whole = held.read_bytes()
        held.write_bytes(whole[:-4096] + bytes(4096))
        run = ("sh", "/srv/install.sh", "--token", made["token"], "--name", "oslo")
        assert "is not what this hub promised" in await _refused(on, *run)
        held.write_bytes(whole[:-4096])
        assert "could not be fetched" in await _refused(on, *run), "half a package is served to nobody"
        assert "this hub holds no package for debian" in await _refused(on, *_line(it, made))
        other = held.with_name(held.name.replace("amd64", "arm64"))
        other.write_bytes(whole)
        said = await _refused(on, *_line(it, made))
        assert "no package for debian 12 amd64 (it has: debian 12 arm64)" in said
        other.unlink()
        held.write_bytes(_for_another_machine(tmp_path))
        assert "could not be installed" in await _refused(on, *_line(it, made)), "its name says what it is not"
        held.write_bytes(whole)
        await _refused_for_want_of_room(on, *run)

        for way in it.ways("oslo"):
            way.cut = True
        assert "could not be fetched" in await _refused(on, *run)
        for way in it.ways("oslo"):
            way.cut = False
        spent = await _token(it)
        await it.ask("DELETE", f"/v1/tokens/{spent['id']}")
        said = await _refused(on, *_line(it, spent))
        assert "did not enroll this device" in said
        assert "taken back" in said, "what was installed before it failed is gone"
        assert "Done" in await on.run(*run), "and after all that, it is a device like any other"
        await it.until(lambda: it.online("oslo"), "the device is online")

        await on.run("dpkg", "--remove", "skerry-agent")
        await on.run("sh", "-c", "echo X=1 >>/etc/skerry/agent.env")  # its owner's: nobody is asked about it
        before = await on.run("sha256sum", f"{STATE}/agent.json", f"{STATE}/key.pem")
        code, said = await on.tried(*run[:-1], "bergen")
        assert (code, "what lies in" in said) == (1, True), said
        assert await on.run("sha256sum", f"{STATE}/agent.json", f"{STATE}/key.pem") == before
        await on.run("test", "-e", f"{STATE}/journal.db")
        assert (await on.tried("test", "-e", "/usr/bin/skerry-agent"))[0] == 1
        assert "Done" in await on.run(*run)
        assert "X=1" in await on.run("cat", "/etc/skerry/agent.env")
        await it.until(lambda: it.online("oslo"), "the device is online again, as itself")


def _for_another_machine(folder: Path) -> bytes:
    """A package of another architecture."""
    made = folder / "foreign.deb"
    (folder / "foreign" / "DEBIAN").mkdir(parents=True)
    fields = "Package: skerry-agent\nVersion: 0.1.0+deb12\nArchitecture: riscv64\nMaintainer: a <a@b>\nDescription: a\n"
    (folder / "foreign" / "DEBIAN" / "control").write_text(fields)
    subprocess.run(["dpkg-deb", "-Znone", "--build", folder / "foreign", made], check=True, capture_output=True)
    return made.read_bytes()


async def _refused_for_want_of_room(on: Debian, *words: str) -> None:
    """What the check cannot foresee: the disk is full half-way, as dpkg sees it."""
    await on.run("sh", "-c", "mkdir -p /usr/lib/skerry-agent; mount -t tmpfs -o size=20m none /usr/lib/skerry-agent")
    code, said = await on.tried(*words)
    assert (code, "could not be installed" in said, "No space left on device" in said) == (1, True, True), said
    assert "taken back" in said, said
    await on.run(
        "sh", "-c", "umount /usr/lib/skerry-agent; rmdir /usr/lib/skerry-agent; rm -f /var/lib/dpkg/status-old"
    )
    assert (await _left(on)).replace("/srv/install.sh", "").strip() == ""


async def _refused(on: Debian, *words: str) -> str:
    """Run it; it must fail with one sentence, and leave nothing."""
    code, said = await on.tried(*words)
    assert code == 1, said
    assert sum(line.startswith("skerry: ") for line in said.splitlines()) == 1, said
    await on.run("rm", "-f", "/var/lib/dpkg/status-old")
    assert (await _left(on)).replace("/srv/install.sh", "").strip() == "", said
    return said


async def _told(on: Debian, pid: int, name: str) -> list[str]:
    lines = (await on.run("cat", f"/proc/{pid}/status")).splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


async def _is_healthy(on: Debian, service: str) -> bool:
    return (await _status(on))["services"][service].get("healthy") is True


async def _reason(it: Lands, on: Debian, service: str) -> str:
    async def failed() -> str:
        return (await _status(on))["services"].get(service, {}).get("reason", "")

    return await deeds.eventually(it, f"{service} says why it does not run", failed)


@_trees(*NATIVE)
async def test_what_runs_is_confined_as_declared_and_allowed_and_outlives_who_started_it(
    tmp_path: Path, tree: str
) -> None:
    async with _hub(tmp_path / "f", tree) as it, debian.booted(tmp_path / "oslo", it.land("oslo", _NUMBER), tree) as on:
        await on.run(*_line(it, await _token(it), "--name", "oslo"))
        await it.until(lambda: it.online("oslo"), "the device is online")
        quiet: dict[str, Any] = {"private_tmp": True, "network": "none", "read_only": ["/opt"], "rlimits": {"core": 0}}
        forever = ["sh", "-c", "ls -A /tmp >saw; grep -c : /proc/net/dev >>saw; touch /opt/x; exec sleep 100000"]
        await deeds.declare(it, deeds.service("quiet", forever, isolation=quiet, health={"exec": ["true"]}))
        pid = await _pid(it, on, "quiet")
        await it.until(lambda: _is_healthy(on, "quiet"), "its health command runs where it does")
        work = (await on.run("id", "-u", "skerry-work")).strip()
        assert await _told(on, pid, "Uid") == [work] * 4
        assert await _told(on, pid, "NoNewPrivs") == ["1"]
        assert await _told(on, pid, "CapBnd") == ["0" * 16]
        assert (await on.run("cat", "/var/lib/skerry/agent/data/quiet/saw")).split() == ["1"]
        assert (await on.tried("ls", "/opt/x"))[0] != 0
        assert "skerry-agent-work.service" in await on.run("cat", f"/proc/{pid}/cgroup")

        for unit in ("skerry-agent-launch", "skerry-agent", "skerry-agent-launch.socket"):
            await on.run("systemctl", "restart", unit)
            assert await _pid(it, on, "quiet") == pid
        await deeds.declare(it, deeds.service("asroot", ["id"], process={"user": "root"}))
        assert "the user 'root' is not among `users`" in await _reason(it, on, "asroot")
        await on.run("sh", "-c", "printf '[work]\\nusers = [\"nobody\"]\\n' >/etc/skerry/agent.toml")
        await deeds.declare(it, deeds.service("other", ["sleep", "100000"], process={"user": "nobody"}))
        assert await _told(on, await _pid(it, on, "other"), "Uid") == ["65534"] * 4

        await on.run("systemctl", "stop", "skerry-agent", "skerry-agent-work")
        assert await on.tried("pgrep", "-f", "sleep 100000") == (1, "")
        await on.run("systemctl", "start", "skerry-agent-work", "skerry-agent")
        await _pid(it, on, "quiet")
