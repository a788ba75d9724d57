"""The facts about one device that its doctor judges; see protocol.doctor.facts for the shared ones."""

from __future__ import annotations

import msgspec

from edge_agent.core.isolation import Able
from protocol.doctor.facts import Answer, Clock, Disk, File, Key, Paper, Room, Store, Way
from protocol.doctor.findings import Unseen


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """Who this device is, by agent.json. `sealed`: a broker stands between, called `broker`."""

    node: str
    hub: str
    root_pin: str
    broker: str
    sealed: bool


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """Programs that workloads need and this device lacks."""

    missing: list[str]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Instances by their folders: how many there are, and which have no end written down and no process either."""

    count: int
    lost: list[str]


class People(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner's file lets people do: the groups that look and that act, and which of them this device lacks.

    An empty name closes that door. `is_said`: there is such a file. `error`: what is wrong with it, so that nobody but
    root may.
    """

    read: str = ""
    act: str = ""
    missing: list[str] = []
    is_said: bool = False
    error: str = ""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What the running agent says over its control socket. `link` and `since_ms` are those of its LinkView."""

    version: str
    link: str
    reason: str
    since_ms: int
    waiting_rows: int
    waiting_bytes: int
    lost: dict[str, int]
    conditions: list[str]
    able: Able


class Resting(msgspec.Struct, frozen=True, kw_only=True):
    """No agent answers. `holder` has the journal open all the same (-1: unseen); `standing`: what the hub said last."""

    why: str
    holder: int = 0
    standing: str = ""
    contact_ms: int = 0


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, each seen or not."""

    data: str
    version: str
    user: int
    folder: File | Unseen
    enrolled: Enrolled | Unseen
    key: Key | Unseen
    root: Paper | Unseen
    certificate: Paper | Unseen
    journal: Store | Unseen
    telemetry: Store | Unseen
    aside: list[str] | Unseen
    disk: Disk | Unseen
    room: Room | Unseen
    tools: Tools | Unseen
    work: Work | Unseen
    people: People | Unseen
    agent: Running | Resting | Unseen
    answer: Answer | Unseen
    way: Way | Unseen
    clock: Clock
