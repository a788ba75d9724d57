"""`bundle device`: a stick from which a new device is installed, with no network."""

from __future__ import annotations

import json
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


def tell(said: dict[str, Any], stick: Path) -> None:
    """Print what is on the stick, and what to do with it."""
    output.say(f"{said['node']}: its name, a token for it, and generation {said['generation']} are in {stick}")
    if said["packages"]:
        output.say(f"packages     {', '.join(said['packages'])}")
        output.say(f"Next, at the device:  sudo sh {stick / INSTALL}")
    else:
        output.say(
            "This hub holds no package (folder packages of its directory): the device needs the agent installed."
        )
        output.say(f"Next, at the device:  skerry-agent enroll --from {stick}")


def _fetch(hub: client.Client, path: Path, size: int) -> None:
    """Fetch a package; one that is here whole is left: the installer compares its sum."""
    if path.exists() and path.stat().st_size == size:
        return
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb") as file:
        for chunk in hub.download(f"/install/{path.name}", 0):
            file.write(chunk)
    part.replace(path)
