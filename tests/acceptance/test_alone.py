"""What a device does with nobody to ask: its agent dies, it reboots, its hub is away. B: the owners' list."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

SHELL = ["sh", "-c"]


def _said(ledger: Path) -> list[str]:
    return ledger.read_text().split() if ledger.exists() else []


async def _written(it: Fleet, ledger: Path, what: str, count: int = 1) -> None:
    async def enough() -> bool:
        return _said(ledger).count(what) >= count

    await it.until(enough, f"{what} stands in {ledger.name} {count} times")


async def test_an_exit_code_is_not_lost_when_the_process_ends_while_its_agent_is_dead(
    tmp_path: Path, record: Record
) -> None:
    go = tmp_path / "go"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        wait = f"until [ -e {go} ]; do sleep 0.05; done; exit 37"
        await deeds.declare(it, deeds.service("once", [*SHELL, wait], restart={"policy": "never"}))
        pid = await deeds.pid_of(it, "oslo", "once")
        await it.agents["oslo"].daemon.kill()
        go.touch()
        await deeds.gone(pid)
        await it.agents["oslo"].daemon.start()

        async def told() -> list[dict[str, Any]]:
            return await deeds.events(it, node="oslo", kind="service.exited", key="once")

        exits = await deeds.eventually(it, "the exit of once is at the hub", told)
        assert [one["body"]["code"] for one in exits] == [37]


async def test_crash_between_start_effect_end_counts_a_step_that_ended_meanwhile_and_runs_it_once(
    tmp_path: Path,
    record: Record,
) -> None:
    go, ledger = tmp_path / "go", tmp_path / "said"
    steps = [
        {"name": "one", "run": [*SHELL, f"echo one >>{ledger}"]},
        {
            "name": "two",
            "needs": ["one"],
            "run": [*SHELL, f"echo two >>{ledger}; until [ -e {go} ]; do sleep 0.05; done; echo end >>{ledger}"],
        },
        {"name": "three", "needs": ["two"], "run": [*SHELL, f"echo three >>{ledger}"]},
    ]
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.workflow("flow", steps))
        run = await _start(it, "oslo", "flow")
        await _written(it, ledger, "two")
        await it.agents["oslo"].daemon.kill()
        go.touch()
        await _written(it, ledger, "end")
        await it.agents["oslo"].daemon.start()
        ended = await _ended(it, run)
        assert ended["state"] == "ok"
        assert _said(ledger) == ["one", "two", "end", "three"]


async def test_kill_9_over_and_over_leaves_one_copy_of_each_service(tmp_path: Path, record: Record) -> None:
    mark = f"mark-{os.urandom(6).hex()}"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        names = [f"s{number}" for number in range(4)]
        await deeds.declare(it, *(deeds.service(name, [*SHELL, "sleep 600 & wait", mark]) for name in names))
        await it.agents["oslo"].daemon.kill()  # possibly between START and the record of the process
        for _ in range(5):
            await it.agents["oslo"].daemon.start()
            await deeds.at_device(it, "oslo")
            await it.agents["oslo"].daemon.kill()
        await it.agents["oslo"].daemon.start()
        pids = {await deeds.pid_of(it, "oslo", name) for name in names}
        assert set(deeds.copies(mark)) >= pids
        assert len([pid for pid in deeds.copies(mark) if os.getpgid(pid) == pid]) == len(names)
        await deeds.take_away(it, *(f"service/{name}" for name in names))
        assert deeds.copies(mark) == []


async def test_a_device_that_reboots_with_no_hub_runs_its_work_again(tmp_path: Path, record: Record) -> None:
    go, ledger, ticks = tmp_path / "go", tmp_path / "said", tmp_path / "ticks"
    hold = f"echo held >>{ledger}; until [ -e {go} ]; do sleep 0.05; done"
    steps = [
        {"name": "one", "run": [*SHELL, f"echo one >>{ledger}"]},
        {"name": "two", "needs": ["one"], "run": [*SHELL, hold], "interrupted": "retry"},
        {"name": "three", "needs": ["two"], "run": [*SHELL, f"echo three >>{ledger}"]},
    ]
    cron = deeds.workflow(
        "ticking", [{"name": "tick", "run": [*SHELL, f"echo tick >>{ticks}"]}], triggers=[{"cron": "* * * * * *"}]
    )
    mark = f"mark-{os.urandom(6).hex()}"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(
            it, deeds.service("stands", [*SHELL, "sleep 600", mark]), deeds.workflow("flow", steps), cron
        )
        before = await deeds.pid_of(it, "oslo", "stands")
        run = await _start(it, "oslo", "flow")
        await _written(it, ledger, "held")
        await _written(it, ticks, "tick")
        await it.hub.kill()
        await deeds.power_cut(it, "oslo")
        ticks.unlink(missing_ok=True)
        await deeds.again(it, "oslo", prefix=deeds.reboot_prefix(tmp_path)).start()

        after = await deeds.pid_of(it, "oslo", "stands")
        assert after != before
        await _written(it, ledger, "held", 2)
        await _written(it, ticks, "tick", 2)
        go.touch()
        await _written(it, ledger, "three")
        assert _said(ledger) == ["one", "held", "held", "three"], "a finished step ran again"

        await it.hub.start()
        await deeds.hub_answers(it)
        ended = await _ended(it, run)
        assert (ended["state"], [step["attempts"] for step in ended["steps"]]) == ("ok", [1, 2, 1])
        assert await deeds.pid_of(it, "oslo", "stands") == after, "the link came back and healthy work was restarted"
        assert len([pid for pid in deeds.copies(mark) if os.getpgid(pid) == pid]) == 1


async def test_crash_between_start_effect_end_fails_the_run_of_a_step_that_may_not_be_repeated(
    tmp_path: Path, record: Record
) -> None:
    ledger = tmp_path / "said"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        steps = [{"name": "pay", "run": [*SHELL, f"echo paid >>{ledger}; sleep 600"], "interrupted": "fail"}]
        await deeds.declare(it, deeds.workflow("flow", steps))
        run = await _start(it, "oslo", "flow")
        await _written(it, ledger, "paid")
        await deeds.power_cut(it, "oslo")
        await deeds.again(it, "oslo", prefix=deeds.reboot_prefix(tmp_path)).start()
        ended = await _ended(it, run)
        assert (ended["state"], ended["steps"][0]["state"]) == ("failed", "failed")
        assert _said(ledger) == ["paid"]


async def test_crash_between_start_effect_end_leaves_a_task_unknown_and_not_run_again(
    tmp_path: Path, record: Record
) -> None:
    ledger = tmp_path / "said"
    async with deeds.site(tmp_path / "f", "oslo") as it:
        group = await _task(it, "oslo", [*SHELL, f"echo did >>{ledger}; sleep 600"])
        await _written(it, ledger, "did")
        await deeds.power_cut(it, "oslo")
        await deeds.again(it, "oslo", prefix=deeds.reboot_prefix(tmp_path)).start()
        task = await _task_ended(it, group)
        assert task["state"] == "unknown", task
        assert _said(ledger) == ["did"]


async def test_a_task_whose_deadline_passed_while_the_device_was_away_is_refused_there(
    tmp_path: Path, record: Record
) -> None:
    ledger = tmp_path / "said"
    async with deeds.site(tmp_path / "f", "oslo", wire=True) as it:
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is(it, "oslo", "away"), "oslo is away")
        code, text = await it.command(
            *("run", "--node", "oslo", "--timeout", "1s", "--deadline", "1s"),
            *("--", "sh", "-c", f"echo did >>{ledger}"),
            check=False,
        )
        assert code == 0, text
        assert "away since" in text
        assert "then refused there" in text
        told = time.time()

        async def passed() -> bool:
            return time.time() > told + 1.0

        await it.until(passed, "the deadline has passed")
        it.agents["oslo"].wire.heal()
        await it.until(lambda: _is(it, "oslo", "online"), "oslo is back")
        await deeds.settled(it)
        ended = await deeds.events(it, node="oslo", kind="task.ended")
        assert [one["body"]["state"] for one in ended] == ["refused"]
        assert "deadline" in ended[0]["body"]["reason"]
        assert (await _task_ended(it, ended[0]["key"]))["state"] == "refused"
        assert _said(ledger) == []


async def test_what_is_deleted_while_the_device_is_away_stops_when_it_is_back(tmp_path: Path, record: Record) -> None:
    async with deeds.site(tmp_path / "f", "oslo", wire=True) as it:
        await deeds.declare(it, deeds.service("old", ["sleep", "600"]), deeds.service("kept", ["sleep", "600"]))
        old, kept = await deeds.pid_of(it, "oslo", "old"), await deeds.pid_of(it, "oslo", "kept")
        it.agents["oslo"].wire.cut()
        await it.until(lambda: _is(it, "oslo", "away"), "oslo is away")
        await it.ask("DELETE", "/v1/resources/service/old")
        assert await deeds.running_pid(it, "oslo", "old") == old, "nobody told the device yet"
        it.agents["oslo"].wire.heal()
        await deeds.gone(old)
        assert await deeds.pid_of(it, "oslo", "kept") == kept

        async def forgotten() -> bool:
            return "old" not in (await it.node("oslo"))["services"]

        await it.until(forgotten, "the hub sees that it is gone")


async def test_a_process_that_is_killed_is_told_by_its_signal_and_started_again(tmp_path: Path, record: Record) -> None:
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await deeds.declare(it, deeds.service("s", ["sleep", "600"], restart={"backoff": "0.1s..1s"}))
        pid = await deeds.pid_of(it, "oslo", "s")
        os.kill(pid, signal.SIGKILL)

        async def another() -> bool:
            return await deeds.pid_of(it, "oslo", "s") != pid

        await it.until(another, "it runs again")
        await deeds.settled(it)
        exits = await deeds.events(it, node="oslo", kind="service.exited", key="s")
        assert [one["body"]["signal"] for one in exits] == [9]


# ------------------------------------------------------------------------------------------------ words


async def _is(it: Fleet, node: str, state: str) -> bool:
    return (await it.node(node))["state"] == state


async def _start(it: Fleet, node: str, workflow: str) -> str:
    """Start a run on the device itself; return its id."""

    async def known() -> bool:
        said = await deeds.at_device(it, node)
        return workflow in said["workflows"]

    await it.until(known, f"{node} knows {workflow}")
    return str((await deeds.at_device(it, node, "workflow-start", workflow=workflow))["run"])


async def _ended(it: Fleet, run: str) -> dict[str, Any]:
    async def found() -> Any:
        runs = await it.ask("GET", "/v1/runs")
        return next((one for one in runs if one["id"] == run and one["ended_ms"]), None)

    return await deeds.eventually(it, f"run {run} has ended", found)


async def _task(it: Fleet, node: str, command: list[str]) -> str:
    body = {"nodes": [node], "command": command, "timeout_s": 60, "deadline_s": 60, "wait": False}
    return str((await it.ask("POST", "/v1/tasks", body))["group"])


async def _task_ended(it: Fleet, group: str) -> dict[str, Any]:
    async def ended() -> Any:
        tasks = (await it.ask("GET", f"/v1/tasks/{group}"))["tasks"]
        return tasks[0] if tasks[0]["state"] not in ("pending", "away", "running") else None

    return await deeds.eventually(it, f"task {group} has ended", ended)
