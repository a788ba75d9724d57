"""One stick at two devices: an image that was cloned with what the stick prepared, or one name that was taken twice."""

from __future__ import annotations

import shutil
from pathlib import Path

from hub.demo import fleet as demo
from hub.demo.daemon import free_ports
from hub.demo.wire import Wire
from tests.support import deeds
from tests.support.fleet import Fleet, fleet


def _agent(it: Fleet, folder: str) -> demo.Agent:
    data = it.folder / folder
    run = [str(demo.BIN / "skerry-agent"), "run", "--data", str(data)]
    daemon = demo.Daemon(folder, run, it.folder / f"{folder}.log", it.env)
    it.agents[folder] = demo.Agent(name=folder, data=data, daemon=daemon, wire=Wire("127.0.0.1", *free_ports(1)))
    return it.agents[folder]


async def _prepare(it: Fleet, stick: Path, agent: demo.Agent) -> None:
    await it.command("enroll", "--from", str(stick), "--data", str(agent.data), program="skerry-agent")


async def _says(it: Fleet, name: str, text: str) -> None:
    """Wait until this device says of its link."""

    async def told() -> bool:
        said = deeds.local(it, name)
        return bool(said) and text in said["link"]["reason"]

    await it.until(told, f"{name} says: {text}")


async def test_an_image_that_was_cloned_with_what_its_stick_prepared_is_noticed_at_both(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    async with fleet(tmp_path / "fleet") as it:
        await it.command("bundle", "device", "--name", "mast-7", "--to", str(stick))
        first, second = _agent(it, "first"), _agent(it, "second")
        await _prepare(it, stick, first)
        shutil.copytree(first.data, second.data)
        await first.daemon.start()
        await it.until(lambda: it.online("mast-7"), "the first has enrolled by itself")
        await second.daemon.start()
        for name in ("first", "second"):
            await _says(it, name, "a second device uses this node's identity: remove one")
        node = await it.node("mast-7")
        assert (node["state"], [one["what"] for one in node["alarms"]]) == ("quarantined", ["clone-seen"])


async def test_one_stick_that_was_used_at_two_devices_makes_one_and_tells_the_other(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    async with fleet(tmp_path / "fleet") as it:
        await it.command("bundle", "device", "--name", "mast-7", "--to", str(stick))
        first, second = _agent(it, "first"), _agent(it, "second")
        for agent in (first, second):
            await _prepare(it, stick, agent)
        await first.daemon.start()
        await it.until(lambda: it.online("mast-7"), "the first has enrolled by itself")
        epoch = (await it.node("mast-7"))["epoch"]
        await second.daemon.start()
        await _says(it, "second", "not enrolled yet: ")
        reason = deeds.local(it, "second")["link"]["reason"]
        assert "mast-7" in reason, reason
        node = await it.node("mast-7")
        assert (node["state"], node["epoch"], node["alarms"]) == ("online", epoch, [])
