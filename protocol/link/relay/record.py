"""What came of one stream of one origin in one epoch, as it is stored."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from protocol.link import parent_entries
from protocol.link.parent_entries import Place
from protocol.link.relay.missing import Missing, Why, add
from protocol.messages import FormerEpoch


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What came of one stream of one origin in one epoch. Hashes are hex, "" when it is unchained."""

    at: str
    """Its address below this hub, as last heard."""
    seq: int
    hash: str
    since: int
    """Counts records in the order in which they began."""
    again: int = 0
    """Rows up to here may have come under another epoch, and are stored only when they have not."""
    former: str = ""
    """The epoch that this one goes on from, with some of its rows."""
    key: str = ""
    """The SHA-256 of the key that its GAPs are signed with, since the first one."""
    forked: str = ""
    """The child hub whose rows contradict what is held."""
    accepted: bool = False
    """An operator has looked: what comes next goes on, beyond a hole."""
    aside: int = 0
    closed: int = 0
    """Missing rows that are only counted any more."""
    missing: list[Missing] = []

    def go_on(self, place: tuple[int, str]) -> bool:
        """Go on at `place`, (seq, hash), if that lies beyond: what is between is a hole. Tell whether it does."""
        if place[0] <= self.seq:
            return False
        self.closed += add(self.missing, Missing(self.seq + 1, place[0], self.hash, place[1], Why.HOLE))
        self.seq, self.hash = place
        return True

    def met(self, held: parent_entries.Record | None, again: int) -> None:
        """Take over what its node brought here itself (`held`). Rows up to `again` came under epochs that go on from
        this one."""
        if held is not None and held.seq > self.seq:
            self.go_on((held.base, held.base_hash))
            self.seq, self.hash = held.seq, held.hash
        self.allow(max(again, held.again if held is not None else 0))

    @property
    def reach(self) -> int:
        """Return up to which row those of this epoch may be here, under whatever epoch they came."""
        return max(self.seq, self.again)

    def allow(self, upto: int) -> bool:
        """Rows up to `upto` may have come, or come yet, under another epoch; tell whether that was not known."""
        if upto <= self.reach:
            return False
        self.again = upto
        return True

    def shared(self, was: FormerEpoch, is_chained: bool) -> Place:
        """Return how far the rows of an epoch that went on from this one after `was` came under this one; (0, ""): none
        that is proven. What has still to come of this one may come under that one first."""
        if self.seq == was.seq and self.hash != was.hash:
            return 0, ""
        if self.seq < was.seq and is_chained:
            self.again = max(self.again, was.seq)
        return (self.seq, self.hash) if self.seq <= was.seq else (was.seq, was.hash)


def key_hash(key: str) -> str:
    """Return the SHA-256 (hex) of a key as a GAP names it (SPKI, DER, base64)."""
    try:
        return hashlib.sha256(base64.b64decode(key, validate=True)).hexdigest()
    except (binascii.Error, ValueError):
        return "no key"


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Record).decode
