"""Where the hub's package puts its versions. Beside the agent's, which may be on the same machine."""

from __future__ import annotations

from pathlib import Path

from protocol.aio.upgrade.places import Places


class HubPlaces(Places):
    """A hub's: what is asked for lies in root's own folder, and only root can ask."""

    @property
    def request(self) -> Path:
        """What is asked for."""
        return self.state / "request.json"


def places() -> HubPlaces:
    """Return those of the package."""
    return HubPlaces(
        name="skerry-hub",
        lib=Path("/usr/lib/skerry-hub"),
        state=Path("/var/lib/skerry/upgrade-hub"),
        data=Path("/var/lib/skerry/hub"),
    )
