"""The facts that the operator's doctor judges; see protocol.doctor.facts for the shared ones."""

from __future__ import annotations

import msgspec

from protocol.doctor.facts import Answer, Clock, Disk, File, Key, Paper, Room, Store, Way
from protocol.doctor.findings import Unseen


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Who a hub is, by hub.json. `broker`: the name of its external broker, empty without one."""

    id: str
    broker: str


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port that the hub listens on. `listening`: somebody does; `pids`: those that may be seen from here."""

    what: str
    where: str
    listening: bool
    pids: list[int]


class Above(msgspec.Struct, frozen=True, kw_only=True):
    """The hub above this one; `parent` is empty at a root. `state`: that of the link, empty where only the store was
    asked; `conditions`: (what, text) of what an operator is to look at; `waiting`: entries that go up yet."""

    parent: str = ""
    state: str = ""
    since_ms: int = 0
    last_contact_ms: int = 0
    reason: str = ""
    waiting: int = 0
    conditions: list[tuple[str, str]] = []


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A hub's directory on this machine, and what surrounds it. `keys` by file name; `doubt`: why its
    store is not the one that it last had, as long as no operator has accepted that."""

    data: str
    version: str
    user: int
    folder: File | Unseen
    named: Named | Unseen
    doubt: str | Unseen
    above: Above | Unseen
    keys: dict[str, Key | Unseen]
    root: Paper | Unseen
    ca: Paper | Unseen | None
    """Of a hub below another; a root has none but its root."""
    tls: Paper | Unseen
    signer: Paper | Unseen
    store: Store | Unseen
    aside: list[str] | Unseen
    artifacts: File | Unseen
    disk: Disk | Unseen
    room: Room | Unseen
    ports: list[Port] | Unseen
    answer: Answer | Unseen
    broker: Way | Unseen | None
    clock: Clock


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """This user's context. `root`: the SHA-256 of its root's key (hex)."""

    file: File
    url: str
    hub: str
    root: str


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub knows of a node, as far as its health goes. `silent`: the hub that is away, if that is why."""

    name: str
    state: str
    kind: str = "agent"
    last_contact_ms: int = 0
    silent: str = ""
    version: str
    alarms: list[str]
    offset_s: float
    lost: int
    aside: int
    certificate_until_ms: int


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for an operator: the hub's `alarm`, and the devices that it turns away because it does not know them
    (`knocks`, with the begin of their key)."""

    alarm: str = ""
    knocks: list[str] = []


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sees from where they are. `nodes` shows whether the token is good, too."""

    version: str
    user: int
    context: Context | Unseen
    answer: Answer | Unseen
    nodes: list[Node] | Unseen
    waiting: Waiting | Unseen
    above: Above | Unseen
    clock: Clock
