"""Topic <-> (parent, child, direction, channel): `skerry/1/<parent>/<child>/up|down/<channel>`.

The one place where topics are written or read. Every level obeys the grammar of
protocol.ids, so that no name can hold a wildcard (INVARIANTS C6, C9).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from protocol import ids, limits, messages
from protocol.errors import RemoteProtocolError

if TYPE_CHECKING:
    from protocol.messages import Message

ROOT = "skerry/1"


class Direction(enum.Enum):
    """Which way a message goes: UP from a child to its parent, DOWN from a parent to its child."""

    UP = "up"
    DOWN = "down"


CHANNELS: dict[type[Message], tuple[Direction, str]] = {
    messages.Hello: (Direction.UP, "hello"),
    messages.Status: (Direction.UP, "status"),
    messages.Roster: (Direction.UP, "roster"),
    messages.Entries: (Direction.UP, "entries"),
    messages.Answer: (Direction.UP, "ask"),
    messages.Need: (Direction.UP, "ctl"),
    messages.Renew: (Direction.UP, "ctl"),
    messages.Bye: (Direction.UP, "ctl"),
    messages.Welcome: (Direction.DOWN, "ctl"),
    messages.Look: (Direction.DOWN, "ctl"),
    messages.Renewed: (Direction.DOWN, "ctl"),
    messages.Revoked: (Direction.DOWN, "ctl"),
    messages.Desired: (Direction.DOWN, "desired"),
    messages.Documents: (Direction.DOWN, "desired"),
    messages.EntriesAck: (Direction.DOWN, "ack"),
    messages.RosterAck: (Direction.DOWN, "ack"),
    messages.Leases: (Direction.DOWN, "ack"),
    messages.Ask: (Direction.DOWN, "ask"),
}
"""The direction and the channel of each message; what is not here does not cross."""

_KNOWN = frozenset(CHANNELS.values())


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic, taken apart."""

    parent: str
    child: str
    direction: Direction
    channel: str


def up(parent: str, child: str, channel: str) -> str:
    """Return the topic on which `child` publishes on `channel`."""
    return f"{ROOT}/{parent}/{child}/up/{channel}"


def down(parent: str, child: str, channel: str) -> str:
    """Return the topic on which `parent` publishes to `child` on `channel`."""
    return f"{ROOT}/{parent}/{child}/down/{channel}"


def child_filter(parent: str, child: str) -> str:
    """Return the one subscription of a child: all that its parent says to it."""
    return down(parent, child, "+")


def parent_filter(parent: str) -> str:
    """Return the one subscription of a parent at an external broker: all that its children say."""
    return f"{ROOT}/{parent}/+/up/+"


def of(parent: str, child: str, message: Message) -> str:
    """Return the topic of `message` on the link between `parent` and `child`."""
    direction, channel = CHANNELS[type(message)]
    return f"{ROOT}/{parent}/{child}/{direction.value}/{channel}"


def channel_of(message: Message) -> str:
    """Return the channel of `message`."""
    return CHANNELS[type(message)][1]


def parse(topic: str) -> Topic:
    """Take `topic` apart. Raises RemoteProtocolError when it is none of Skerry's, BadId when a name is odd."""
    if len(topic) > limits.TOPIC_BYTES_MAX:
        raise RemoteProtocolError(f"a topic of {len(topic)} characters is over {limits.TOPIC_BYTES_MAX}")
    levels = topic.split("/")
    if len(levels) != 6 or levels[0] != "skerry" or levels[1] != "1" or levels[4] not in ("up", "down"):
        raise RemoteProtocolError(f"{topic!r} is no topic of a link: {ROOT}/<parent>/<child>/up|down/<channel>")
    direction = Direction(levels[4])
    if (direction, levels[5]) not in _KNOWN:
        raise RemoteProtocolError(f"{topic!r}: there is no channel {levels[5]!r} {levels[4]}wards")
    return Topic(parent=ids.node_id(levels[2]), child=ids.node_id(levels[3]), direction=direction, channel=levels[5])
