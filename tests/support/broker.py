"""A real mosquitto on a free loopback port, with the configuration that config/broker/ ships."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from protocol.trust import certificates
from tests.conftest import broker_path
from tests.support.pki import DAYS, Pki

SHIPPED = Path(__file__).parents[2] / "config" / "broker"
NAME = certificates.broker_name("hub.skerry")
WAIT_S = 10.0


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """`port` is the fleet's listener; `back_door` a plain one without rules, for a test that plays the broker."""

    def __init__(self, port: int, back_door: int) -> None:
        self.port, self.back_door = port, back_door


@contextlib.asynccontextmanager
async def running(pki: Pki, folder: Path) -> AsyncGenerator[Mosquitto]:
    """Run a broker until the block ends."""
    path = broker_path()
    assert path is not None
    broker = Mosquitto(free_port(), free_port())
    quiet = asyncio.subprocess.DEVNULL
    conf = str(_configure(pki, folder, broker))
    process = await asyncio.create_subprocess_exec(path, "-c", conf, stdout=quiet, stderr=quiet)
    try:
        await _answers(broker.port)
        yield broker
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _configure(pki: Pki, folder: Path, broker: Mosquitto) -> Path:
    folder.mkdir()
    key = certificates.make_key()
    certificate = certificates.issue_broker(key.public_key(), pki.ca_key, pki.root, time.time(), DAYS)
    (folder / "broker.key").write_bytes(certificates.key_pem(key))
    (folder / "broker.pem").write_bytes(certificate)
    (folder / "root.pem").write_bytes(pki.root)
    shutil.copy(SHIPPED / "skerry.acl", folder / "skerry.acl")
    text = (SHIPPED / "mosquitto.conf").read_text().replace("/etc/mosquitto/skerry", str(folder))
    text = text.replace("listener 8883", f"listener {broker.port} 127.0.0.1")
    text = text.replace("per_listener_settings false", "per_listener_settings true\nuser root")
    text += f"\nlistener {broker.back_door} 127.0.0.1\nallow_anonymous true\n"
    conf = folder / "mosquitto.conf"
    conf.write_text(text)
    for file in (folder, *folder.iterdir()):
        file.chmod(0o755)
    return conf


async def _answers(port: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)  # bounded poll
            else:
                writer.close()
                await writer.wait_closed()
                return
