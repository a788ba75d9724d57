"""What stands in a hub's streams `relay_CLASS`: runs of rows of one origin, untouched; what is held; where epochs turn.

A run carries many rows, for a wrapper around each would double the cost. Rows are the very bytes that their origin
stored and hashed (INVARIANTS A7); only rows that are no entries are spelled in base64, since nobody knows what is in
them. `at` is the origin's address below the hub that speaks; each hub on the way up prefixes it with its child's id.
"""

from __future__ import annotations

import msgspec

from protocol.messages import Address, Count, GapBody, Word

RUN, HELD, EPOCH = "relay", "relay.held", "relay.epoch"
"""Kinds of rows in these streams; their key is the origin's node id."""


def carrier(stream: str) -> str:
    """Return the stream of a hub that carries what its children told in `stream`, one of messages.CLASSES."""
    return f"relay_{stream}"


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose rows: the origin's address below the speaker, its epoch, its stream."""

    at: Address
    epoch: Word
    stream: Word

    @property
    def node(self) -> str:
        """Return the origin's node id."""
        return self.at.rpartition("/")[2]


class Run(About, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of one origin up to `last`, which follow row `prev`; the hashes (hex) of both, "" when it is unchained.

    The first row has seq `prev` + 1, or is a GAP that covers it. `odd`: which of `rows` are no entries, and base64.
    """

    prev: Count
    before: Word = ""
    last: Count
    hash: Word = ""
    odd: list[Count] = []
    rows: list[msgspec.Raw] = []


class Held(About, frozen=True, kw_only=True, omit_defaults=True):
    """Rows `gap.first`..`gap.last` stay at the hub `by`, which says why and signs; `before` is the hash before them.

    The signature is that of a GAP of the hub `by`, under the origin's epoch, of the stream that `signed_as` names.
    """

    before: Word = ""
    by: Word
    gap: GapBody

    @property
    def signed_as(self) -> str:
        """Return what binds the signature to the origin: no stream is called so, hence no GAP says the same."""
        return f"held/{self.node}/{self.stream}"


class Turn(About, frozen=True, kw_only=True, omit_defaults=True):
    """The origin goes on in `epoch`, after row `seq` with hash `hash`. The `former` epoch ended at `ends`.

    `again`: rows up to here may have come under former epochs. `lost` rows were given up, as the origin declares.
    """

    seq: Count
    hash: Word = ""
    former: Word = ""
    ends: Count = 0
    ends_hash: Word = ""
    again: Count = 0
    lost: Count = 0
    reason: Word = ""
