"""The daemon's side of finding a hub that moved: it sends a helper to look, and stores where the hub proved to be.

zeroconf stays out of the daemon; agent.json is written here alone while the daemon runs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell import identity
from edge_agent.shell.runners import children
from protocol import documents, limits
from protocol.errors import SkerryError

log = logging.getLogger("skerry.agent")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Look for the hub of the device in `data`; or, given a `grant` (a document), for one to turn to in its place."""

    data: str
    grant: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where it proved to be, or which one is there (`to`); or the `reason` why none was found."""

    to: documents.Haven | None = None
    mqtt: identity.Address | None = None
    api: identity.Address | None = None
    reason: str = ""


async def seek(data: Path, report: Callable[[inputs.Input], None], moved: Callable[[identity.AgentFile], None]) -> None:
    """Look for the hub; `moved` gets the new agent.json, which is stored, and Sought follows, whatever happens."""
    try:
        found = await _ask(Job(data=str(data)))
        if found.mqtt is None or found.api is None:
            report(inputs.Sought(reason=found.reason or "the hub was not found"))
            return
        file = identity.load(data)
        mqtt = msgspec.structs.replace(file.mqtt, host=found.mqtt.host, port=found.mqtt.port)
        file = msgspec.structs.replace(file, mqtt=mqtt, api=found.api)
        identity.save(data, file)
    except (SkerryError, OSError) as error:
        log.warning("the hub could not be looked for: %s", error)
        report(inputs.Sought(reason=str(error)))
        return
    host = f"[{file.mqtt.host}]" if ":" in file.mqtt.host else file.mqtt.host
    log.warning("hub %s has moved: it is at %s:%d now, and proved it", file.hub, host, file.mqtt.port)
    moved(file)
    report(inputs.Sought(place=f"{host}:{file.mqtt.port}"))


async def look(data: Path, action: inputs.LookForHaven, report: Callable[[inputs.Input], None]) -> None:
    """Look whether our hub is gone while another one is there, to which we may turn; HavenFound follows."""
    try:
        found = await _ask(Job(data=str(data), grant=action.grant.decode()))
    except OSError as error:
        found = Found(reason=str(error))
    if found.to is None:
        log.info("this device stays with its hub: %s", found.reason)
    report(inputs.HavenFound(digest=action.digest, to=found.to, reason=found.reason))


async def _ask(job: Job) -> Found:
    done = await children.run(
        [sys.executable, "-m", "edge_agent.shell.finding.seeker"],
        timeout_s=limits.DISCOVER_HELP_S,
        stdin=msgspec.json.encode(job),
        output_bytes_max=limits.DISCOVER_ANSWER_BYTES_MAX,
    )
    try:
        return msgspec.json.decode(done.output, type=Found)
    except msgspec.DecodeError:
        last = done.output.decode(errors="replace").strip().rpartition("\n")[2]
        return Found(reason=f"the helper that looks for it failed ({done.code}): {last[:200]}")


def note_names(data: Path, file: identity.AgentFile, names: list[str]) -> identity.AgentFile:
    """Keep the names and addresses that the hub's certificate gives it, if they are new; return agent.json as it is."""
    known = names[: limits.FOUND_TRIES_MAX]
    if not known or known == file.names:
        return file
    try:
        file = msgspec.structs.replace(identity.load(data), names=known)
        identity.save(data, file)
    except (SkerryError, OSError) as error:
        log.warning("where the hub may be found later could not be kept: %s", error)
    return file
