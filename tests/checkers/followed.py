"""What a device follows, as its own disk says: the manifest, but for what a hold keeps away, and what is its own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge_agent.core.person import hold, own
from protocol import documents
from protocol.link import child_desired

Spaces = Mapping[str, Mapping[str, bytes]]

HOLD = ("agent", "hold")
OWN = "own"
_STAYS = ("assignment/", "fence/", "workflow/", "upgrade/")

_decode_manifest = msgspec.json.Decoder(child_desired.Manifest).decode
decode_hold = msgspec.json.Decoder(hold.Kept).decode
_decode_own = msgspec.json.Decoder(own.Declared).decode


def items(spaces: Spaces) -> dict[str, str]:
    """Return document id -> digest of all that is followed."""
    asked = {
        key: digest
        for raw in spaces.get(child_desired.MANIFEST, {}).values()
        for key, digest in _decode_manifest(raw).items.items()
    }
    held = of_hold(spaces)
    if held is not None:
        passes = {key: digest for key, digest in asked.items() if not key.startswith(_STAYS)}
        asked = passes | {key: documents.digest_of(raw) for key, raw in held.items()}
    return asked | {key: documents.digest_of(of_own(raw)) for key, raw in spaces.get(OWN, {}).items()}


def document(spaces: Spaces, key: str) -> bytes | None:
    """Return the document that is followed under `key`; None: none is, or it is not known."""
    own = spaces.get(OWN, {}).get(key)
    if own is not None:
        return of_own(own)
    held = of_hold(spaces)
    if held is not None and key.startswith(_STAYS):
        return held.get(key)
    known = spaces.get(child_desired.DOCUMENT, {})
    digests = (_decode_manifest(raw).items.get(key, "") for raw in spaces.get(child_desired.MANIFEST, {}).values())
    return next((known[one] for one in digests if one in known), None)


def of_hold(spaces: Spaces) -> dict[str, bytes] | None:
    """Return the documents that a hold keeps in force; None: nobody holds."""
    raw = spaces.get(HOLD[0], {}).get(HOLD[1])
    return None if raw is None else {key: bytes(one) for key, one in decode_hold(raw).documents.items()}


def of_own(raw: bytes) -> bytes:
    """Return the document in a record of what was declared at a device."""
    return bytes(_decode_own(raw).document)
