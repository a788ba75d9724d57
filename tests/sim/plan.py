"""The fault plan: what befalls a simulated world, and what people do in it, as records that can be printed and cut.

A plan is made from a seed (tests.sim.chances), and may be written by hand. A record names its moment, in seconds of the
world's clock; what lasts says how long. Nodes are named by their machine; the root hub is `cloud`.
A world is flat (every device under the root) or a tree: `hubs` and `homes` say who is under whom.
"""

from __future__ import annotations

import msgspec

from edge_agent.core.inputs import AnyLocalCommand
from hub.core.inputs import AnyOp
from protocol import limits

HUB = "cloud"


class Item(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", omit_defaults=True):
    """The base of all records."""

    at: float


class Lasting(Item, frozen=True, kw_only=True):
    """What is over after `for_s`."""

    for_s: float


# ------------------------------------------------------------------------------------------------ the network


class Cut(Lasting, frozen=True, kw_only=True):
    """The node's path is blocked: `up`, `down`, or both."""

    node: str
    up: bool = True
    down: bool = True


class Flap(Item, frozen=True, kw_only=True):
    """The path is blocked and opened again, `times` times."""

    node: str
    times: int
    shut_s: float
    open_s: float


class Clog(Item, frozen=True, kw_only=True):
    """One path after the other is blocked, `each_s` apart; then all open again."""

    nodes: list[str]
    each_s: float


class Slow(Lasting, frozen=True, kw_only=True):
    """A slow path: `delay_s` each way, `bytes_per_s` (0: no bound)."""

    node: str
    delay_s: float
    bytes_per_s: float = 0.0


class Bad(Lasting, frozen=True, kw_only=True):
    """A broker loses, doubles and delays what the node says and hears; chances."""

    node: str
    drop: float = 0.0
    double: float = 0.0
    late: float = 0.0


class Reset(Item, frozen=True, kw_only=True):
    """The node's connection breaks, and both ends hear of it."""

    node: str


class Forget(Item, frozen=True, kw_only=True):
    """The network forgets the node's connection, as one does with what is idle: what is said on it goes nowhere."""

    node: str


class KillBroker(Lasting, frozen=True, kw_only=True):
    """A hub's broker dies with all its state; a new one starts."""

    node: str = HUB


# ------------------------------------------------------------------------------------------------ nodes


class Kill(Lasting, frozen=True, kw_only=True):
    """kill -9; at once, or the `nth` time that `place` is passed. It starts again `for_s` later."""

    node: str
    place: str = ""
    nth: int = 1


class Stop(Lasting, frozen=True, kw_only=True):
    """The daemon is stopped in order (SIGTERM), and started again."""

    node: str


class Reboot(Lasting, frozen=True, kw_only=True):
    """The machine goes down with all that runs on it. `power`: it was cut off."""

    node: str
    power: bool = False


class SetClock(Item, frozen=True, kw_only=True):
    """The wall clock jumps to the true time plus `offset_s`."""

    node: str
    offset_s: float


# ------------------------------------------------------------------------------------------------ disks


class Full(Lasting, frozen=True, kw_only=True):
    """No commit succeeds."""

    node: str


class SlowDisk(Lasting, frozen=True, kw_only=True):
    """Each commit takes `commit_s`."""

    node: str
    commit_s: float


class Restore(Item, frozen=True, kw_only=True):
    """A backup from `age_s` ago comes back while the daemon is down. `in_place`: into the same files, so that their
    inodes tell nothing; `lock_too`: with the lock file, so that the count of openings tells nothing either."""

    node: str
    age_s: float
    in_place: bool = False
    lock_too: bool = False


class Clone(Lasting, frozen=True, kw_only=True):
    """A copy of the device runs beside it, then is taken away."""

    node: str


class Corrupt(Item, frozen=True, kw_only=True):
    """The daemon is killed, and `pages` pages of a file are overwritten."""

    node: str
    file: str = "journal.db"
    pages: int = 1


POISONS = {"short": b"[1,2]", "other": b'{"seq":1}', "word": b'"no entry"', "deep": b"[" * 400 + b"]" * 400}
"""What a poison row looks like -> its bytes. All are JSON: a message that is none says nothing, and is not of a row."""


class Poison(Item, frozen=True, kw_only=True):
    """The node is cut off, and killed a while later; its newest row of `stream` is replaced by bytes that are no entry,
    with the hash that they give, if no parent has that row yet: nothing of the store is damaged."""

    node: str
    stream: str
    looks: str


# ------------------------------------------------------------------------------------------------ people, workloads


class Operate(Item, frozen=True, kw_only=True):
    """An operator asks a hub."""

    op: AnyOp
    node: str = HUB


class AtDevice(Item, frozen=True, kw_only=True):
    """A person at the device asks."""

    node: str
    command: AnyLocalCommand


class Carry(Item, frozen=True, kw_only=True):
    """A person carries a stick between a device and its hub, `up` or `down`: exported at `at`, brought `after_s` later,
    and once more `again_s` after that, unless 0. `half`: the first time only half of it can be read. `to`: who gets
    what is for another device, or hub."""

    node: str
    way: str
    after_s: float
    again_s: float = 0.0
    half: bool = False
    to: str = ""


class Arrive(Item, frozen=True, kw_only=True):
    """A device asks to be let in, and not before: of all others the world is made at the beginning."""

    node: str


class Invite(Item, frozen=True, kw_only=True):
    """A device is made from a stick: its name is kept at its hub, it lives at once, and enrolls when it, or a bundle of
    it, first comes to that hub."""

    node: str


class Behave(Lasting, frozen=True, kw_only=True):
    """The service does something else: exit, crash, oom, hang, sick."""

    node: str
    service: str
    verb: str


AnyItem = (
    Cut
    | Flap
    | Clog
    | Slow
    | Bad
    | Reset
    | Forget
    | KillBroker
    | Kill
    | Stop
    | Reboot
    | SetClock
    | Full
    | SlowDisk
    | Restore
    | Clone
    | Corrupt
    | Poison
    | Operate
    | AtDevice
    | Carry
    | Arrive
    | Invite
    | Behave
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that befalls one world. `seconds`: then the faults are over, and all is healed."""

    seconds: float
    items: list[AnyItem]
    external: bool = False
    """Through brokers, in place of the hubs' own doors."""
    hubs: dict[str, str] = {}
    """Each hub below the root -> its parent, parents first; none in a flat world."""
    homes: dict[str, str] = {}
    """Device -> its hub; who is not named is under the root."""
    metered: dict[str, float] = {}
    """Device -> its contact interval in seconds; who is not named has a link on which bytes cost nothing."""
    say_every_s: float = 10.0
    say_burst: int = 1
    say_mostly: str = "state"
    quota_bytes: int = 0
    """Of every device; 0: the agent's default, which no world fills."""
    relay_bytes: int = limits.RELAY_BYTES
    """Of what every hub relays; no world fills the default."""


def end_of(item: AnyItem) -> float:
    """Return when `item` is over."""
    match item:
        case Flap():
            return item.at + item.times * (item.shut_s + item.open_s)
        case Clog():
            return item.at + (len(item.nodes) + 1) * item.each_s
        case Lasting():
            return item.at + item.for_s
        case Carry():
            return item.at + item.after_s + item.again_s
        case _:
            return item.at


def encode(plan: Plan) -> bytes:
    """Return the plan as JSON, one record a line."""
    head = msgspec.structs.replace(plan, items=[])
    lines = [msgspec.json.encode(item).decode() for item in plan.items]
    text = msgspec.json.encode(head).decode().replace('"items":[]', '"items":[\n' + ",\n".join(lines) + "\n]")
    return text.encode()


def decode(raw: bytes) -> Plan:
    """Return a plan from JSON."""
    return msgspec.json.decode(raw, type=Plan)
