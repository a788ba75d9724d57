"""What every part of the agent's core shares: the link's end, this life's entropy, and how facts are kept.

Spaces of the state table that the core writes (all local; none of them crosses the link):

    agent       `boot`, `instances` (the counter of service instances), `contact`, `absence`, `home`, `hold`, `losses`,
                `upgrade`
    service     NAME -> workload.Record
    assignment  NAME -> the bytes of the assignment in force
    own         ID -> person.own.Declared, a document that was declared here
    override    NAME -> overrides.Override
    task        ID -> tasks.Record, as long as the manifest lists the task
    task-past   ID -> when, among all, it was forgotten: the newest ended ones, which do not run again
    workflow    NAME -> the digest of the definition in force
    definition  DIGEST -> the bytes of a workflow that is in force or that a run still follows
    run         ID -> run.Record
    past        ID -> status.RunReport of a run that has ended
    step        RUN/STEP -> run.Step, from its first start to the end of its run
    trigger     WORKFLOW/N -> schedule.Trigger
    artifact    OWNER -> the digests it used last
    said        INSTANCE -> the id of the last numbered item that was kept
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from edge_agent.core import isolation
from protocol import limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.snapshot import Snapshot

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Context:
    """The shared desk of one life of the core. `changed` is raised whenever the report may have become another."""

    def __init__(self, snapshot: Snapshot, child: Child) -> None:
        self.child = child
        self.entropy = Entropy(b"")
        self.boot = ""
        self.rebooted = True
        """Whether the device booted since the last life: what is not found then is lost, not merely unlaunched."""
        self.changed = True
        self.able = isolation.Able()
        """What of an isolation this device can enforce."""
        own = snapshot.spaces.get("agent", {})
        self._last_boot = own.get("boot", b"").decode()
        self._instances = int(own.get("instances", b"0"))

    def start(self, boot_id: str, entropy: bytes, able: isolation.Able, fx: Effects) -> None:
        """Begin a life: `entropy` is 32 random bytes, `boot_id` names the device's boot."""
        self.able = able
        self.entropy = Entropy(entropy)
        self.boot = boot_id
        self.rebooted = boot_id != self._last_boot
        if self.rebooted:
            fx.store.append(Put("agent", "boot", boot_id.encode()))

    def put(self, space: str, key: str, value: object, fx: Effects) -> None:
        """Keep `value` (a struct) as JSON."""
        self.changed = True
        fx.store.append(Put(space, key, _encode(value)))

    def drop(self, space: str, key: str, fx: Effects) -> None:
        """Forget what was put."""
        self.changed = True
        fx.store.append(Delete(space, key))

    def note(self, stream: str, kind: str, key: str, body: object, now: Now, fx: Effects) -> int:
        """Journal one fact: an entry of `stream`. Return its number."""
        return self.child.append(stream, [(kind, key, _encode(body))], now, fx)

    def next_instance(self, service: str, fx: Effects) -> str:
        """Return an instance id that no service ever had: the counter survives even the service's deletion."""
        self._instances += 1
        fx.store.append(Put("agent", "instances", b"%d" % self._instances))
        return f"s-{service}-{self._instances}"

    def note_instances(self, instances: Iterable[str]) -> None:
        """Count on from what is there: the counter itself may have been lost with a damaged store."""
        numbers = [one.rpartition("-")[2] for one in instances if one.startswith("s-")]
        self._instances = max([self._instances, *(int(one) for one in numbers if one.isdecimal())])

    def backoff_s(self, failures: int, min_s: float, max_s: float) -> float:
        """Return the wait after `failures` (>= 1) in a row: doubling up to `max_s`, jittered down by up to a half."""
        wait = min(max_s, min_s * 2.0 ** min(failures - 1, 32))
        return wait * (1.0 - 0.5 * self.entropy.fraction())


def load(snapshot: Snapshot, space: str, kind: type[T]) -> dict[str, T]:
    """Return a whole space, decoded."""
    decoder = msgspec.json.Decoder(kind)
    return {key: decoder.decode(raw) for key, raw in snapshot.spaces.get(space, {}).items()}


def encoded(value: object) -> bytes:
    """Return `value` (a struct) as compact JSON."""
    return _encode(value)


def ms(now: Now) -> int:
    """Return the wall time in milliseconds; for people only (A15)."""
    return int(now.wall * 1000)


def tail(text: str, size: int) -> str:
    """Return the last `size` characters of `text`."""
    return text[-size:] if size else ""


def soonest(*times: float | None) -> float | None:
    """Return the earliest of `times`, None when there is none."""
    return min((at for at in times if at is not None), default=None)


def wall_wake(at_ms: float, now: Now) -> float:
    """Return when (mono) to look again for the wall time `at_ms`: often enough to notice a clock that was set."""
    return now.mono + min(max(at_ms / 1000 - now.wall, 0.0), limits.WALL_LOOK_S)
