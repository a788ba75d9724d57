"""The broker that the demo goes through: none, or a mosquitto of its own with the configuration of config/broker."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from hub.demo.daemon import Daemon, DemoFailed
from hub.shell.home import parse_place
from hub.shell.papers import broker_kit

_OPEN_WAIT_S = 10.0


def find() -> str:
    """Return the path of mosquitto. Raises DemoFailed when it is not installed."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise DemoFailed("mosquitto is not installed here: sudo apt install mosquitto, or leave out BROKER=")
    return found


@asynccontextmanager
async def mosquitto(data: Path, folder: Path, port: int) -> AsyncGenerator[str]:
    """Run mosquitto on `port` for the hub in `data`; yields the URL for `hub serve --broker`. Raises DemoFailed."""
    async with running(data, folder, port) as (url, _):
        yield url


@asynccontextmanager
async def running(data: Path, folder: Path, port: int) -> AsyncGenerator[tuple[str, Daemon]]:
    """As `mosquitto`, with the broker's process, to be killed and started again."""
    url = broker_kit.write(data, folder, f"127.0.0.1:{port}")
    command = [find(), "-c", str(folder / "mosquitto.conf")]
    if os.getuid() == 0:  # else it would change to a user who cannot read the demo's key
        with (folder / "mosquitto.conf").open("a") as conf:
            conf.write("user root\n")
    broker = Daemon("mosquitto", command, folder / "mosquitto.log", os.environ)
    await broker.start()
    try:
        await opened(broker, port)
        yield url, broker
    finally:
        await broker.stop()


async def opened(broker: Daemon, port: int) -> None:
    """Wait until it listens. Raises DemoFailed, TimeoutError."""
    place = parse_place(f"127.0.0.1:{port}", "mosquitto")
    async with asyncio.timeout(_OPEN_WAIT_S):
        while True:
            broker.check()
            try:
                _, writer = await asyncio.open_connection(place.host, place.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
