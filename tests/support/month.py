"""What a device makes while away: an audit entry every ten minutes, a state entry a minute, 49 metrics a second."""

from __future__ import annotations

from tests.support.absence import MINUTE_S, Absence, Items

METRICS_PER_S = 49
AUDIT_EVERY_MIN = 10

_SECOND: Items = [("measured", f"sensor-{number}", b"%.2f" % (20 + number / 7)) for number in range(METRICS_PER_S)]
_MINUTE = _SECOND * MINUTE_S


async def go_by(device: Absence, minutes: int) -> None:
    """Let `minutes` pass on a device that is away."""
    for minute in range(minutes):
        device.clock.at += MINUTE_S
        body = b'{"exit":1,"restarts":%d,"reason":"the process ended by itself"}' % minute
        items = {"metrics": _MINUTE, "state": [("service.restarted", "line-vision", body)]}
        if minute % AUDIT_EVERY_MIN == 0:
            items["audit"] = [("local.stop", "line-vision", b'{"user":"anna","uid":1000,"reason":"belt jammed"}')]
        await device.make(items)


def check(device: Absence) -> None:
    """Hold a device that has come back to what it was promised: its quota, and nothing lost without a word (A16)."""
    assert device.bytes_most <= device.quota, f"{device.bytes_most:,} bytes on disk, of {device.quota:,}"
    lost = device.parent.view("gw-1").lost
    assert {stream: device.got[stream] for stream in ("audit", "state")} == {
        stream: device.made[stream] for stream in ("audit", "state")
    }
    assert lost.keys() == {"metrics"}
    assert device.got["metrics"] + lost["metrics"] == device.made["metrics"], "to the row"
    listed = device.parent.view("gw-1").losses["metrics"]
    assert sum(one.count for one in listed) == lost["metrics"]
