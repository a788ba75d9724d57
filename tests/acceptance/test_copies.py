"""D: an old copy restored, or cloned; agent, hub. Noticed by both ends, alarmed, no silent roll-back (A13, A17)."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from hub.demo import fleet as demo
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record


async def test_old_copy_restored_of_a_hub_rolls_no_device_back_and_takes_over_when_told(
    tmp_path: Path, record: Record
) -> None:
    ledger, hub, copy = record.ledger, tmp_path / "f" / "hub", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        await it.hub.stop()
        shutil.copytree(hub, copy)
        await it.hub.start()
        await deeds.hub_answers(it)
        await deeds.declare(it, deeds.service("later", ["sleep", "600"]))
        later = await deeds.pid_of(it, "oslo", "later")
        await _kept_more(it, ledger, 30)
        await it.hub.kill()
        shutil.rmtree(hub)
        shutil.copytree(copy, hub)
        await it.hub.start()
        await deeds.hub_answers(it)

        alarms = await _alarms(it, "oslo", "restored-parent")
        assert "accept" in alarms["restored-parent"]
        assert await deeds.pid_of(it, "oslo", "later") == later, "a restored hub rolled the device back"
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        _, shown = await it.command("describe", "node", "oslo")
        assert "this hub was restored" in " ".join(shown.split())

        assert "skerry hub accept-restore" in " ".join(shown.split()), "every answer says what is waited for"
        await it.command("hub", "accept-restore", "--yes")
        await deeds.gone(later)
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "healthy work was restarted"
        assert (await it.node("oslo"))["alarms"] == []
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()


async def test_old_copy_restored_of_a_hub_in_place_with_its_lock_holds_up_the_device_that_it_has_overtaken(
    tmp_path: Path, record: Record
) -> None:
    ledger, hub, copy = record.ledger, tmp_path / "f" / "hub", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
        oslo = it.agents["oslo"].daemon
        await deeds.declare(it, deeds.producer("numbers", ledger))
        await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        os.kill(it.hub.pid, signal.SIGSTOP)
        shutil.copytree(hub, copy)
        os.kill(it.hub.pid, signal.SIGCONT)
        await deeds.declare(it, deeds.service("later", ["sleep", "600"]))
        later = [await deeds.pid_of(it, name, "later") for name in ("oslo", "bergen")]
        await oslo.kill()
        await it.agents["bergen"].daemon.kill()
        await it.hub.kill()
        for path in hub.glob("hub.db*"):
            path.write_bytes((copy / path.name).read_bytes())
        record.fault("restore", "cloud", "in place, with its lock file")
        await it.hub.start()
        await deeds.hub_answers(it)
        for name in ("third", "fourth"):
            await deeds.declare(it, deeds.service(name, ["sleep", "600"]))

        await oslo.start()
        assert "never asked for" in (await _alarms(it, "oslo", "restored-parent"))["restored-parent"]
        assert await deeds.pid_of(it, "oslo", "later") == later[0], "a restored hub rolled the device back"
        _, shown = await it.command("get", "nodes")
        assert "devices hold what this hub never asked for (oslo)" in " ".join(shown.split())
        await it.command("hub", "accept-restore", "--yes")
        await it.agents["bergen"].daemon.start()  # away while it was confirmed
        for pid, name in zip(later, ("oslo", "bergen"), strict=True):
            await deeds.gone(pid)
            await deeds.pid_of(it, name, "fourth")
        assert (await it.node("oslo"))["alarms"] == []
        await deeds.take_away(it, "service/numbers", "service/third", "service/fourth")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check()


async def test_old_copy_restored_of_a_device_is_noticed_and_nothing_is_taken_twice(
    tmp_path: Path, record: Record
) -> None:
    ledger, data, copy = record.ledger, tmp_path / "f" / "oslo", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        await deeds.power_cut(it, "oslo")
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock"))
        await it.agents["oslo"].daemon.start()
        await deeds.pid_of(it, "oslo", "numbers")
        await _kept_more(it, ledger, 30)
        sent = deeds.all_kept(ledger, "oslo")
        await deeds.settled(it)
        await deeds.power_cut(it, "oslo")
        forgotten = deeds.all_kept(ledger, "oslo") - sent
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        await it.agents["oslo"].daemon.start()

        assert "clone-seen" in await _alarms(it, "oslo"), "a session counter that comes again may be a second machine"
        await it.command("node", "accept", "oslo")
        await it.agents["oslo"].daemon.kill()  # else it asks again after limits.REFUSED_RETRY_S
        await it.agents["oslo"].daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is back")
        await deeds.pid_of(it, "oslo", "numbers")
        await _kept_more(it, ledger, 10)
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check(forgotten)


async def test_old_copy_restored_of_a_device_much_older_resumes_by_itself_with_an_alarm(
    tmp_path: Path, record: Record
) -> None:
    ledger, data, copy = record.ledger, tmp_path / "f" / "oslo", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        await deeds.power_cut(it, "oslo")
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock"))
        sent = set[str]()
        for _ in range(3):
            await it.agents["oslo"].daemon.start()
            await it.until(lambda: it.online("oslo"), "oslo is online")
            await deeds.pid_of(it, "oslo", "numbers")
            await _kept_more(it, ledger, 10)
            sent = deeds.all_kept(ledger, "oslo")
            await deeds.settled(it)
            await deeds.power_cut(it, "oslo")
        forgotten = deeds.all_kept(ledger, "oslo") - sent
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        await it.agents["oslo"].daemon.start()
        assert set(await _alarms(it, "oslo")) & {"child-restored", "epoch-changed"}
        await it.until(lambda: it.online("oslo"), "oslo is served")
        await deeds.pid_of(it, "oslo", "numbers")
        await _kept_more(it, ledger, 10)
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check(forgotten)


@pytest.mark.parametrize("lives", [0, 2], ids=["a few entries old", "two lives older"])
async def test_old_copy_restored_of_a_device_in_place_with_its_lock_resumes_by_itself_with_an_alarm(
    tmp_path: Path, record: Record, lives: int
) -> None:
    """As `rsync --inplace` does: each file keeps its inode, and nothing beside the store remembers more."""
    ledger, data, copy = record.ledger, tmp_path / "f" / "oslo", tmp_path / "copy"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        daemon = it.agents["oslo"].daemon
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        os.kill(daemon.pid, signal.SIGSTOP)
        shutil.copytree(data, copy, ignore=shutil.ignore_patterns("*.sock"))
        os.kill(daemon.pid, signal.SIGCONT)
        for _ in range(lives):
            await daemon.kill()
            await daemon.start()
            await it.until(lambda: it.online("oslo"), "oslo is online")
        await _kept_more(it, ledger, 30)
        sent = deeds.all_kept(ledger, "oslo")
        await deeds.settled(it)
        await daemon.kill()
        forgotten = deeds.all_kept(ledger, "oslo") - sent
        for name in ("journal.db", "telemetry.db"):
            for path in data.glob(f"{name}*"):
                path.write_bytes((copy / path.name).read_bytes())
        record.fault("restore", "oslo", "in place, with its lock file")
        await daemon.start()
        assert ("child-restored" in await _alarms(it, "oslo", "epoch-changed")) is (lives > 0)
        await it.until(lambda: it.online("oslo"), "oslo is served")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "what ran was stopped"
        await _kept_more(it, ledger, 10)
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it)
        record.calm()
        (await deeds.tally(it, ledger, "oslo")).check(forgotten)


async def test_cloned_data_directory_is_quarantined_with_the_first(tmp_path: Path, record: Record) -> None:
    ledger, twin = record.ledger, tmp_path / "f" / "twin"
    async with deeds.site(tmp_path / "f", "oslo", "bergen") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it)
        oslo = it.agents["oslo"]
        await oslo.daemon.stop()
        shutil.copytree(oslo.data, twin, ignore=shutil.ignore_patterns("*.sock", "w"))
        await oslo.daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is back")
        run = [str(demo.BIN / "skerry-agent"), "run", "--data", str(twin)]
        second = demo.Daemon("the twin", run, tmp_path / "twin.log", it.env)
        it.agents["twin"] = demo.Agent(name="twin", data=twin, daemon=second, wire=oslo.wire)
        await second.start()

        alarms = await _alarms(it, "oslo", "clone-seen")
        assert "copied data directory" in alarms["clone-seen"]
        assert (await it.node("oslo"))["state"] == "quarantined"
        for name in ("oslo", "twin"):

            async def told(name: str = name) -> bool:
                link = (await deeds.at_device(it, name))["link"]
                return link["state"] == "refused" and "identity" in link["reason"]

            await it.until(told, f"{name} shows why it is not served")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "its work goes on"
        assert await it.online("bergen"), "a neighbour is unaffected"

        await deeds.power_cut(it, "twin")
        del it.agents["twin"]
        await it.command("node", "accept", "oslo")
        await oslo.daemon.kill()
        await oslo.daemon.start()
        await it.until(lambda: it.online("oslo"), "oslo is taken back")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid
        await deeds.take_away(it, "service/numbers")
        await deeds.settled(it, "oslo", "bergen")
        record.calm()
        (await deeds.tally(it, ledger, "bergen")).check()


async def _kept_more(it: Fleet, ledger: Path, count: int, node: str = "oslo") -> None:
    before = deeds.kept(ledger, node)

    async def grown() -> bool:
        return deeds.kept(ledger, node) >= before + count

    await it.until(grown, f"the producer on {node} made {count} more")


async def _alarms(it: Fleet, node: str, what: str = "") -> dict[str, str]:
    """The alarms of a node, once `what` (or any) is among them."""

    async def raised() -> Any:
        found = {one["what"]: one["text"] for one in (await it.node(node))["alarms"]}
        return found if (what in found if what else found) else None

    return await deeds.eventually(it, f"an alarm {what} on {node}", raised)
