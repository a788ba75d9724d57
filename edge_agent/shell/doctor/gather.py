"""All facts about this device, looked for at the same time, with the agent running or not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.core.doctor.facts import Device, Enrolled, People, Resting, Running, Tools, Work
from edge_agent.shell import identity
from edge_agent.shell.doctor import agent, works
from protocol.aio import tls
from protocol.aio.checkup import files, look, machine, stores, ways
from protocol.aio.checkup.look import Look
from protocol.doctor.facts import Answer, Disk, File, Key, Paper, Room, Store, Way
from protocol.doctor.findings import Unseen
from protocol.errors import Refused

_JOIN = "let it reach its hub once, or take one of its sticks there (skerry-agent export PATH)"
T = TypeVar("T")
Ask = Callable[[], Running]
"""Asks the running agent. Raises SkerryError when none answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looks:
    folder: Look[File]
    key: Look[Key]
    root: Look[Paper]
    certificate: Look[Paper]
    journal: Look[Store]
    telemetry: Look[Store]
    aside: Look[list[str]]
    disk: Look[Disk]
    room: Look[Room]
    tools: Look[Tools]
    work: Look[Work]
    people: Look[People]
    agent: Look[Running | Resting]
    answer: Look[Answer]
    way: Look[Way]


def device(data: Path, ask: Ask) -> Device:
    """Return the facts about the device whose directory is `data`, within limits.DOCTOR_WAIT_S or a little more."""
    began = look.clocks()
    enrolled = Look("agent.json", lambda: _named(data), _sudo(data)).seen()
    looks = _begin(data, enrolled if isinstance(enrolled, identity.AgentFile) else None, ask)
    return Device(
        data=str(data),
        version=importlib.metadata.version("skerry"),
        user=os.geteuid(),
        folder=looks.folder.seen(),
        enrolled=_enrolled(data, enrolled),
        key=looks.key.seen(),
        root=looks.root.seen(),
        certificate=looks.certificate.seen(),
        journal=looks.journal.seen(),
        telemetry=looks.telemetry.seen(),
        aside=looks.aside.seen(),
        disk=looks.disk.seen(),
        room=looks.room.seen(),
        tools=looks.tools.seen(),
        work=looks.work.seen(),
        people=looks.people.seen(),
        agent=looks.agent.seen(),
        answer=looks.answer.seen(),
        way=looks.way.seen(),
        clock=look.clock(began),
    )


def _named(data: Path) -> identity.AgentFile:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        files.read(data / "agent.json")
    return identity.load(data)


def _sudo(data: Path) -> str:
    return f"sudo skerry-agent doctor --data {data}"


def _begin(data: Path, file: identity.AgentFile | None, ask: Ask) -> _Looks:
    journal, telemetry, root = data / "journal.db", data / "telemetry.db", data / "root.pem"
    pin = file.root_pin if file else ""

    def of(what: str, find: Callable[[], T]) -> Look[T]:
        return Look(what, find, _sudo(data))

    return _Looks(
        folder=of("the folder", lambda: files.file(data)),
        key=of("key.pem", lambda: files.key(data / "key.pem", files.public_of_tls)),
        root=of("root.pem", lambda: files.root(root)),
        certificate=Look("cert.pem", lambda: _paper(data, pin), _JOIN if identity.is_invited(data) else _sudo(data)),
        journal=of("journal.db", lambda: stores.store(journal)),
        telemetry=of("telemetry.db", lambda: stores.store(telemetry, journal)),
        aside=of("the folder", lambda: [*files.set_aside(journal), *files.set_aside(telemetry)]),
        disk=of("the disk", lambda: machine.disk(data)),
        room=of("the limits", lambda: machine.room(stores.holder(journal))),
        tools=of("the tools", works.tools),
        work=of("the workloads", lambda: works.work(data)),
        people=of("agent.toml", works.people),
        agent=of("the agent", lambda: agent.state(data, ask)),
        answer=of("the hub", lambda: _answer(data, file)),
        way=Look("the way to the hub", lambda: _way(data, file), _JOIN if identity.is_invited(data) else _sudo(data)),
    )


def _paper(data: Path, pin: str) -> Paper:
    identity.check_met(data)
    return files.paper(data / "cert.pem", data / "root.pem", pin)


def _enrolled(data: Path, seen: identity.AgentFile | Unseen) -> Enrolled | Unseen:
    if isinstance(seen, Unseen):
        if (data / "agent.json").exists():
            return seen
        enroll = f"skerry-agent enroll --hub URL --token TOKEN --data {data}; or name the right directory with --data"
        return Unseen(why=f"this device is not enrolled: there is no {data}/agent.json", next=enroll)
    return Enrolled(
        node=seen.node, hub=seen.hub, root_pin=seen.root_pin, broker=seen.mqtt.name, sealed=seen.mqtt.sealed
    )


def _answer(data: Path, file: identity.AgentFile | None) -> Answer:
    if file is None:
        raise Refused("no hub to ask before this device is enrolled")
    context = tls.api_context(files.read(data / "root.pem").decode(), file.scope)
    return ways.ask(file.api.host, file.api.port, context)


def _way(data: Path, file: identity.AgentFile | None) -> Way:
    if file is None:
        raise Refused("no way to try before this device is enrolled")
    identity.check_met(data)
    for name in ("cert.pem", "key.pem", "root.pem"):
        files.read(data / name)
    return ways.way(file.mqtt.host, file.mqtt.port, identity.link_context(data, file), client_id=_client_id(data, file))


def _client_id(data: Path, file: identity.AgentFile) -> str:
    """Return the client id to CONNECT with: one that takes over nobody's session, or none."""
    if not file.mqtt.sealed:
        return f"{file.node}-doctor"  # the hub's own door says that it is another one, and so lets nobody go
    return "" if stores.holder(data / "journal.db") else file.node  # a broker makes it the certificate's name
