"""`bundle device`: a stick from which a new device is installed, with no network; or an archive of it for a pipe."""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.cli import client
from hub.cli.carrying import sticks
from hub.cli.view import output
from protocol.aio.carrying import folder
from protocol.aio.carrying.invite import SUFFIX
from protocol.aio.upkeep import synced
from protocol.errors import StoreError

INSTALL = "install"


def make(name: str, stick: Path | None, labels: dict[str, str], ttl_s: float, form: output.Format) -> None:
    """Make the stick, or (None) an archive of it on stdout, and say so. Raises SkerryError."""
    if stick is None:
        _pipe(name, labels, ttl_s, form)
        return
    said = device(name, stick, labels, ttl_s)
    if form.is_exact:
        output.emit(said, form)
    else:
        output.say("\n".join(_told(said, stick)))


def device(name: str, stick: Path, labels: dict[str, str], ttl_s: float) -> dict[str, Any]:
    """Write the stick, and return what is on it. Raises SkerryError."""
    try:
        folder.present(stick)
        with client.Client() as hub:
            made = hub.post("/v1/bundles/-/device", {"name": name, "labels": labels, "ttl_s": ttl_s})
            host = urlsplit(hub.context.url).hostname or ""
            for place in (made["mqtt"], made["api"]):
                place["host"] = place["host"] or host
            said = sticks.export_to(hub, name, stick)
            held = hub.get("/v1/bundles/-/packages")
            for package, size in held["packages"].items():
                _fetch(hub, stick / package, size)
        synced.write(stick / INSTALL, held["script"].encode(), 0o755)
        synced.write(stick / f"{name}{SUFFIX}", json.dumps(made).encode())
    except OSError as error:
        raise StoreError(f"{stick} cannot be written ({error.strerror}): is the stick in, and has it room?") from error
    return {"node": name, "generation": said["generation"], "packages": list(held["packages"]), "path": str(stick)}


def _pipe(name: str, labels: dict[str, str], ttl_s: float, form: output.Format) -> None:
    if sys.stdout.isatty():
        raise client.UsageError(
            "this would print an archive: say --to /media/stick, or put `| tar -x -C /media/stick` behind it"
        )
    if form.is_exact:
        raise client.UsageError("-o goes with --to: without it the archive goes to stdout, and nothing else")
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        said = device(name, Path(folder), labels, ttl_s)
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
            # The installer after all that it looks for: what broke off on its way does nothing.
            for path in sorted(Path(folder).iterdir(), key=lambda one: (one.name == INSTALL, one.name)):
                archive.add(path, path.name, filter=_of_nobody)
    output.note("\n".join(_told(said, None)))


def _of_nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _told(said: dict[str, Any], stick: Path | None) -> list[str]:
    """Return the lines that say what is on the stick (None: in the archive), and what to do with it."""
    where, at = (str(stick), stick) if stick else ("the archive", Path("STICK"))
    lines = [f"{said['node']}: its name, a token for it, and generation {said['generation']} are in {where}"]
    if said["packages"]:
        return [*lines, f"packages     {', '.join(said['packages'])}", f"Next, at the device:  sudo sh {at / INSTALL}"]
    lines.append("This hub holds no package (folder packages of its directory): the device needs the agent installed.")
    return [*lines, f"Next, at the device:  skerry-agent enroll --from {at}"]


def _fetch(hub: client.Client, path: Path, size: int) -> None:
    """Fetch a package; one that is here whole is left: the installer compares its sum."""
    if path.exists() and path.stat().st_size == size:
        return
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb") as file:
        for chunk in hub.download(f"/install/{path.name}", 0):
            file.write(chunk)
    part.replace(path)
