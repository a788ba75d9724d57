"""One override that is asked back of a region below, and what comes of it (the kinds are those of the audit):

override.given-back   the region reports it no longer, while it had life left
override.kept         another one stands there by now
override.over         nobody gave it back: its own life was over first, or the region is not this hub's any more, or
                      the life that any override can have was over, and nothing was heard of it
"""

from __future__ import annotations

import msgspec

from protocol import documents
from protocol.errors import RemoteProtocolError
from protocol.link.roster.brief import OverrideMark

PREFIX = "recall/"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One recall for a hub below this one. `own`: asked here, else by a hub above; `until_ms`: nobody waits longer.

    `life_ms`: when the override itself is over, by the clock of the hub that has it; 0: not known, or never.
    """

    document: documents.Recall
    own: bool
    until_ms: int
    life_ms: int = 0


def came_of(asked: Asked, mark: OverrideMark | None, is_whole: bool, now_ms: int) -> tuple[str, str]:
    """Return what came of it, and why it is over; "" while that is open.

    `mark` is what the region reports of that resource now; `is_whole`: its report names all overrides.
    """
    if mark is not None and mark.since_ms != asked.document.since_ms:
        return "kept", ""
    if mark is None and is_whole:
        return ("over", "its life was over first") if 0 < asked.life_ms <= now_ms else ("given-back", "")
    if now_ms < asked.until_ms:
        return "", ""
    return "over", "nothing was heard of it for as long as an override can last"


def item(key: str, at: str) -> str:
    """Return the id of the document that asks the hub `at` for its override of `key`."""
    return f"{PREFIX}{key}/{at}"


def read(wanted: str, raw: bytes) -> documents.Recall | None:
    """Return the recall in `raw` if it is the item `wanted`; what cannot be read asks for nothing."""
    try:
        document = documents.decode(raw)
    except RemoteProtocolError:
        return None
    return document if isinstance(document, documents.Recall) and documents.document_id(document) == wanted else None
