"""What a daemon did, at the moments when it was true: the history that tests judge.

Set SKERRY_TRACE to a folder of your own, and each life of a daemon there writes a new NODE.PID.MOMENT.trace, one JSON
object a line, each line one write(2): a process that is killed leaves what it had written. Unset, a driver has no
trace, and none is paid for.

    {"is": "born",   "at": 12.5, "node": "oslo", "role": "agent", "store": "/data/journal.db", "inode": 42}
    {"is": "took",   "at": ..., "kind": "Got", "input": {...}, "now": [MONO, WALL]}     the core has handled it
    {"is": "stored", "at": ..., "ops": [["Rows", {...}], ...]}                          the commit has returned
    {"is": "sent",   "at": ..., "peer": "cloud", "message": {...}}                      the transport has it
    {"is": "acted",  "at": ..., "kind": "Launch", "action": {...}}                      the executor has it
    {"is": "died",   "at": ..., "how": "stop" or "store"}                               nothing is written of a kill

`at` is CLOCK_MONOTONIC: one for all processes of a machine. Bytes are base64. The lines hold whatever crosses the
daemon, a life's entropy too: for tests, never for a device in service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocol.effects import Action, Now, Store
from protocol.messages import AnyMessage

VARIABLE = "SKERRY_TRACE"


class Trace(Protocol):
    """What a driver tells, each thing as soon as it is true."""

    def begun(self) -> None:
        """A core was made from the store."""
        ...

    def took(self, event: object, now: Now) -> None:
        """The core has handled `event`."""
        ...

    def stored(self, ops: Sequence[Store]) -> None:
        """One transaction is committed."""
        ...

    def sent(self, peer: str, message: AnyMessage) -> None:
        """The transport has `message`."""
        ...

    def acted(self, action: Action) -> None:
        """The executor has `action`."""
        ...

    def ended(self, how: str) -> None:
        """The core is no more: `stop`, or `store` when its store failed."""
        ...
