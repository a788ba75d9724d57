"""The kit that the other acceptance tests stand on: real processes come up, are killed, come back, and all end."""

from pathlib import Path

import psutil

from tests.support.fleet import fleet


async def test_a_killed_agent_is_online_again_and_nothing_is_left_running(tmp_path: Path) -> None:
    async with fleet(tmp_path, agents=["oslo", "bergen"]) as it:
        agent = it.agents["oslo"].daemon
        before = agent.pid
        await agent.kill()

        async def away() -> bool:
            return not await it.online("oslo")

        await it.until(away, "oslo is away")
        await agent.start()
        await it.until(lambda: it.online("oslo"), "oslo is online again")
        assert agent.pid != before
        assert await it.online("bergen")
        pids = [it.hub.pid, *(one.daemon.pid for one in it.agents.values())]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
