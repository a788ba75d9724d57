"""What acceptance tests do with a fleet, and how they count: declare work, ask a device, kill at a place, tally.

The tally is the producers' own. A producer writes a number down and fsyncs it before it emits it (`tried`) and again
when the agent answered (`kept`); it never emits a number twice. So a number that is `kept` and is not at the hub is
lost, one that is there twice is doubled, and one that is there without `tried` was made up.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import psutil

from edge_agent.cli import client
from hub.demo import broker as brokers
from hub.demo import fleet as demo
from protocol import limits
from protocol.errors import SkerryError
from tests.support.fleet import Fleet, fleet

HERE = Path(__file__).parent
EVERYWHERE = "site=oslo"
_PRODUCER = HERE / "producer.py"
_STEPS_S = 10.0


@contextlib.asynccontextmanager
async def site(folder: Path, *agents: str, wire: bool = False) -> AsyncGenerator[Fleet]:
    """A hub and agents of one site, online; ended when the block ends."""
    async with fleet(folder) as made:
        await made.join(agents, wire=wire, labels={"site": "oslo"})
        yield made


@contextlib.asynccontextmanager
async def brokered(folder: Path, *agents: str, conf: str = "") -> AsyncGenerator[tuple[Fleet, demo.Daemon]]:
    """As `site`, through a mosquitto of its own, each agent behind a wire; yields the broker's process too.

    `conf`: lines for mosquitto.conf, in force from its next life on.
    """
    folder.mkdir(parents=True)
    made = Fleet(folder)
    try:
        await made.init()
        async with brokers.running(folder / "hub", folder / "broker", made.mqtt_port) as (url, broker):
            with (folder / "broker" / "mosquitto.conf").open("a") as file:
                file.write(conf)
            made.go_through(url)
            await made.begin_made()
            await made.join(agents, labels={"site": "oslo"})
            yield made, broker
    finally:
        await made.close()


@contextlib.contextmanager
def dice(seed: int) -> Generator[random.Random]:
    """What a test decides by chance; whatever fails inside is told with the seed."""
    try:
        yield random.Random(seed)
    except BaseException as error:
        error.add_note(f"the seed was {seed}")
        raise


# ------------------------------------------------------------------------------------------------ declaring


def service(name: str, command: list[str], selector: str = EVERYWHERE, **spec: Any) -> dict[str, Any]:
    """One service's document."""
    process = {"command": command, **spec.pop("process", {})}
    placement = {"selector": selector, "count": spec.pop("count", "all")}
    return _document("Service", name, {"process": process, "placement": placement, "stop": {"grace": "2s"}, **spec})


def workflow(name: str, steps: list[dict[str, Any]], selector: str = EVERYWHERE, **spec: Any) -> dict[str, Any]:
    """One workflow's document."""
    return _document("Workflow", name, {"steps": steps, "placement": {"selector": selector, "count": "all"}, **spec})


def producer(name: str, ledger: Path, *, every_s: float = 0.0, selector: str = EVERYWHERE) -> dict[str, Any]:
    """A service that emits numbers as fast as they are kept, or each `every_s`, and accounts for them in `ledger`."""
    ledger.mkdir(exist_ok=True)
    spec = {"files": [{"path": "producer.py", "text": _PRODUCER.read_text()}], "restart": {"backoff": "0.1s..1s"}}
    command = ["python3", "-u", "producer.py", str(ledger), str(every_s)]
    return service(name, command, selector, **spec)


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "skerry/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


async def declare(it: Fleet, *documents: dict[str, Any]) -> Any:
    """Apply documents as the CLI does."""
    sources = [{"name": f"{one['metadata']['name']}.yaml", "text": json.dumps(one)} for one in documents]
    return await it.ask("POST", "/v1/apply", {"sources": sources, "artifacts": {}, "dry_run": False})


# ------------------------------------------------------------------------------------------------ the device


def local(it: Fleet, name: str, do: str = "status", **more: Any) -> Any:
    """What the agent says over its control socket; None while it does not run."""
    try:
        return client.ask(it.agents[name].data, {"do": do, **more})
    except client.Away:
        return None


async def at_device(it: Fleet, name: str, do: str = "status", **more: Any) -> Any:
    """As `local`, without holding up the loop, and waiting until it runs."""
    found: list[Any] = []

    async def answered() -> bool:
        with contextlib.suppress(SkerryError):
            found.append(await asyncio.to_thread(local, it, name, do, **more))
        return bool(found) and found[-1] is not None

    await it.until(answered, f"the agent of {name} answers")
    return found[-1]


async def running_pid(it: Fleet, name: str, which: str) -> int:
    """The pid of a service as the device itself tells it; 0 while it does not run."""
    said = await asyncio.to_thread(local, it, name)
    return int(said["services"].get(which, {}).get("pid", 0)) if said else 0


async def pid_of(it: Fleet, name: str, which: str) -> int:
    """The pid of a service, once it runs."""
    return await eventually(it, f"{which} runs on {name}", lambda: running_pid(it, name, which))


def copies(mark: str) -> list[int]:
    """Pids of the living processes whose command line bears `mark`; shims and agents do not."""
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if process.status() != psutil.STATUS_ZOMBIE and any(mark in word for word in line[1:]):
                found.append(process.pid)
    return found


def again(it: Fleet, name: str, *, prefix: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> demo.Daemon:
    """Give an agent that does not run another environment for its next lives; return its daemon."""
    agent = it.agents[name]
    run = [*prefix, str(demo.BIN / "skerry-agent"), "run", "--data", str(agent.data)]
    agent.daemon = demo.Daemon(name, run, agent.daemon.log, {**it.env, **(env or {})})
    return agent.daemon


def hub_again(it: Fleet, *more: str, prefix: tuple[str, ...] = (), env: Mapping[str, str] | None = None) -> demo.Daemon:
    """Give a hub that does not run another environment, and options, for its next lives; return its daemon."""
    serve = [*prefix, str(demo.BIN / "skerry"), "hub", "serve", "--data", str(it.folder / "hub"), *it.through, *more]
    it.hub = demo.Daemon("the hub", serve, it.hub.log, {**it.env, **(env or {})})
    return it.hub


async def hub_answers(it: Fleet) -> None:
    """Wait until the hub's API is there."""
    await it.until(it.answers, "the hub answers")


async def gone(pid: int) -> None:
    """Wait until a process is no more (a zombie counts as gone)."""
    async with asyncio.timeout(_STEPS_S):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)  # bounded poll


async def power_cut(it: Fleet, name: str, at_once: Callable[[], None] = lambda: None) -> None:
    """Let a device lose its power: its agent, its workloads and their shims are gone at once, unwarned.

    `at_once` is called while the agent stands still: it may take the disk away.
    """
    agent = it.agents[name]
    pids = _workloads(agent)
    await stand_still(agent.daemon.pid)
    at_once()
    await agent.daemon.kill()
    pids |= _workloads(agent)
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            workload = psutil.Process(pid)
            shim = workload.parent()
            if shim is not None and str(agent.data) in " ".join(shim.cmdline()):
                shim.kill()
                os.killpg(pid, signal.SIGKILL)
    for pid in pids:
        await gone(pid)


async def stand_still(pid: int) -> None:
    """Stop a process, each of its threads: what loses its power says nothing more.

    A disk alone cannot lose its power: for a moment it would tell who is still running that all is synced.
    """
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(_STEPS_S):
        while not all(_is_still(status) for status in Path(f"/proc/{pid}/task").glob("*/status")):
            await asyncio.sleep(0.001)  # bounded poll


def _is_still(status: Path) -> bool:
    """Tell whether a thread is stopped, or will be before it returns from the kernel (it waits for a disk)."""
    with contextlib.suppress(OSError):
        line = next(line for line in status.read_text().splitlines() if line.startswith("State:"))
        return line.split()[1] in "TD"
    return True  # it has ended


def _workloads(agent: demo.Agent) -> set[int]:
    with contextlib.suppress(OSError):
        return {int(run.read_text().split()[0]) for run in (agent.data / "w").glob("*/run")}
    return set()


def reboot_prefix(folder: Path) -> tuple[str, ...]:
    """Words before a command that let it see another boot of this machine; empty where the kernel does not let us."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return ()
    boot = folder / f"boot-{os.urandom(4).hex()}"
    boot.write_text(f"{os.urandom(16).hex()}\n")
    mount = f'mount --bind {boot} /proc/sys/kernel/random/boot_id && exec "$@"'
    return ("unshare", "-m", "sh", "-c", mount, "sh")


# ------------------------------------------------------------------------------------------------ the hub's view


async def events(it: Fleet, **where: str) -> list[dict[str, Any]]:
    """All events at the hub that match, oldest first."""
    query = "&".join(f"{key}={value}" for key, value in where.items())
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["id"] if found else "0"
        async with it.stream("GET", f"/v1/events?{query}&limit={limits.PAGE_ROWS_MAX}&after={after}") as lines:
            more = [json.loads(line) async for line in lines if line]
        found += more
        if len(more) < limits.PAGE_ROWS_MAX:
            return found


async def settled(it: Fleet, *names: str) -> None:
    """Wait until the hub holds, and has acked, all that these agents have now (by default all agents)."""
    wanted: dict[str, dict[str, int]] = {}

    async def there() -> bool:
        for name in names or tuple(it.agents):
            node, said = await it.node(name), await asyncio.to_thread(local, it, name)
            if node["state"] != "online" or said is None or not node["cursors"]:
                return False
            now = {stream: one["last"] for stream, one in said["backlog"].items()}
            for stream, last in wanted.setdefault(name, now).items():
                if min(node["cursors"][stream]["seq"], said["backlog"][stream]["acked"]) < last:
                    return False
        return True

    await it.until(there, "what the agents have is at the hub")


class Tally:
    """What the producers wrote down, beside what the hub has."""

    def __init__(self, tried: set[str], kept: set[str], came: collections.Counter[str]) -> None:
        self.kept = kept
        self.lost = sorted(kept - came.keys(), key=int)
        self.doubled = sorted((one for one, times in came.items() if times > 1), key=int)
        self.made_up = sorted(came.keys() - tried)

    def check(self, forgotten: set[str] | None = None) -> None:
        """Raises AssertionError when anything was lost, came twice, or was never made.

        `forgotten`: kept only on a disk that is no more, for an older copy took its place before they were sent.
        """
        assert self.kept, "the producer made nothing"
        lost = [one for one in self.lost if one not in (forgotten or ())]
        assert not lost, f"lost {len(lost)} of {len(self.kept)}: {lost[:10]}"
        assert not self.doubled, f"doubled: {self.doubled[:10]}"
        assert not self.made_up, f"never made: {self.made_up[:10]}"


def kept(ledger: Path, node: str) -> int:
    """How many numbers the producer on `node` knows to be kept."""
    path = ledger / f"{node}.kept"
    return len(path.read_text().split()) if path.exists() else 0


def all_kept(ledger: Path, node: str) -> set[str]:
    """The numbers that the producer on `node` knows to be kept."""
    return set((ledger / f"{node}.kept").read_text().split())


async def tally(it: Fleet, ledger: Path, node: str, path: str = "") -> Tally:
    """Compare, once nothing is under way any more. `path`: which of the nodes of that name is meant at `it`."""
    found = await events(it, node=path or node, kind="app.number")
    came = collections.Counter(str(one["body"]["n"]) for one in found if one["node"] == node)
    assert not path or {one["path"] for one in found} == {path}
    read = [set((ledger / f"{node}.{what}").read_text().split()) for what in ("tried", "kept")]
    return Tally(read[0], read[1], came)


async def take_away(it: Fleet, *resources: str) -> None:
    """Delete resources (`service/NAME`) and wait until the devices run them no more."""
    for one in resources:
        await it.ask("DELETE", f"/v1/resources/{one}")

    async def nothing() -> bool:
        nodes = [await it.node(name) for name in it.agents]
        if any(node["observed_generation"] != node["desired_generation"] for node in nodes):
            return False  # what it told of its work is older than the deletion: it may not name what has just begun
        names = {one.partition("/")[2] for one in resources}
        return not any(names & {*node["services"], *node["workflows"]} for node in nodes)

    await it.until(nothing, f"{', '.join(resources)} is gone everywhere")


async def eventually(it: Fleet, what: str, question: Callable[[], Awaitable[Any]], wait_s: float = 60.0) -> Any:
    """Ask until the answer is something; return it."""
    found: list[Any] = []

    async def asked() -> bool:
        found.append(await question())
        return bool(found[-1])

    await it.until(asked, what, wait_s)
    return found[-1]
