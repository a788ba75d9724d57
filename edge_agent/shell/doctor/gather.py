"""All facts about this device, looked for at the same time, with the agent running or not."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.core.doctor.facts import Device, Enrolled, Running
from edge_agent.shell import identity
from edge_agent.shell.doctor import agent, works
from protocol.aio.checkup import files, look, stores, ways
from protocol.aio.checkup.look import Look
from protocol.doctor.facts import Answer, Clock, Way
from protocol.doctor.findings import Unseen
from protocol.errors import Refused

T = TypeVar("T")
Ask = Callable[[], Running]
"""Asks the running agent. Raises SkerryError when none answers."""


def device(data: Path, ask: Ask) -> Device:
    """Return the facts about the device whose directory is `data`, within limits.DOCTOR_WAIT_S or a little more."""
    began = look.clocks()
    sudo = f"sudo skerry-agent doctor --data {data}"

    def of(what: str, find: Callable[[], T]) -> Look[T]:
        return Look(what, find, sudo)

    enrolled = Look("agent.json", lambda: identity.load(data), sudo).seen()
    file = enrolled if isinstance(enrolled, identity.AgentFile) else None
    pin = file.root_pin if file else ""
    journal = data / "journal.db"
    looks = (
        of("the folder", lambda: files.file(data)),
        of("key.pem", lambda: files.key(data / "key.pem", files.public_of_tls)),
        of("root.pem", lambda: files.root(data / "root.pem")),
        of("cert.pem", lambda: files.paper(data / "cert.pem", data / "root.pem", pin)),
        of("journal.db", lambda: stores.store(journal)),
        of("telemetry.db", lambda: stores.store(data / "telemetry.db", journal)),
        of("the folder", lambda: [*files.set_aside(journal), *files.set_aside(data / "telemetry.db")]),
        of("the disk", lambda: files.disk(data)),
        of("the limits", lambda: files.room(stores.holder(journal))),
        of("the tools", works.tools),
        of("the workloads", lambda: works.work(data)),
        of("the agent", lambda: agent.state(data, ask)),
        of("the hub", lambda: _answer(data, file)),
        of("the way to the hub", lambda: _way(data, file)),
    )
    folder, key, root, certificate, journal_seen, telemetry, aside, disk, room, tools, work, state, answer, way = looks
    return Device(
        data=str(data),
        version=importlib.metadata.version("skerry"),
        user=os.geteuid(),
        folder=folder.seen(),
        enrolled=_enrolled(data, enrolled),
        key=key.seen(),
        root=root.seen(),
        certificate=certificate.seen(),
        journal=journal_seen.seen(),
        telemetry=telemetry.seen(),
        aside=aside.seen(),
        disk=disk.seen(),
        room=room.seen(),
        tools=tools.seen(),
        work=work.seen(),
        agent=state.seen(),
        answer=answer.seen(),
        way=way.seen(),
        clock=Clock(now_ms=int(look.clocks()[0] * 1000), jumped_s=look.jumped_s(began)),
    )


def _enrolled(data: Path, seen: identity.AgentFile | Unseen) -> Enrolled | Unseen:
    if isinstance(seen, Unseen):
        if (data / "agent.json").exists():
            return seen
        enroll = f"skerry-agent enroll --hub URL --token TOKEN --data {data}; or name the right directory with --data"
        return Unseen(why=f"this device is not enrolled: there is no {data}/agent.json", next=enroll)
    broker = seen.mqtt.name or seen.hub
    return Enrolled(node=seen.node, hub=seen.hub, root_pin=seen.root_pin, broker=broker, sealed=seen.mqtt.sealed)


def _answer(data: Path, file: identity.AgentFile | None) -> Answer:
    if file is None:
        raise Refused("no hub to ask before this device is enrolled")
    context = ways.api_context((data / "root.pem").read_text(), file.hub)
    return ways.ask(file.api.host, file.api.port, context)


def _way(data: Path, file: identity.AgentFile | None) -> Way:
    if file is None:
        raise Refused("no way to try before this device is enrolled")
    return ways.way(file.mqtt.host, file.mqtt.port, identity.link_context(data, file), client_id=_client_id(data, file))


def _client_id(data: Path, file: identity.AgentFile) -> str:
    """Return the client id to CONNECT with: one that takes over nobody's session, or none."""
    if not file.mqtt.sealed:
        return f"{file.node}-doctor"  # the hub's own door says that it is another one, and so lets nobody go
    return "" if stores.holder(data / "journal.db") else file.node  # a broker makes it the certificate's name
