"""A fleet across hosts: the hub on one, each agent on another, a switch between them.

    async with lands.apart(folder, "oslo", "bergen", seed=7) as it:
        up, down = it.ways("oslo")
        up.cut = True

    async with lands.islands(folder, {"north": ["oslo"], "south": ["roma"]}, seed=7) as it:
        up, down = lands.between(it.regions["north"], it.root)

The hub's API is reached through a gate: a loopback port of the tests, joined to a socket made on the hub's host.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hub.demo import fleet as demo
from hub.demo.wire import Wire
from tests.support.federation import Federation
from tests.support.fleet import Fleet
from tests.support.net.host import Gate, Host
from tests.support.net.switch import Switch, Way

HUB, FIRST = 1, 10
TENS = 10
"""How many hosts a hub has for its agents, where there are several hubs."""
MQTT_PORT, API_PORT = 8_883, 8_443  # each hub has a host of its own


class Lands(Fleet):
    """See the module. `hosts` by name; the hub's is `""`. `number` is its place among the hubs at one `switch`."""

    def __init__(self, folder: Path, seed: int, name: str = "cloud", *, number: int = 0, switch: Switch | None = None):
        super().__init__(folder, name)
        self.mqtt_port, self.api_port = MQTT_PORT, API_PORT
        self.switch, self._is_mine = switch or Switch(seed), switch is None
        self.hosts: dict[str, Host] = {}
        self._first = FIRST + number * TENS
        self._gate = Gate(self.land("", HUB + number), API_PORT)
        serve = [*self.where.inside, str(demo.BIN / "skerry"), "hub", "serve", "--data", str(folder / "hub")]
        self.hub = demo.Daemon(f"the hub {name}", serve, folder / "hub.log", self.env)

    def land(self, name: str, number: int) -> Host:
        """Make a host and give it a port of the switch; `name` is its agent's."""
        host = self.hosts[name] = Host(number)
        self.switch.join(host)
        return host

    @property
    def where(self) -> Host:
        """The hub's host."""
        return self.hosts[""]

    def ways(self, name: str) -> tuple[Way, Way]:
        """The way up from an agent to the hub, and the way down."""
        return self.switch.both(self.hosts[name], self.where)

    async def init(self, *more: str) -> None:
        """Make the hub's data directory, and a way to its API."""
        self.folder.mkdir(parents=True, exist_ok=True)
        at, log = self.where.address, self.folder / "init.log"
        words = [*self.where.inside, str(demo.BIN / "skerry"), "hub", "init", "--data", str(self.data)]
        words += ["--name", self.name, "--mqtt", f"{at}:{MQTT_PORT}", "--api", f"{at}:{API_PORT}", *more]
        making = demo.Daemon(f"the making of {self.name}", words, log, self.env)
        await making.start()
        assert await making.ended() == 0, log.read_text()
        context = self.folder / "context.json"
        known = json.loads(context.read_text())
        context.write_text(json.dumps({**known, "url": f"https://127.0.0.1:{await self.opened()}"}))

    async def opened(self) -> int:
        """Open the gate to the hub's API; return its loopback port."""
        await self._gate.open()
        return self._gate.port

    async def init_below(self, parent: demo.Fleet, token: str) -> None:
        """Make the hub's data directory as a region of `parent`, which is at the same switch."""
        assert isinstance(parent, Lands)
        await self.init("--parent", f"https://{parent.where.address}:{API_PORT}", "--token", token)

    async def join(self, names: Sequence[str], *, wire: bool = False, labels: Mapping[str, str] | None = None) -> None:
        """Enroll agents from hosts of their own, and start them there."""
        made = await self.ask("POST", "/v1/tokens", {"ttl_s": 3_600, "uses": len(names), "labels": labels or {}})
        for name in names:
            await self._settle(name, made["token"])
        for name in names:
            await self.until(lambda name=name: self.online(name), f"{name} is online")

    async def _settle(self, name: str, token: str) -> None:
        host = self.land(name, self._first + len(self.agents))
        data, log = self.folder / name, self.folder / f"{name}.log"
        agent = [*host.inside, str(demo.BIN / "skerry-agent")]
        words = ("--hub", f"https://{self.where.address}:{API_PORT}", "--token", token, "--name", name)
        enrolling = demo.Daemon(f"{name} enrolling", [*agent, "enroll", *words, "--data", str(data)], log, self.env)
        await enrolling.start()
        assert await enrolling.ended() == 0, log.read_text()
        daemon = demo.Daemon(name, [*agent, "run", "--data", str(data)], log, self.env)
        self.agents[name] = demo.Agent(name=name, data=data, daemon=daemon, wire=Wire("127.0.0.1", self._gate.port))
        await daemon.start()

    async def close(self) -> None:
        """End everything; then let go of the hosts."""
        try:
            await super().close()
        finally:
            await self._gate.close()
            if self._is_mine:
                self.switch.close()
            for host in self.hosts.values():
                host.close()


@asynccontextmanager
async def apart(folder: Path, *agents: str, seed: int) -> AsyncGenerator[Lands]:
    """A hub and agents of one site on hosts of their own, online. What fails inside is told with the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Lands(folder, seed)
    try:
        await made.begin()
        await made.join(agents, labels={"site": "oslo"})
        yield made
    except BaseException as error:
        error.add_note(f"the switch's seed was {seed}")
        raise
    finally:
        await made.close()


def between(one: Lands, other: Lands) -> tuple[Way, Way]:
    """The ways between the hosts of two hubs: from `one` to `other`, and back."""
    return one.switch.both(one.where, other.where)


@asynccontextmanager
async def islands(
    folder: Path, regions: Mapping[str, Sequence[str]], *, seed: int
) -> AsyncGenerator[Federation[Lands]]:
    """A root and regions with their agents, each on a host of its own, online. What fails is told with the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    switch = Switch(seed)
    made = Federation(folder, lambda place, name, number: Lands(place, seed, name, number=number, switch=switch))
    try:
        await made.root.begin()
        for name, agents in regions.items():
            await made.add(name, agents)
        yield made
    except BaseException as error:
        error.add_note(f"the switch's seed was {seed}")
        raise
    finally:
        try:
            await made.close()
        finally:
            switch.close()
