"""A device's directory as enrollment and a first life of the agent leave it, with no process and no hub behind it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from edge_agent.core.agent import STREAMS
from edge_agent.shell import identity
from protocol.aio.journal import Journal
from protocol.aio.upkeep import synced
from protocol.doctor.findings import Finding
from protocol.trust import certificates, signing
from tests.support.broker import free_port
from tests.support.pki import DAYS, Pki

NODE = "oslo"
DAY_S = 86_400


class Device:
    """One device on paper: `data` is its directory, `pki` its hub's authority."""

    def __init__(self, folder: Path) -> None:
        (folder / "pki").mkdir(parents=True)
        self.pki = Pki(folder / "pki")
        self.data = folder / "device"
        self.data.mkdir()
        self.data.chmod(0o711)
        self._key = certificates.make_key()
        synced.write(self.data / "key.pem", certificates.key_pem(self._key))
        synced.write(self.data / "root.pem", self.pki.root, 0o644)
        self.certify()
        self.points_to(free_port(), free_port())
        asyncio.run(self._first_life())

    def certify(self, *, node: str = NODE, issued_s: float = 0.0, days: int = DAYS) -> None:
        """Give it a certificate for `node`, issued `issued_s` ago."""
        csr = certificates.make_csr(self._key, node)
        now_s = time.time() - issued_s
        pem = certificates.issue_node(csr, node, self.pki.ca_key, self.pki.root, now_s, days)
        synced.write(self.data / "cert.pem", pem)

    def points_to(self, mqtt: int, api: int, *, broker: str = "") -> None:
        """Write agent.json, with a hub (or a `broker` of this name) at these ports of this machine."""
        mqtt_place = identity.Mqtt(host="127.0.0.1", port=mqtt, name=broker or self.pki.hub, sealed=bool(broker))
        api_place = identity.Address(host="127.0.0.1", port=api)
        pin = signing.spki_hash(self.pki.root)
        hub = self.pki.hub
        file = identity.AgentFile(
            node=NODE, hub=hub, parent=hub, scope=f"{hub}.skerry", mqtt=mqtt_place, api=api_place, root_pin=pin
        )
        identity.save(self.data, file)

    async def open(self) -> Journal:
        """Open its journal as the agent does."""
        return await Journal.open(
            self.data / "journal.db",
            node=NODE,
            streams=STREAMS,
            telemetry=self.data / "telemetry.db",
            mint=lambda: os.urandom(8).hex(),
        )

    async def _first_life(self) -> None:
        await (await self.open()).close()


def said(found: list[Finding], check: str) -> Finding:
    """Return what was said of one check."""
    return next(one for one in found if one.check == check)


def print_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what would show that something in a folder was changed or made.

    Not ctime: as root, SQLite gives a WAL that it opens the owner of its database, again.
    """
    seen = {str(path.relative_to(folder)): path.lstat() for path in sorted(folder.rglob("*"))}
    return {name: (one.st_ino, one.st_size, one.st_mtime_ns, one.st_uid, one.st_mode) for name, one in seen.items()}
