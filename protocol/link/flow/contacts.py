"""When a child speaks: at once where bytes cost nothing, in contacts on a link that is metered.

A metered child declares a contact interval. Between two contacts it says nothing of its own accord: what it appends and
what changes of its status wait, on disk, for the next one. The parent's word opens a contact, for somebody there waits;
so does what the core knows to be waited for. Presence is judged by the interval that was declared. Pure; of one
child's end.
"""

from __future__ import annotations

from protocol import limits


class Contacts:
    """`every_s`: the contact interval that the device declares; 0.0: it is not metered, and speaks at once."""

    def __init__(self, every_s: float) -> None:
        self.every_s = min(max(every_s, limits.CONTACT_S_MIN), limits.CONTACT_S_MAX) if every_s else 0.0
        self._shuts_at = 0.0
        self.unsaid = False
        """What the status says has changed since it was told."""

    @property
    def status_s(self) -> float:
        """Return after how long a status is repeated."""
        return self.every_s or limits.STATUS_EVERY_S

    @property
    def backoff_s_max(self) -> float:
        """Return the longest wait between two tries to connect: a try costs bytes too."""
        return max(self.every_s, limits.BACKOFF_S_MAX)

    def open(self, mono: float) -> None:
        """Both ends talk, or somebody above waits: for limits.CONTACT_OPEN_S what is new goes at once."""
        self._shuts_at = mono + limits.CONTACT_OPEN_S

    def is_open(self, mono: float) -> bool:
        """Tell whether what is new goes at once."""
        return not self.every_s or mono < self._shuts_at
