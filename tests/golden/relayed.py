"""One sample of every row of the stream `relay`, with every field set: what tests/golden/relay pins the bytes of.

A changed byte is a changed wire: `python -m tests.golden.relayed` writes the files anew, and the diff is for review.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import messages
from protocol.link import cursor
from protocol.link.relay import runs, wrap
from protocol.trust.gaps import GapSigner

HERE = Path(__file__).parent / "relay"

HASH, EPOCH = "ab" * 32, "0123456789abcdef"
HUB = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
_ROWS = [b'[3,1700000000000,"service.started","line-vision",{"pid":4711}]', b'"bm8gZW50cnk="']
_PIECE = wrap.Piece(2, b"\xab" * 32, 4, b"\xcd" * 32, _ROWS, [1])
_GAP = messages.GapBody(first=5, last=6, count=2, reason="held back by policy", hash=HASH)
_HELD = runs.Held(at="dock/gw-1", epoch=EPOCH, stream="state", before=HASH, by="dock", gap=_GAP)
_TURN = runs.Turn(
    at="dock/gw-1",
    epoch="f" * 16,
    stream="state",
    seq=6,
    hash=HASH,
    former=EPOCH,
    ends=8,
    ends_hash=HASH,
    again=8,
    lost=2,
    reason="restored",
)


def samples() -> dict[str, bytes]:
    """Return the rows by the name of their file, with the newline that a text file ends in."""
    signed = GapSigner(HUB).sign("dock", EPOCH, _HELD.signed_as, _GAP)
    items = {
        "run": wrap.run_item("dock/gw-1", EPOCH, "state", _PIECE),
        "held": wrap.item(runs.HELD, msgspec.structs.replace(_HELD, gap=signed)),
        "epoch": wrap.item(runs.EPOCH, _TURN),
    }
    rows = cursor.encode_rows(0, b"", False, 1_700_000_000_000, list(items.values()))
    return {f"{name}.json": raw + b"\n" for name, (_, raw, _) in zip(items, rows, strict=True)}


def rewrite() -> None:
    """Write all files anew."""
    HERE.mkdir(exist_ok=True)
    for name, raw in samples().items():
        (HERE / name).write_bytes(raw)


if __name__ == "__main__":
    rewrite()
