"""What the demo does and tells, in order. Each scene acts on real processes and waits for what it should see."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hub.demo import broker, tally
from hub.demo.daemon import DemoFailed
from hub.demo.fleet import Agent, Fleet

EXAMPLES = Path(__file__).resolve().parents[2] / "config" / "examples"
NODES = ("oslo-gw-1", "oslo-gw-2", "oslo-gw-3")
SCENE_WAIT_S = 30.0
POLL_S = 0.1
SAMPLES_APART = 15  # samples made while nobody can hear them
SERVICE = "vitals"
WORKFLOW = "vitals-report"


class Story:
    """The demo's scenes over one fleet."""

    def __init__(self, fleet: Fleet, console: Console) -> None:
        self.fleet = fleet
        self.console = console
        self.ledger = fleet.folder / "ledger"

    # ---------------------------------------------------------------------------------------- scenes

    async def init(self) -> None:
        """A hub with its own CA."""
        self.tell(
            "A hub with its own CA, and three agents; each makes its key, shows a one-time token, gets a certificate."
        )
        self.say(f"   (demo/ below is {self.fleet.folder})")
        await self.fleet.init()

    async def raise_fleet(self) -> None:
        """The hub serves; a token lets three agents in, with keys of their own."""
        await self.fleet.serve()
        made = await self.fleet.json("token", "create", "--uses", "3", "--label", "site=oslo")
        await asyncio.gather(*(self.fleet.enroll(name, made["token"]) for name in NODES))
        await self.until("all three are online", self._all_online)
        await self.show("get", "nodes")

    async def apply(self) -> None:
        """Declare the work, and see it run."""
        self.tell(
            "The operator declares what should run: a service that samples this machine, a workflow over its samples."
        )
        folder = self.fleet.folder / "examples"
        shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
        self.ledger.mkdir(exist_ok=True)
        for path in folder.glob("*.yaml"):
            path.write_text(path.read_text().replace('LEDGER: ""', f'LEDGER: "{self.ledger}"'))
        await self.show("apply", "-f", str(folder), "--wait")
        await self.until("each agent made samples and ran a workflow", lambda: self._each(samples=5, steps=3))

    async def command(self) -> None:
        """A one-off command on all of them."""
        self.tell("A command on every device of a site, answered at once.")
        await self.show("run", "-l", "site=oslo", "--", "uname", "-sr")

    async def cut_and_kill(self) -> None:
        """Cut one agent's link, kill another agent, kill the hub; work goes on everywhere."""
        cut, killed = self.fleet.agents[NODES[1]], self.fleet.agents[NODES[2]]
        self.tell(f"Now the link of {cut.name} is cut, {killed.name}'s agent gets kill -9, and then the hub too.")
        cut.wire.cut()
        before = await self._service_pid(killed)
        await killed.daemon.kill()
        await self.until(f"the hub sees that {cut.name} is away", lambda: self._state_of(cut.name, "away"))
        await self.show("get", "nodes")
        await self.show("run", "--node", cut.name, "--timeout", "2s", "--deadline", "2s", "--", "uptime", check=False)
        await self.fleet.hub.kill()
        apart = {name: self._samples(name) for name in NODES}
        await self.until(
            f"{SAMPLES_APART} more samples on every device, with nobody to hear them",
            lambda: self._grown(apart, SAMPLES_APART),
        )
        await self.show("status", "--data", str(cut.data), program="skerry-agent")
        await killed.daemon.start()
        await self.until(f"{killed.name}'s agent is back", lambda: self._adopted(killed, before))
        self.say(f"   {killed.name}: the service kept its pid {before} through kill -9 of its agent")

    async def heal(self) -> None:
        """Hub and link come back; everything that waited arrives."""
        self.tell("The hub comes back, then the link. What waited in the journals goes up by itself.")
        await self.fleet.serve()
        self.fleet.agents[NODES[1]].wire.heal()
        await self.until("all three are online again", self._all_online)

    async def settle(self) -> bool:
        """Take the work away, wait until hub and agents agree to the row, and compare with the producers' ledgers."""
        self.tell(
            "The work is taken away; then the cursors must become equal, and the ledgers must agree with the hub."
        )
        await self.show("delete", f"workflow/{WORKFLOW}", f"service/{SERVICE}")
        await self.until("nothing runs any more", self._nothing_runs)
        await self.until("cursors are equal", self._cursors_equal)
        code, text = await self.fleet.command("events", "--kind", "app.sample", "--limit", "1000000", "-o", "json")
        events = [self.fleet.parse(line) for line in text.splitlines() if line] if code == 0 else []
        tallies = [tally.tally(name, self.ledger, events) for name in NODES]
        table = Table(
            "NODE", "MADE", "RECEIVED", "LOST", "DOUBLED", "STEPS RUN", "RUN TWICE", box=None, padding=(0, 2, 0, 0)
        )
        for one in tallies:
            numbers = (one.made, one.received, one.lost, one.doubled, one.steps, one.steps_twice)
            table.add_row(one.node, *map(str, numbers), style="green" if one.whole else "bold red")
        self.console.print(table)
        return all(one.whole and one.made and one.steps for one in tallies)

    # ---------------------------------------------------------------------------------------- telling

    def tell(self, text: str) -> None:
        """Begin a scene."""
        self.console.print(f"\n[bold]{escape(text)}[/bold]", soft_wrap=True)

    def say(self, text: str) -> None:
        """Say one line."""
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    async def show(self, *words: str, program: str = "skerry", check: bool = True) -> None:
        """Run a command and show it as the person who typed it would see it."""
        shown = " ".join(words).replace(str(self.fleet.folder), "demo")
        self.say(f"$ {program} {shown}")
        _, text = await self.fleet.command(*words, program=program, check=check)
        self.say(text.rstrip().replace(str(self.fleet.folder), "demo"))

    async def until(self, what: str, seen: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `seen()` and say how long it took. Raises DemoFailed after SCENE_WAIT_S."""
        began = time.monotonic()
        while not await seen():
            if time.monotonic() - began > SCENE_WAIT_S:
                raise DemoFailed(f"waited {SCENE_WAIT_S:.0f} s in vain until {what}; logs are in {self.fleet.folder}")
            await asyncio.sleep(POLL_S)
        self.say(f"   {what} ({time.monotonic() - began:.1f} s)")

    # ---------------------------------------------------------------------------------------- seeing

    async def _nodes(self) -> dict[str, Any]:
        return {node["name"]: node for node in await self.fleet.json("get", "nodes")}

    async def _all_online(self) -> bool:
        nodes = await self._nodes()
        return all(name in nodes and nodes[name]["state"] == "online" for name in NODES)

    async def _state_of(self, name: str, state: str) -> bool:
        return (await self._nodes())[name]["state"] == state

    def _samples(self, name: str) -> int:
        path = self.ledger / f"{name}.samples"
        return len(path.read_text().splitlines()) if path.exists() else 0

    async def _each(self, samples: int, steps: int) -> bool:
        return all(
            one.made >= samples and one.steps >= steps for one in (tally.tally(name, self.ledger, []) for name in NODES)
        )

    async def _grown(self, before: dict[str, int], by: int) -> bool:
        return all(self._samples(name) >= count + by for name, count in before.items())

    async def _service_pid(self, agent: Agent) -> int:
        status = await self._local(agent)
        return int(status["services"][SERVICE]["pid"])

    async def _adopted(self, agent: Agent, pid: int) -> bool:
        code, _ = await self.fleet.command("status", "--data", str(agent.data), program="skerry-agent", check=False)
        if code != 0:
            return False
        now = await self._service_pid(agent)
        if now != pid:
            raise DemoFailed(f"{agent.name}: {SERVICE} has pid {now}, it had {pid} before its agent was killed")
        return True

    async def _local(self, agent: Agent) -> Any:
        words = ("status", "--data", str(agent.data), "-o", "json")
        return self.fleet.parse((await self.fleet.command(*words, program="skerry-agent"))[1])

    async def _nothing_runs(self) -> bool:
        return all(
            not node["services"] and not any(flow["running"] for flow in node["workflows"].values())
            for node in (await self._nodes()).values()
        )

    async def _cursors_equal(self) -> bool:
        return all(
            cursor["seq"] == cursor["last"]
            for node in (await self._nodes()).values()
            for cursor in node["cursors"].values()
        )


async def play(*, keep: bool, through: str) -> int:
    """Play the demo; `through` is `embedded` or `mosquitto`. Return the exit code."""
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="skerry-demo-"))
    began, kept = time.monotonic(), False
    fleet = Fleet(folder)
    fleet.env["COLUMNS"] = str(console.width)
    story = Story(fleet, console)
    async with contextlib.AsyncExitStack() as stack:
        try:
            await story.init()
            if through == "mosquitto":
                kit = broker.mosquitto(fleet.folder / "hub", fleet.folder / "broker", fleet.mqtt_port)
                fleet.go_through(await stack.enter_async_context(kit))
            await story.raise_fleet()
            await story.apply()
            await story.command()
            await story.cut_and_kill()
            await story.heal()
            if keep:
                await _keep(story)
                kept = True
                return 0
            whole = await story.settle()
        except DemoFailed as error:
            console.print(f"\n[bold red]failed:[/bold red] {escape(str(error))}")
            return 1
        finally:
            await fleet.close()
            if kept:
                shutil.rmtree(folder)
                story.say(f"Ended all that was started and removed {folder}.")
    where = "the hub's own front door" if through == "embedded" else f"through {through}"
    took = time.monotonic() - began
    verdict = "Nothing lost, nothing twice." if whole else "LOST OR DOUBLED: see the table."
    console.print(f"\n[bold]{verdict}[/bold] {took:.0f} s, {where}, real processes, mutual TLS.", soft_wrap=True)
    if whole:
        shutil.rmtree(folder)
    return 0 if whole else 1


async def _keep(story: Story) -> None:
    folder = story.fleet.folder
    story.tell("The fleet stays up until Ctrl-C. Try, in another terminal:")
    for line in (
        f"export SKERRY_CONTEXT={folder}/context.json PATH={Path(sys.executable).parent}:$PATH",
        "skerry get nodes -w",
        "skerry events -f",
        f"skerry describe service {SERVICE}",
        f"skerry logs {SERVICE} -f",
        f'skerry-agent stop {SERVICE} --reason "trying it" --data {folder}/{NODES[0]}',
    ):
        story.say(f"  {line}")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
