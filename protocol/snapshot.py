"""What a store holds at the moment a core is built from it. Pure: the journal fills it, the cores read it."""

from __future__ import annotations

import msgspec

from protocol.messages import FormerEpoch


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """Where one of our own streams stands.

    Rows `first`..`last` are on the disk (`first` is `last` + 1 when there are none). `hash` is that of row `last`
    (b"" when nothing was ever chained). `acked` is the parent's cursor as last heard. `segments` sums the stored bytes:
    `(first, last, bytes)` of at most limits.SEGMENT_ROWS rows each, ascending. `former` is set as long as this epoch is
    the successor of another one in the same file.
    """

    epoch: str
    first: int = 1
    last: int = 0
    hash: bytes = b""
    acked: int = 0
    segments: list[tuple[int, int, int]] = []
    former: FormerEpoch | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A whole store, but for the rows. `clean` tells whether the last life ended in order."""

    node: str
    streams: dict[str, StreamState] = {}
    spaces: dict[str, dict[str, bytes]] = {}
    clean: bool = True


STORE = "store"
DOUBT = "doubt"


class Doubt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why this store may be behind its own past; in space `store` under `doubt` until the core has acted on it.

    `aside`: the name that a damaged file was given. `lost`: rows of own streams that are known to be gone. `unknown`:
    the last seq known of each stream whose end cannot be read; rows after it, if there were any, are lost. `partial`:
    some of the state could not be read, so that what is absent from it proves nothing (INVARIANTS A11).
    """

    reason: str
    at_ms: int = 0
    aside: str = ""
    lost: dict[str, int] = {}
    unknown: dict[str, int] = {}
    partial: bool = False
    in_place: bool = False
    """It is the file that it was, on the machine that it was: nobody else can be using what it remembers (A13)."""


_decode_doubt = msgspec.json.Decoder(Doubt).decode


def doubt(snapshot: Snapshot) -> Doubt | None:
    """Return the doubt that the store was opened with, or None."""
    stored = snapshot.spaces.get(STORE, {}).get(DOUBT)
    return None if stored is None else _decode_doubt(stored)
