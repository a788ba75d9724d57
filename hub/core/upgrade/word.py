"""Whose word an Upgrade is: the root's alone (protocol.trust.releases).

A region hands its nodes the very document that the root signed, in waves of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.core.registry import Refusal
from hub.core.work.declared import Compiled
from protocol import documents
from protocol.effects import Effects, Now, Put
from protocol.snapshot import Snapshot
from protocol.trust import releases

if TYPE_CHECKING:
    from hub.core.hub import HubCore

KIND = "upgrade"
_SPACE = "said"


class Word:
    """Signs; the highest number is kept, for devices follow no lower one (INVARIANTS A10)."""

    def __init__(self, snapshot: Snapshot, core: HubCore) -> None:
        self._core = core
        self._number = int(snapshot.spaces.get(_SPACE, {}).get(KIND, b"0"))

    def check(self, one: Compiled) -> None:
        """Raise Refusal (403) if `one` is an Upgrade and this hub is not the root."""
        if one.kind == KIND and self._core.up is not None:
            raise Refusal(f"{one.key}: which version agents are of, the root hub says: apply it there", 403)

    def signed(self, one: Compiled, now: Now, fx: Effects) -> Compiled:
        """Return an Upgrade as the word of this hub, which is the root; anything else as it is."""
        if not isinstance(one.document, documents.Upgrade):
            return one
        self._number = max(self._number + 1, int(now.wall))  # also above all that a restored hub forgot
        fx.store.append(Put(_SPACE, KIND, b"%d" % self._number))
        bare = msgspec.structs.replace(one.document, number=self._number, by=self._core.node)
        return msgspec.structs.replace(one, document=releases.sign(bare, self._core.signer))
