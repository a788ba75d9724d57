"""A machine of folders on which root's part tries another version: its power goes where a test says."""

from __future__ import annotations

from protocol.aio.upgrade import places
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.root import Root
from protocol.aio.upgrade.unit import Systemd
from protocol.upgrade import words
from protocol.upgrade.words import Stage

NEVER = 10_000
RELEASE = places.release()
OLD, NEW = f"0.1.0+deb{RELEASE}", f"0.2.0+deb{RELEASE}"


class Power(Exception):
    """It went."""


class Cut(Root):
    """Its power goes before deed number `at`, or after it."""

    at, after = NEVER, False

    def _do(self, deed: words.Deed) -> None:
        self.at -= 1
        if self.at == -1 and not self.after:
            raise Power
        super()._do(deed)
        if self.at == -1:
            raise Power


class Unit(Systemd):
    """A daemon's unit: what it starts takes the power away, or says at once how it is, if its files tell it to."""

    def __init__(self, at: Places) -> None:
        super().__init__(at.name)
        self._at, self.ends = at, 0

    def restart(self) -> None:
        """Start what `current` names."""
        home = self._at.lib / "current"
        if (home / "kills").exists():
            raise Power
        assert (home / "bin" / "python").exists(), "what is started is whole"
        kept = places.kept(self._at)
        if kept.stage is Stage.TRIAL and (home / "well").exists():
            self._at.said.parent.mkdir(exist_ok=True)
            places.write(self._at.said, words.Said(number=kept.number))

    def restarts(self) -> int:
        """Return how often it ended: once more with each look, if its files tell it to."""
        self.ends += (self._at.lib / "current" / "ends").exists()
        return self.ends


def lay(at: Places) -> None:
    """Make the folders of a machine that runs OLD."""
    for path in (at.state, at.data, at.versions / OLD / "bin"):
        path.mkdir(parents=True)
    (at.versions / OLD / "bin" / "python").touch()
    for link in ("current", "good"):
        (at.lib / link).symlink_to(f"versions/{OLD}")
