"""Facts of a well device and a well hub, for tests that change one of them."""

from __future__ import annotations

from edge_agent.core.doctor.facts import Device, Enrolled, People, Running, Tools, Work
from edge_agent.core.isolation import WORDS, Able
from hub.core.doctor.facts import Above, Context, Fleet, Folder, Named, Node, Port, Waiting
from protocol.doctor.facts import Answer, Clock, Disk, File, Key, Paper, Room, Step, Store, Way

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
FILE = File(path="/d/x", present=True, mode=0o600, owner=0)
FOLDER = File(path="/d", present=True, mode=0o700, owner=0)
KEY = Key(file=FILE, public="ab" * 32)
PAPER = Paper(
    path="/d/cert.pem", role="node", id="oslo", public="ab" * 32, from_ms=NOW_MS, until_ms=NOW_MS + 90 * DAY_MS
)
ROOT = Paper(path="/d/root.pem", public="cd" * 32, from_ms=NOW_MS, until_ms=NOW_MS + 3_000 * DAY_MS)
STORE = Store(path="/d/journal.db", present=True, known=1, bytes=9_000, version=1, node="oslo")
DISK = Disk(path="/d", free=10**10, total=10**11, inodes_free=10**6, inodes=10**7, read_only=False)
ROOM = Room(open_files=20_000, memory_free=10**9, memory_total=10**10)
WAY = Way(where="h:8883", reached=Step.MQTT, took_s=0.02)
ANSWER = Answer(where="h:8443", hub="cloud", version="0.1.0", time_ms=NOW_MS, at_ms=NOW_MS)
CLOCK = Clock(now_ms=NOW_MS, jumped_s=0.0)
RUNNING = Running(
    version="0.1.0",
    link="live",
    reason="",
    since_ms=NOW_MS - 60_000,
    waiting_rows=0,
    waiting_bytes=0,
    lost={},
    conditions=[],
    able=Able(names=frozenset(WORDS)),
)
DEVICE = Device(
    data="/d",
    version="0.1.0",
    user=0,
    folder=FOLDER,
    enrolled=Enrolled(node="oslo", hub="cloud", root_pin="cd" * 32, broker="broker", sealed=False),
    key=KEY,
    root=ROOT,
    certificate=PAPER,
    journal=STORE,
    telemetry=STORE,
    aside=[],
    disk=DISK,
    room=ROOM,
    tools=Tools(missing=[]),
    work=Work(count=2, lost=[]),
    people=People(read="skerry", act="skerry-operators"),
    agent=RUNNING,
    answer=ANSWER,
    way=WAY,
    clock=CLOCK,
)
HUB = Folder(
    data="/h",
    version="0.1.0",
    user=0,
    folder=FOLDER,
    named=Named(id="cloud", broker=""),
    doubt="",
    above=Above(),
    keys={"root.key": Key(file=FILE, public="cd" * 32), "hub.key": KEY, "ticket.key": Key(file=FILE)},
    root=ROOT,
    ca=None,
    tls=Paper(
        path="/h/hub.pem", role="hub", id="cloud", public="ab" * 32, from_ms=NOW_MS, until_ms=NOW_MS + DAY_MS * 800
    ),
    signer=Paper(path="/h/signer.pem", role="signer", id="cloud", from_ms=NOW_MS, until_ms=NOW_MS + DAY_MS * 3_000),
    store=Store(path="/h/hub.db", present=True, known=1, bytes=9_000, version=1, node="cloud", holder=7),
    aside=[],
    artifacts=FOLDER,
    disk=DISK,
    room=ROOM,
    ports=[Port(what="API", where="h:8443", listening=True, pids=[7])],
    answer=ANSWER,
    broker=None,
    clock=CLOCK,
)
CONTEXT = Context(file=FILE, url="https://h:8443", hub="cloud", root="cd" * 32)


def node(name: str = "oslo", **more: object) -> Node:
    """Return a node that is well."""
    made: dict[str, object] = {"state": "online", "version": "0.1.0", "alarms": [], "offset_s": 0.0, "lost": 0}
    made |= {"aside": 0, "certificate_until_ms": NOW_MS + DAY_MS} | more
    return Node(name=name, **made)  # pyright: ignore[reportArgumentType] - each is of its own kind


FLEET = Fleet(
    version="0.1.0",
    user=0,
    context=CONTEXT,
    answer=ANSWER,
    nodes=[node()],
    waiting=Waiting(),
    above=Above(),
    clock=CLOCK,
)
