"""What is known and done where one version takes the place of another: the words of `slots`."""

from __future__ import annotations

import enum

import msgspec

DEBIAN_ARCHES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf"}
"""What Debian calls a machine, by what its kernel calls it."""


class Stage(enum.StrEnum):
    """See the table above."""

    IDLE = "idle"
    TRIAL = "trial"
    PROVEN = "proven"
    FAILED = "failed"


class Outcome(enum.StrEnum):
    """What became of the last wish: it runs, it was gone back from, or nothing was done."""

    NONE = ""
    DONE = "done"
    BACK = "back"
    REFUSED = "refused"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The version that is asked for; `fault`: why it cannot be had here, with nothing done."""

    number: int
    version: str
    confirm_s: float
    fault: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stored: the wish of the highest `number` that was taken on, its stage, and what became of it."""

    number: int = 0
    version: str = ""
    stage: Stage = Stage.IDLE
    outcome: Outcome = Outcome.NONE
    reason: str = ""
    confirm_s: float = 0.0
    tries: int = 0
    """How many times its trial was begun."""
    is_counted: bool = False
    """The one that is about to begin is among them: it was counted when the machine started."""

    def is_trial_of(self, version: str) -> bool:
        """Tell whether `version` is on trial."""
        return self.stage is Stage.TRIAL and self.version == version

    def patience_s(self, most_s: float) -> float:
        """Return how long a version on trial waits for others, `most_s` at most: it has to judge in time."""
        return min(most_s, self.confirm_s / 2)


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a version on trial says of itself: `fault` empty is well."""

    number: int
    fault: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now. `floor` is the version that dpkg installed; what has a word below is of this run alone."""

    current: str
    good: str
    versions: frozenset[str]
    floor: str = ""
    unpacked: str = ""
    """What this run has unpacked; one that lay there before may be of another package."""
    wish: Wish | None = None
    said: Said | None = None
    is_begun: bool = False
    """This run has counted its trial, or has found it counted."""
    waited_s: float | None = None
    """Since when the daemon was started by this run; None: it was not."""
    ends: int = 0
    """How often it has ended since, by itself."""


class Unpack(msgspec.Struct, frozen=True):
    """Put the package's `version` beside the others, whole and durable or not at all."""

    version: str


class Keep(msgspec.Struct, frozen=True):
    """Store, durably."""

    kept: Kept


class Switch(msgspec.Struct, frozen=True):
    """Have `link` (current, good) name `version`, by one rename."""

    link: str
    version: str


class Restart(msgspec.Struct, frozen=True):
    """Start the daemon of `current`; do not wait for it."""


class Wait(msgspec.Struct, frozen=True):
    """Look again in a moment."""


class Remove(msgspec.Struct, frozen=True):
    """Remove a version that nobody runs any more."""

    version: str


class Drop(msgspec.Struct, frozen=True):
    """The request is answered: remove it."""


Deed = Unpack | Keep | Switch | Restart | Wait | Remove | Drop
