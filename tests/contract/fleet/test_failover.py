"""A real device that its hub cannot reach: another one takes over, and its return is decided as the service says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_agent.shell.runners import proc
from hub.core.failover import rules
from protocol import documents, limits
from tests.support import deeds
from tests.support.fleet import Fleet

AFTER = "10s"
GRACE_S = 2.0
LEASE_S = rules.lease_s(documents.Disconnect(replace_after_s=10.0, at_most_one=True), GRACE_S)


def line(on_return: str, *, one: bool = False) -> dict[str, Any]:
    disconnect = {"hub": {"replace_after": AFTER}, "on_return": on_return, "at_most_one": one}
    return deeds.service("line", ["sleep", "600"], count=1, disconnect=disconnect)


def pid_at(it: Fleet, name: str) -> int:
    """Return the pid that the agent itself says, 0 when it runs nothing."""
    said: dict[str, Any] = deeds.local(it, name) or {}
    found: dict[str, Any] = said.get("services", {}).get("line", {})
    return int(found.get("pid", 0)) if found.get("state") == "running" else 0


async def placed(it: Fleet) -> list[str]:
    return (await it.ask("GET", "/v1/services/line"))["nodes"]


async def runs(it: Fleet, name: str) -> int:
    """Wait until `name` runs it; return the pid."""

    async def there() -> bool:
        return pid_at(it, name) > 0

    await it.until(there, f"line runs on {name}")
    return pid_at(it, name)


async def rests(it: Fleet, name: str, pid: int) -> None:
    """Wait until what ran on `name` is gone."""

    async def gone() -> bool:
        return not psutil.pid_exists(pid)

    await it.until(gone, f"line is gone from {name}")


async def decided(it: Fleet) -> list[dict[str, Any]]:
    async with it.stream("GET", "/v1/events?limit=500") as lines:
        found = [json.loads(line) async for line in lines]
    return [one["body"] for one in found if one["kind"] == "failover.decided"]


async def cut(it: Fleet, document: dict[str, Any]) -> tuple[str, str, int]:
    """Declare it, cut its device from the hub, let another one take over: who had it, who has it, the first's pid."""
    await deeds.declare(it, document)
    (first,) = await placed(it)
    pid = await runs(it, first)
    it.agents[first].wire.cut()

    async def taken_over() -> bool:
        return await placed(it) != [first]

    await it.until(taken_over, "another device has taken over")
    (second,) = await placed(it)
    return first, second, pid


@pytest.mark.parametrize("on_return", ["keep_original", "keep_replacement", "keep_both"])
async def test_the_return_of_a_device_that_was_cut_off_is_decided_as_declared(tmp_path: Path, on_return: str) -> None:
    async with deeds.site(tmp_path / "f", "oslo-1", "oslo-2", wire=True) as it:
        first, second, pid = await cut(it, line(on_return))
        assert pid_at(it, first) == pid, "nothing stops there because it was cut off"
        other = await runs(it, second)

        it.agents[first].wire.heal()
        match on_return:
            case "keep_original":
                await rests(it, second, other)
                assert (await placed(it), pid_at(it, first)) == ([first], pid)
            case "keep_replacement":
                await rests(it, first, pid)
                assert (await placed(it), pid_at(it, second)) == ([second], other)
            case _:

                async def kept() -> bool:
                    return len(await decided(it)) == 2

                await it.until(kept, "it is decided that both stay")
                assert (pid_at(it, first), pid_at(it, second)) == (pid, other)


async def test_never_two_of_what_may_be_there_once(tmp_path: Path) -> None:
    """The agent of the device that is cut off is killed too: its workload ends with its lease, and not before."""
    async with deeds.site(tmp_path / "f", "oslo-1", "oslo-2", wire=True) as it:
        await deeds.declare(it, line("keep_original", one=True))
        (first,) = await placed(it)
        second = "oslo-2" if first == "oslo-1" else "oslo-1"
        pid = await runs(it, first)
        start = proc.start_of(pid)
        assert start is not None

        it.agents[first].wire.cut()
        await it.agents[first].daemon.kill()
        both = 0
        async with asyncio.timeout(LEASE_S + GRACE_S + 4 * limits.LEASE_SLACK_S + 30.0):
            while not (other := pid_at(it, second)):
                await asyncio.sleep(0.05)  # bounded poll
        both += proc.has_group(pid, start)
        assert both == 0, "the first one is gone before the second one begins"

        it.agents[first].wire.heal()
        await it.agents[first].daemon.start()
        await rests(it, second, other)
        again = await runs(it, first)
        assert again != pid
        assert pid_at(it, second) == 0
