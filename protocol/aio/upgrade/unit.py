"""What root's part asks of systemd and of dpkg."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from protocol.aio.upgrade.places import Places


class Systemd:
    """The daemon's unit, and those `beside` it that start again, in the same version, when somebody asks for them."""

    def __init__(self, name: str, beside: Sequence[str] = ()) -> None:
        self._name, self._beside = name, beside

    def restart(self) -> None:
        """Start the daemon anew, and do not wait for it: one that is broken never says that it runs."""
        for one in self._beside:
            subprocess.run(("systemctl", "stop", one), check=False)
        subprocess.run(("systemctl", "--no-block", "restart", self._name), check=True)

    def restarts(self) -> int:
        """Return how often it was started again because it had ended by itself."""
        shown = ("systemctl", "show", "-P", "NRestarts", self._name)
        text = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()
        return int(text) if text.isdecimal() else 0


class Ends:
    """How often a daemon has ended by itself since this was made."""

    def __init__(self, unit: Systemd) -> None:
        self._unit, self._before = unit, unit.restarts()

    def count(self) -> int:
        """Return it. systemd begins to count anew some time after it was told to restart the daemon."""
        restarts = self._unit.restarts()
        self._before = min(self._before, restarts)
        return restarts - self._before


def floor(at: Places) -> str:
    """Return the version that dpkg installed. Raises CalledProcessError."""
    words = ("dpkg-query", "--show", "--showformat=${Version}", at.name)
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
