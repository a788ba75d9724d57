"""What the core's link asks of trust: the parent's words are checked by the anchor, GAPs are signed with our key.

The key is read when a life begins; what signs is loaded when rows are first lost: it costs a megabyte.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from protocol import messages
from protocol.errors import TrustError
from protocol.link.anchor import ProvenAnchor

if TYPE_CHECKING:
    from protocol.trust.gaps import GapSigner


class DeviceTrust:
    """protocol.link.events.ChildTrust of this device."""

    def __init__(self, anchor: ProvenAnchor, data: Path) -> None:
        """Raises TrustError when the key cannot be read."""
        self.learn = anchor.learn
        self.check_manifest = anchor.check_manifest
        self.check_revoked = anchor.check_revoked
        self.check = anchor.check
        self._signer: GapSigner | None = None
        try:
            self._pem = (data / "key.pem").read_bytes()
        except OSError as error:
            raise TrustError(
                f"cannot read {data}/key.pem ({error.strerror}): run as the user that enrolled this device"
            ) from error

    def sign_gap(self, node: str, epoch: str, stream: str, body: messages.GapBody) -> messages.GapBody:
        """Return `body` signed with this device's key."""
        if self._signer is None:
            from protocol.trust.gaps import GapSigner

            self._signer = GapSigner(self._pem)
        return self._signer.sign(node, epoch, stream, body)
