"""A region whose parent is away for long, in memory: real hub cores, devices that say more than the region may relay.

What the devices make is counted where it is made; what the relays hold is reckoned from the rows after each minute.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from hub.core import inputs
from protocol import messages
from protocol.link import cursor
from protocol.link.relay.missing import counts
from tests.support.tree import Hub, Tree
from tests.unit.hub.world import Device, key_of

MINUTE_S = 60.0
AUDIT_EVERY_MIN, METRICS_PER_MIN = 10, 60
_STATE = ("service.restarted", "line-vision", b'{"exit":1,"restarts":7,"reason":"the process ended by itself"}')
_AUDIT = ("local.stop", "line-vision", b'{"user":"anna","uid":1000,"reason":"belt jammed"}')
_METRICS = [("measured", f"sensor-{number}", b"%.2f" % (20 + number / 7)) for number in range(METRICS_PER_MIN)]


class Speaker:
    """A device of a region, with three streams."""

    def __init__(self, region: Hub, name: str) -> None:
        self.region, self.name = region, name
        self._device: Device = region.device(name)
        self._epochs = {"audit": "b" * 16, "state": self._device.epoch, "metrics": "c" * 16}
        self.made: Counter[str] = Counter()
        self._tips = {
            one: cursor.genesis(name, epoch, one) if one in messages.CHAINED else b""
            for one, epoch in self._epochs.items()
        }
        self.connect()

    def connect(self) -> None:
        """Say Hello, with all three streams."""
        self._device.session += 1
        self._device.connection += 1
        opened = inputs.Opened(node=self.name, connection=self._device.connection, key=key_of(self.name))
        self.region.take(opened)
        heads = {
            one: messages.StreamHead(
                epoch=epoch, seq=self.made[one], hash=self._tips[one].hex() if self.made[one] else ""
            )
            for one, epoch in self._epochs.items()
        }
        hello = messages.Hello(session=self._device.session, nonce="n", node=self.name, version="0.1.0", streams=heads)
        self._take(hello)

    def _take(self, message: messages.AnyMessage) -> None:
        self.region.take(inputs.Got(node=self.name, connection=self._device.connection, message=message))

    def say(self, stream: str, items: list[tuple[str, str, bytes]]) -> None:
        """Say something."""
        prev, tip, epoch = self.made[stream], self._tips[stream], self._epochs[stream]
        rows = cursor.encode_rows(prev, tip, stream in messages.CHAINED, 1_000 + prev, items)
        self.made[stream], self._tips[stream] = rows[-1][0], rows[-1][2]
        self._take(
            messages.Entries(
                session=self._device.session,
                stream=stream,
                epoch=epoch,
                prev=prev,
                rows=[msgspec.Raw(raw) for _, raw, _ in rows],
                hash=rows[-1][2].hex(),
            )
        )


class RegionAway:
    """A root, a region with room for `relay_bytes` of what it relays, and its devices."""

    def __init__(self, relay_bytes: int, devices: int = 2) -> None:
        self.tree = Tree(is_patient=False)
        self.root = self.tree.add("cloud")
        self.region = self.tree.add("oslo", "cloud", relay_bytes=relay_bytes)
        self.relay_bytes, self.bytes_most = relay_bytes, 0
        self.devices = [Speaker(self.region, f"gw-{number}") for number in range(1, devices + 1)]
        self.tree.run()

    def go_by(self, minutes: int, *, speaking: int | None = None) -> None:
        """Let `minutes` pass with the parent away; only the first `speaking` devices say something, or all."""
        for minute in range(minutes):
            for device in self.devices[:speaking]:
                device.say("metrics", _METRICS)
                device.say("state", [_STATE])
                if minute % AUDIT_EVERY_MIN == 0:
                    device.say("audit", [_AUDIT])
            self.tree.later(MINUTE_S)
            self.measure()

    def restart(self) -> None:
        """Kill the region; its devices come again, its parent stays away."""
        self.region.restart()
        for device in self.devices:
            device.connect()

    def measure(self) -> None:
        """Look at what the relays take."""
        streams = self.region.store.streams
        taken = sum(len(row) for name in messages.RELAYS for row, _ in streams[name].rows.values())
        self.bytes_most = max(self.bytes_most, taken)

    def lost(self) -> dict[str, int]:
        """Return the runs that the region let go of, by relay; only of those that lost any."""
        assert self.region.core.up is not None
        return self.region.core.up.child.lost

    def check(self) -> None:
        """Hold a region that has come back to what was promised (A16)."""
        assert self.bytes_most <= self.relay_bytes, f"{self.bytes_most:,} bytes of {self.relay_bytes:,}"
        assert self.lost().keys() == {"relay_metrics"}, self.lost()
        assert self.root.core.parent.view("oslo").lost == self.lost(), "the GAP says what the region counted"
        records = dict(self.root.core.relayed.origins.records.all())
        for device in self.devices:
            got = Counter(stream for node, _, stream, *_ in self.root.store.entries if node == device.name)
            for key, record in records.items():
                node, _, stream = key.split("/")
                if node == device.name:
                    assert record.seq == device.made[stream], f"{key}: nothing at its end is silent"
                    missing = sum(counts(record.missing, record.closed).values())
                    assert got[stream] + missing == device.made[stream], f"{key}: to the row"
                    assert not missing or stream == "metrics", f"{key}: whole"
                    assert {one.why.value for one in record.missing} <= {"held"}, "signed by the region"
        assert len(records) >= 3 * len(self.devices)
        kept = [(node, epoch, stream, seq) for node, epoch, stream, seq, *_ in self.root.store.entries]
        assert len(kept) == len(set(kept)), "each row once"
