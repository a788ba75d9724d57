"""From who is not heard to findings: regions, and devices whose own hub is heard (exit code 3)."""

from __future__ import annotations

from hub.core.doctor.facts import Node
from protocol.doctor import words
from protocol.doctor.findings import Finding, ok, problem

_REGION = (
    "it goes on by itself, and what waits there comes up when it is back. On its machine: is skerry hub serve up? "
    "skerry doctor --data DIR there says what is wrong; skerry describe node {name} here shows what was last known"
)
_DEVICE = (
    "what it runs goes on there, and what waits comes up when it is back. On the device skerry-agent doctor says what "
    "is wrong; skerry describe node {name} here shows what was last known"
)


def absent(nodes: list[Node], now_ms: int) -> list[Finding]:
    """Return a finding about the regions, if there are any, and one about the devices that their hubs do not hear."""
    living = [one for one in nodes if one.state not in ("revoked", "quarantined")]
    hubs = [one for one in living if one.kind == "hub"]
    devices = [one for one in living if one.kind != "hub"]
    found = [_judged("devices", devices, [one for one in devices if one.state == "away"], devices, now_ms, _DEVICE)]
    if not hubs:
        return found
    return [_judged("regions", hubs, [one for one in hubs if one.state == "away"], devices, now_ms, _REGION), *found]


def _judged(check: str, all_of: list[Node], away: list[Node], devices: list[Node], now_ms: int, advice: str) -> Finding:
    if not all_of:
        return ok(check, "none yet")
    hidden = sum(one.state == "unheard" for one in all_of)
    behind = f", and {hidden} behind a region that is away" if hidden else ""
    if not away:
        return ok(check, f"{len(all_of) - hidden} of {len(all_of)} heard{behind}")
    away = sorted(away, key=lambda one: one.last_contact_ms)
    named = words.names([f"{one.name} ({_since(one, devices, now_ms)})" for one in away])
    says = f"{len(away)} of {len(all_of)} not heard{behind}: {named}"
    return problem(check, says, advice.format(name=away[0].name), away=True)


def _since(one: Node, devices: list[Node], now_ms: int) -> str:
    """Return since when nothing is heard of a node, and how many are unheard with it."""
    if not one.last_contact_ms:
        return "it has never connected"
    ago = words.duration(max(0, now_ms - one.last_contact_ms) / 1000)
    behind = sum(other.silent == one.name for other in devices)
    text = f"last heard {words.moment(one.last_contact_ms)}, {ago} ago"
    return f"{text}; {behind} {'device' if behind == 1 else 'devices'} behind it" if behind else text
