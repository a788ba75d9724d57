"""D: revoked while connected: cut off at once, shown on the device, its work goes on (C5); and revoked while away."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.cli import client
from hub.demo import broker as brokers
from hub.shell.authority import Authority
from hub.shell.home import Home
from protocol import limits
from protocol.trust import signing
from tests.support import deeds
from tests.support.fleet import Fleet
from tests.support.recorded import Record

BOTH = [pytest.param("embedded"), pytest.param("mosquitto", marks=pytest.mark.mosquitto)]


@contextlib.asynccontextmanager
async def _site(folder: Path, through: str, *names: str) -> AsyncGenerator[Fleet]:
    if through == "embedded":
        async with deeds.site(folder, *names, wire=True) as made:
            yield made
        return
    folder.mkdir()
    made = Fleet(folder)
    try:
        await made.init()
        async with brokers.mosquitto(folder / "hub", folder / "broker", made.mqtt_port) as url:
            made.go_through(url)
            await made.begin_made()
            await made.join(names, labels={"site": "oslo"})
            yield made
    finally:
        await made.close()


@pytest.mark.parametrize("through", BOTH)
async def test_revoked_while_connected_is_cut_off_at_once_and_its_work_goes_on(
    tmp_path: Path, record: Record, through: str
) -> None:
    ledger = record.ledger
    async with _site(tmp_path / "f", through, "oslo", "bergen") as it:
        await deeds.declare(it, deeds.producer("numbers", ledger, every_s=0.05))
        pid = await deeds.pid_of(it, "oslo", "numbers")
        await deeds.settled(it, "bergen")
        await it.command("node", "revoke", "oslo", "--reason", "stolen van", "--yes")
        assert (await it.node("oslo"))["state"] == "revoked"
        at_cut = await _last(it, "oslo")

        async def shown() -> bool:
            said = await deeds.at_device(it, "oslo")
            return said["link"]["state"] == "refused" and any("stolen van" in one["text"] for one in said["conditions"])

        await it.until(shown, "the device shows that it was revoked, and why")
        _, text = await it.command("status", "--data", str(it.agents["oslo"].data), program="skerry-agent")
        assert "stolen van" in text

        await it.agents["oslo"].daemon.kill()
        await it.agents["oslo"].daemon.start()
        await it.until(shown, "it knows after a restart too")
        assert await deeds.pid_of(it, "oslo", "numbers") == pid, "its work goes on"
        made = deeds.kept(ledger, "oslo")

        async def grown() -> bool:
            return deeds.kept(ledger, "oslo") > made

        await it.until(grown, "its work goes on")
        assert await _last(it, "oslo") == at_cut, "the hub took more from a revoked node"
        assert await it.online("bergen")


async def test_revoked_while_away_is_told_when_it_comes_back(tmp_path: Path, record: Record) -> None:
    async with deeds.site(tmp_path / "f", "oslo", wire=True) as it:
        await deeds.declare(it, deeds.service("stands", ["sleep", "600"]))
        pid = await deeds.pid_of(it, "oslo", "stands")
        it.agents["oslo"].wire.cut()

        async def away() -> bool:
            return (await it.node("oslo"))["state"] == "away"

        await it.until(away, "oslo is away")
        await it.command("node", "revoke", "oslo", "--reason", "sold", "--yes")
        it.agents["oslo"].wire.heal()

        async def shown() -> bool:
            link = (await deeds.at_device(it, "oslo"))["link"]
            return link["state"] == "refused" and "sold" in json.dumps(await deeds.at_device(it, "oslo"))

        await it.until(shown, "the device shows that it was revoked, and why", limits.BACKOFF_S_MAX + 30)
        assert (await it.node("oslo"))["state"] == "revoked"
        assert await deeds.pid_of(it, "oslo", "stands") == pid


async def test_revoked_while_connected_has_tickets_that_open_no_artifact(tmp_path: Path) -> None:
    """Not recorded: tickets are the API's, no link has a part in it."""
    folder = tmp_path / "spec"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "run.sh").write_text("exec sleep 600\n")
    one = deeds.service("packed", ["sh", "run.sh"], artifact="./app")
    (folder / "packed.yaml").write_text(json.dumps(one))
    async with deeds.site(tmp_path / "f", "oslo") as it:
        await it.command("apply", "-f", str(folder))
        await deeds.pid_of(it, "oslo", "packed")
        digest, ticket = _ticket(it)
        assert (await _fetch(it, digest, ticket)).status_code == 200
        await it.command("node", "revoke", "oslo", "--yes")
        refused = await _fetch(it, digest, ticket)
        assert refused.status_code in (401, 403)
        assert "error" in refused.json()


def _ticket(it: Fleet) -> tuple[str, str]:
    """A ticket as the hub would make it now for oslo: its secret lies in the hub's data directory."""
    home = Home(it.folder / "hub")
    digest = next(path.name for path in (it.folder / "hub" / "artifacts").iterdir() if len(path.name) == 64)
    secret = Authority(home, home.load().id).ticket_secret
    return f"sha256:{digest}", signing.ticket_make(
        secret, "oslo", f"sha256:{digest}", int(time.time() * 1000) + 600_000
    )


async def _fetch(it: Fleet, digest: str, ticket: str) -> httpx.Response:
    context = json.loads((it.folder / "context.json").read_text())
    known = client.Context(**context)
    async with httpx.AsyncClient(base_url=known.url, verify=client.trust(known), trust_env=False) as api:
        return await api.get(
            f"/v1/artifacts/{digest}",
            headers={"Authorization": f"Ticket {ticket}"},
            extensions={"sni_hostname": known.name},
        )


async def _last(it: Fleet, node: str) -> Any:
    return (await it.node(node))["cursors"]["state"]["seq"]
