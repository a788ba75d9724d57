"""The agent itself: what it says while it runs, and what its journal remembers while it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.core.doctor.facts import Resting, Running
from edge_agent.core.upward.contact import Kept
from protocol.aio.checkup import stores
from protocol.errors import Refused, SkerryError


def state(data: Path, ask: Callable[[], Running]) -> Running | Resting:
    """Return what the agent in `data` says, or what is known without it. Raises Refused when one may not ask."""
    try:
        return ask()
    except Refused:
        raise
    except SkerryError as error:
        journal = data / "journal.db"
        kept = _kept(stores.state(journal, "agent", "contact"))
        return Resting(
            why=str(error), holder=stores.holder(journal), standing=kept.standing, contact_ms=kept.contact_ms
        )


def _kept(raw: bytes) -> Kept:
    try:
        return msgspec.json.decode(raw or b"{}", type=Kept)
    except msgspec.DecodeError:
        return Kept()  # the journal's own check says what is wrong with it
