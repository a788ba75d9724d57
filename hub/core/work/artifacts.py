"""Which artifacts this hub holds, and which may go: what nothing names for long enough, or when there is no more room.

What names an artifact: a resource that is not deleted, and a manifest that a node was asked for and may still hold, so
that a device that was away finds what it was told to fetch (hub.core.delegate). Tasks name none: the workflow does that
they start. For how long nothing has named one is counted by looks in lives of this hub, never by the wall clock (A15).
Nothing goes while an operator is waited for: a hub in doubt does not know all that names one (A11).

The record goes first, then the file; what a crash leaves of either is found by the next life (`found`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hub.core import inputs
from hub.core.registry import Refusal
from hub.core.streams import OwnStreams
from hub.core.work.declared import Compiled, artifacts_of
from protocol import limits
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE = "artifact"


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One artifact. `spare_s`: for how long nothing was seen to name it; of the hub's running time."""

    size: int
    since_ms: int
    spare_s: float = 0.0


class Artifacts:
    """All artifacts of this hub by digest."""

    def __init__(self, snapshot: Snapshot, streams: OwnStreams, named: Callable[[], set[str] | None]) -> None:
        """`named` returns all that something names, or None while nobody can know."""
        decoder = msgspec.json.Decoder(Held)
        self.held = {digest: decoder.decode(raw) for digest, raw in snapshot.spaces.get(SPACE, {}).items()}
        self._streams = streams
        self._named = named
        self._spare: set[str] = set()
        self._looked_at = 0.0
        self._look_at: float | None = None

    @property
    def bytes(self) -> int:
        """What all of them take."""
        return sum(one.size for one in self.held.values())

    def check(self, all_of: list[Compiled]) -> None:
        """Raise Refusal when a document names an artifact that has not arrived at this hub."""
        for compiled in all_of:
            for digest in artifacts_of(compiled.document):
                if digest not in self.held:
                    raise Refusal(f"{compiled.key}: its artifact {digest} is not at the hub: upload it first")

    # -------------------------------------------------------------------------------------------- what comes

    def note(self, digest: str, size: int, now: Now, fx: Effects) -> bool:
        """An artifact has arrived whole, or is asked about: it stays for a while. Tells whether it is new."""
        known = self.held.get(digest)
        self._spare.discard(digest)
        if known is None or known.size != size or known.spare_s:
            since_ms = int(now.wall * 1000) if known is None else known.since_ms
            self._put(digest, Held(size=size, since_ms=since_ms), fx)
        return known is None

    def start(self, now: Now) -> None:
        """A life of the core begins."""
        self._looked_at, self._look_at = now.mono, now.mono + limits.ARTIFACTS_LOOK_S

    def found(self, sizes: dict[str, int], now: Now, fx: Effects) -> None:
        """These files are there as the hub starts: forget what is not, and take in what a crash left unnoted."""
        for digest in sorted(self.held.keys() - sizes.keys()):
            self._forget(digest, "its file is gone", now, fx)
        for digest in sorted(sizes.keys() - self.held.keys()):
            self.note(digest, sizes[digest], now, fx)

    # -------------------------------------------------------------------------------------------- what goes

    def make_room(self, size: int, coming: int, now: Now, fx: Effects) -> int:
        """Let the longest spare go until `size` more fit beside the `coming`; return how many went. Raises Refusal."""
        self._look(now, fx)
        taken = self.bytes + coming
        over = taken + size - limits.ARTIFACTS_BYTES_MAX
        going: list[str] = []
        for digest in sorted(self._going(limits.ARTIFACTS_SPARE_S_MIN), key=lambda one: -self.held[one].spare_s):
            if over <= 0:
                break
            over -= self.held[digest].size
            going.append(digest)
        if over > 0:
            raise Refusal(no_room(taken, size), 507)
        freed = sum(self.held[digest].size for digest in going)
        for digest in going:
            self._forget(digest, "room for a new one", now, fx)
        return freed

    def tick(self, now: Now, fx: Effects) -> None:
        """Look, when it is time, and let go what was spare for long."""
        if self._look_at is not None and now.mono >= self._look_at:
            self._look(now, fx)
            for digest in self._going(limits.ARTIFACTS_SPARE_S):
                self._forget(digest, "nothing names it", now, fx)

    def next_wake(self) -> float | None:
        """Return when (mono) to look again."""
        return self._look_at

    def _look(self, now: Now, fx: Effects) -> None:
        """Count for how long each is spare: from the look that first found it so."""
        named = self._named()
        passed_s = now.mono - self._looked_at
        self._looked_at, self._look_at = now.mono, now.mono + limits.ARTIFACTS_LOOK_S
        if named is None:
            self._spare.clear()
            return
        for digest, held in list(self.held.items()):
            spare_s = 0.0 if digest in named else held.spare_s + (passed_s if digest in self._spare else 0.0)
            if spare_s != held.spare_s:
                self._put(digest, msgspec.structs.replace(held, spare_s=spare_s), fx)
        self._spare = self.held.keys() - named

    def _going(self, spare_s: float) -> list[str]:
        return sorted(digest for digest in self._spare if self.held[digest].spare_s >= spare_s)

    def _put(self, digest: str, held: Held, fx: Effects) -> None:
        self.held[digest] = held
        fx.store.append(Put(SPACE, digest, msgspec.json.encode(held)))

    def _forget(self, digest: str, reason: str, now: Now, fx: Effects) -> None:
        held = self.held.pop(digest)
        self._spare.discard(digest)
        fx.store.append(Delete(SPACE, digest))
        fx.act.append(inputs.DropArtifact(digest=digest))
        self._streams.audit("artifact.dropped", digest, {"size": held.size, "reason": reason}, now, fx)


def no_room(held: int, size: int) -> str:
    """Return the sentence for who uploads what does not fit: what, where, what to do next."""
    most, spare_h = limits.ARTIFACTS_BYTES_MAX / limits.MIB, limits.ARTIFACTS_SPARE_S_MIN / 3_600
    return (
        f"no room at the hub for an artifact of {size / limits.MIB:.1f} MiB: those that are there take "
        f"{held / limits.MIB:.1f} of {most:.1f} MiB; nothing was stored. Delete services and workflows that nobody "
        f"needs, and upload again: an artifact makes room once nothing has named it for {spare_h:g} h"
    )
