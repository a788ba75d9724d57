"""A device that was enrolled after the backup from which its hub came back: named at the hub, and a way in again."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec.structs import replace

from edge_agent.shell import identity
from tests.support import deeds


async def test_a_device_enrolled_after_the_backup_is_named_and_comes_in_again_with_its_key(tmp_path: Path) -> None:
    hub, copy = tmp_path / "f" / "hub", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await it.hub.stop()
        shutil.copytree(hub, copy)
        await it.hub.start()
        await deeds.hub_answers(it)
        await it.join(["bergen"], wire=False, labels={"site": "bergen"})
        data = it.agents["bergen"].data
        before, key = identity.load(data), (data / "key.pem").read_bytes()
        epoch = (await it.node("bergen"))["cursors"]["state"]["epoch"]
        await it.hub.kill()
        shutil.rmtree(hub)
        shutil.copytree(copy, hub)
        await it.hub.start()
        await deeds.hub_answers(it)

        for words in (("doctor", "--data", str(hub)), ("doctor",)):
            code, shown = await it.command(*words, check=False)
            assert (code, "accept-restore: all go on" in " ".join(shown.split())) == (1, True), shown

        async def knocked() -> bool:
            return [one["node"] for one in await it.ask("GET", "/v1/nodes/-/knocks")] == ["bergen"]

        await it.until(knocked, "the hub names who knocks")
        _, shown = await it.command("get", "nodes")
        assert "this hub does not know it: bergen (key " in " ".join(shown.split())
        assert "skerry-agent enroll --token" in " ".join(shown.split())

        token = (await it.ask("POST", "/v1/tokens", {"labels": {"site": "bergen"}}))["token"]
        _, told = await it.command("enroll", "--token", token, "--data", str(data), program="skerry-agent")
        assert "again as bergen, with the key and the journal it has" in " ".join(told.split())
        await it.until(lambda: it.online("bergen"), "it comes back by itself")
        assert (data / "key.pem").read_bytes() == key
        assert replace(identity.load(data), names=before.names) == before  # it hears of names when it connects
        assert (await it.node("bergen"))["cursors"]["state"]["epoch"] == epoch, "the journal went on"
        assert await it.ask("GET", "/v1/nodes/-/knocks") == []
        await it.command("hub", "accept-restore", "--yes", "--reason", "looked")
        assert any(one["body"]["reason"] == "looked" for one in await deeds.events(it, kind="operator.accept-restore"))
        code, shown = await it.command("doctor", "--data", str(hub), check=False)
        assert "restore " in shown
        assert "accept-restore" not in shown
