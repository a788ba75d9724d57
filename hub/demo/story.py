"""What the demo tells, in order: a cloud, two regions, four devices, and a day on which the links are cut.

Each scene acts on real processes and waits for what it should see.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from hub.demo import merge, proof, sight, work
from hub.demo.daemon import DemoFailed
from hub.demo.fleet import Agent, Fleet
from hub.demo.stage import Stage

NORTH, SOUTH = "eu-north", "eu-south"
DEVICES = {NORTH: ("oslo-gw-1", "bergen-gw-1"), SOUTH: ("roma-gw-1", "lisboa-gw-1")}
NEW = "tromso-gw-1"
SAMPLES_APART = 15  # samples made while nobody above can hear them
_INVITE = ("token", "create", "--hub", "--label", "continent=eu", "--uses", "2")


class Story:
    """The demo's scenes."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.stage = Stage(console, folder)
        self.folder, self.ledger = folder, folder / "ledger"
        self.root = Fleet(folder / "cloud", "cloud")
        self.north, self.south = (Fleet(folder / name, name) for name in (NORTH, SOUTH))
        self.fleets = [self.root, self.north, self.south]
        for fleet in self.fleets:
            fleet.env["COLUMNS"] = str(console.width)
        self._pids: dict[str, int] = {}

    @property
    def agents(self) -> dict[str, Agent]:
        """All agents, by address."""
        return {f"{fleet.name}/{name}": agent for fleet in self.fleets for name, agent in fleet.agents.items()}

    @property
    def names(self) -> list[str]:
        """The names of all agents."""
        return [agent.name for agent in self.agents.values()]

    # ---------------------------------------------------------------------------------------- scenes

    async def init(self) -> None:
        """The root of all trust."""
        self.stage.tell(
            "A cloud hub, and two regions below it. Each region gets a CA that is confined to its own part."
        )
        self.stage.console.print(f"   (demo/ below is {self.folder})", highlight=False, soft_wrap=True)
        self.stage.say("cloud$ skerry hub init --data demo/cloud/hub --name cloud")
        await self.root.init()

    async def regions(self) -> None:
        """Two hubs below the root, each let in by a token; then two devices each, let in by their region."""
        at = self.stage
        await self.root.serve()
        token = (await self.root.json(*_INVITE))["token"]
        at.say(f"cloud$ skerry {' '.join(_INVITE)}\n{token}")
        for region in DEVICES:
            init = f"skerry hub init --data demo/{region}/hub --name {region}"
            at.say(f"{region}$ {init} --parent https://127.0.0.1:{self.root.api_port} --token {token}")
        await asyncio.gather(*(self._region(region, token) for region in (self.north, self.south)))
        at.say(
            f"oslo-gw-1$ skerry-agent enroll --hub https://127.0.0.1:{self.north.api_port} --token sk1.…     and so on"
        )
        await at.until("all are online, two tiers down", lambda: sight.online(self.root, [*DEVICES, *self.agents]))
        await at.show(self.root, "get", "nodes")

    async def apply(self) -> None:
        """Declare the work at the root, and see it run two tiers below."""
        at = self.stage
        at.tell("At the cloud the operator declares what should run: vitals on every gateway, and one sign per region.")
        self.ledger.mkdir(exist_ok=True)
        folder = work.examples(self.folder / "work", self.ledger)
        await at.show(self.root, "apply", "-f", str(folder), "--wait")
        await at.until("every device works", lambda: sight.worked(self.ledger, self.names, 5, 3))
        await at.show(self.root, "describe", "service", work.SIGN, until="lately")
        at.tell("A command on devices two tiers down, answered at once.")
        await at.show(self.root, "run", "-l", "role=gateway", "--", "uname", "-sr")

    async def cut(self) -> None:
        """Part the north from the cloud, and go on in the cloud."""
        at = self.stage
        at.tell(f"Now the link between the cloud and {NORTH} is cut. The cloud goes on: its operator changes the sign.")
        pids = await asyncio.gather(*(sight.pid(one, self.root, work.SERVICE) for one in self.agents.values()))
        self._pids = dict(zip(self.agents, pids, strict=True))
        self.north.cut()
        await at.until(f"the cloud misses {NORTH}", lambda: sight.missed(self.root, NORTH))
        await at.show(self.root, "get", "nodes")
        changed = work.sign(self.folder / "sign-2.yaml", merge.CLOUDS)
        await at.show(self.root, "apply", "-f", str(changed))

    async def alone(self) -> None:
        """The region decides for itself: its own work, an override, a new device."""
        at, north = self.stage, self.north
        at.tell(f"{NORTH} goes on too. Its operator declares work of its own, and for an hour another sign.")
        own = work.sign(self.folder / "frost.yaml", "no frost", name=work.OWN, count="1")
        await at.show(north, "apply", "-f", str(own), "--wait")
        other = work.sign(self.folder / "storm.yaml", merge.STORM)
        await at.show(north, "apply", "-f", str(other), "--override", "--for", "1h", "--reason", "a storm")
        at.tell(f"A new device comes to {NORTH}, and gets the cloud's work from its region, artifact and all.")
        at.say(f"{NEW}$ skerry-agent enroll --hub https://127.0.0.1:{north.api_port} --token sk1.…")
        await self._device(north, NEW)
        await at.until(f"{NEW} makes samples", lambda: sight.grown(self.ledger, {NEW: 0}, 3))

    async def kill(self) -> None:
        """kill -9 of the region that is cut off, and a device cut off from the other one: all of them go on."""
        at, north, roma = self.stage, self.north, self.agents[f"{SOUTH}/roma-gw-1"]
        at.tell(
            f"The hub {NORTH} itself gets kill -9, and {roma.name} is cut off from {SOUTH}. Four devices are alone."
        )
        await north.hub.kill()
        roma.wire.cut()
        before = {name: sight.samples(self.ledger, name) for name in self.names}
        what = f"{SAMPLES_APART} more samples on every device"
        await at.until(what, lambda: sight.grown(self.ledger, before, SAMPLES_APART))
        await at.show(north, "status", "--data", str(north.agents[NEW].data), program="skerry-agent")
        await north.serve()
        what = f"{NORTH} is back with its devices, the new one too, still cut off from the cloud"
        await at.until(what, lambda: sight.online(north, list(north.agents)))

    async def heal(self) -> None:
        """The links come back; everything that waited arrives, and both sides merge as declared."""
        at = self.stage
        at.tell(
            "The links come back. What waited goes up by itself, and what both sides changed is merged as declared:"
        )
        at.say("   the owner's document wins, but for an override, which has a name, a reason and an end.")
        self.north.heal()
        self.agents[f"{SOUTH}/roma-gw-1"].wire.heal()
        await at.until("the cloud sees all of them", lambda: sight.online(self.root, [*DEVICES, *self.agents]))
        await merge.overridden(at, self.root, self.north, self.south)
        for path, pid in self._pids.items():
            now = await sight.pid(self.agents[path], self.root, work.SERVICE)
            if now != pid:
                raise DemoFailed(f"{path}: {work.SERVICE} has pid {now}, it had {pid} before the links were cut")
        at.say(f"   {work.SERVICE} kept its pid on all {len(self._pids)} devices: nothing healthy was restarted")

    async def settle(self) -> bool:
        """Take the work away, wait until all tiers agree to the row, and compare with the producers' ledgers."""
        at = self.stage
        await merge.released(at, self.root, self.north)
        at.tell("The work is taken away. Then all cursors must be equal, and the ledgers must agree with the root.")
        away = (f"workflow/{work.WORKFLOW}", f"service/{work.SERVICE}", f"service/{work.SIGN}")
        await at.show(self.root, "delete", *away)
        await at.show(self.north, "delete", f"service/{work.OWN}")
        await at.until("nothing runs any more", lambda: sight.idle(self.fleets[1:]))
        await at.until("cursors are equal, over all tiers", lambda: proof.cursors_equal(self.fleets))
        return await proof.ledgers_agree(self.root, list(self.agents), self.ledger, at.console)

    async def close(self) -> None:
        """End everything that was started."""
        await asyncio.gather(*(fleet.close() for fleet in self.fleets))

    # ---------------------------------------------------------------------------------------- doing

    async def _region(self, region: Fleet, token: str) -> None:
        await region.init_below(self.root, token)
        await region.serve()
        await asyncio.gather(*(self._device(region, name) for name in DEVICES[region.name]))

    async def _device(self, region: Fleet, name: str) -> None:
        labels = ("--label", "role=gateway", "--label", f"site={name.partition('-')[0]}")
        await region.enroll(name, (await region.json("token", "create", *labels))["token"])
