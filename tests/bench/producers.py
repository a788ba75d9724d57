"""Producers on every agent of a fleet: rounds of entries, counted from what the producers wrote down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from protocol.aio import sqlite
from tests.support.fleet import Fleet

PRODUCER = Path(__file__).with_name("producer.py")
ROUND_WAIT_S = 120.0
_LOOK_S = 0.02
_SERVICE = """
apiVersion: skerry/v1
kind: Service
metadata: {{name: {name}}}
spec:
  process: {{command: {command}, env: {{GO: "{go}"}}}}
  placement: {{selector: site=bench, count: all}}
  restart: {{policy: never}}
"""


class Done(msgspec.Struct):
    """What one producer wrote down of one round: entries, and when (monotonic) it began and had all acks."""

    count: int
    began: float = 0.0
    ended: float = 0.0


async def run_service(fleet: Fleet, name: str, command: Sequence[str], go: Path) -> None:
    """Run `command` on every agent of the fleet, and wait until it runs everywhere."""
    text = _SERVICE.format(name=name, command=json.dumps(list(command)), go=go)
    await fleet.ask("POST", "/v1/apply", {"sources": [{"name": f"{name}.yaml", "text": text}]})

    async def runs() -> bool:
        nodes = await fleet.nodes()
        return all(node["services"].get(name, {}).get("state") == "running" for node in nodes)

    await fleet.until(runs, f"{name} runs everywhere")


class Producers:
    """One producer on each agent of `fleet`. `at`: the hub where what they say is to arrive; theirs by default."""

    def __init__(self, fleet: Fleet, at: Fleet | None = None) -> None:
        self._fleet = fleet
        self._store = (at or fleet).data / "hub.db"
        self._go = fleet.folder / "go"
        self._turn = 0
        self._expected = 0
        self.written: dict[str, int] = dict.fromkeys(fleet.agents, 0)

    async def begin(self) -> None:
        """Start them, and wait until each of them is connected to its agent."""
        self._go.mkdir()
        await run_service(self._fleet, "producer", [sys.executable, "-S", str(PRODUCER)], self._go)
        await self._ended(list(self._fleet.agents))

    async def make(self, nodes: Sequence[str], count: int, batch: int) -> tuple[float, list[Done]]:
        """Let `nodes` write `count` entries each; return when (monotonic) they were told, and what they wrote down."""
        self._turn += 1
        self._expected = self._ends() + count * len(nodes)
        go = self._go / f"{self._turn}.go"
        part = go.with_suffix(".part")
        part.write_text(json.dumps({"count": count, "batch": batch, "nodes": list(nodes)}))
        began = time.monotonic()
        part.rename(go)
        done = await self._ended(nodes)
        for node, one in zip(nodes, done, strict=True):
            self.written[node] += one.count
        return began, done

    async def _ended(self, nodes: Sequence[str]) -> list[Done]:
        paths = [self._go / f"{self._turn}.{node}.done" for node in nodes]
        async with asyncio.timeout(ROUND_WAIT_S):
            for path in paths:
                while not path.exists():
                    await asyncio.sleep(_LOOK_S)
        return [msgspec.json.decode(path.read_bytes(), type=Done) for path in paths]

    async def arrived(self) -> float:
        """Wait until the hub holds all that was written, durably; return when (monotonic) it did.

        Raises AssertionError when the hub's distinct entries are others in the end: lost, or doubled.
        """
        async with asyncio.timeout(ROUND_WAIT_S):
            while self._ends() < self._expected:
                await asyncio.sleep(_LOOK_S)
        ended = time.monotonic()
        held, made = self._counted(), {node: count for node, count in self.written.items() if count}
        assert held == made, f"the hub holds {held}, written were {made}"
        return ended

    def _ends(self) -> int:
        """Return the newest seqs at the hub, added up: the ends of an index, which costs the hub nothing."""
        query = """SELECT sum((SELECT max(seq) FROM entry WHERE entry.channel = channel.id)) FROM channel
                   WHERE stream = 'state' AND node IN (SELECT value FROM json_each(?))"""
        with contextlib.closing(sqlite.read_only(self._store)) as db:
            return int(db.execute(query, (json.dumps(list(self.written)),)).fetchone()[0] or 0)

    def _counted(self) -> dict[str, int]:
        query = """SELECT node, count(DISTINCT seq) FROM entry JOIN channel ON channel.id = entry.channel
                   WHERE kind = 'app.bench' GROUP BY node, epoch"""
        with contextlib.closing(sqlite.read_only(self._store)) as db:
            return dict(db.execute(query).fetchall())
