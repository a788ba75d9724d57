"""One sample of every message, with every field set: what tests/golden/messages pins the bytes of.

A changed byte is a changed wire: `python -m tests.golden.samples` writes the files anew, and the diff is for review.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import codec, messages
from protocol.link import cursor
from protocol.trust.gaps import GapSigner

HERE = Path(__file__).parent / "messages"

_HASH = "ab" * 32
_DIGEST = f"sha256:{_HASH}"
_EPOCH = "0123456789abcdef"
_HELD = messages.Held(term=1, generation=12, digest=_DIGEST)
_ROW = msgspec.Raw(b'[7,1700000000000,"service.started","line-vision",{"pid":4711}]')
_DEVICE = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
_LOST = messages.GapBody(first=3, last=6, count=4, reason="the quota of the stream is full", hash=_HASH)
_GAP = msgspec.Raw(cursor.encode_gap(6, 1_700_000_000_000, GapSigner(_DEVICE).sign("gw-1", _EPOCH, "state", _LOST)))
_SIGNED = messages.Signed(
    parent="cloud", child="gw-1", term=1, generation=12, digest=_DIGEST, key="k1", signature="c2ln"
)

SAMPLES: list[messages.AnyMessage] = [
    messages.Hello(
        session=3,
        nonce="00ff",
        node="gw-1",
        version="0.1.0",
        capabilities=["process"],
        labels={"site": "oslo"},
        streams={
            "state": messages.StreamHead(
                epoch=_EPOCH,
                seq=9,
                hash=_HASH,
                first=2,
                was=messages.FormerEpoch(epoch="f" * 16, seq=4, hash=_HASH, reason="restored", lost=2),
                base=1,
                base_hash=_HASH,
            ),
            "logs": messages.StreamHead(epoch=_EPOCH, seq=0),
        },
        held=_HELD,
        time_ms=1_700_000_000_000,
    ),
    messages.Status(
        session=3,
        count=2,
        held=_HELD,
        heads={"state": 9},
        time_ms=1_700_000_000_000,
        body=msgspec.Raw(b'{"lost":{}}'),
        leases=["line-vision"],
    ),
    messages.Roster(
        session=3,
        number=2,
        put={"oslo/gw-7": msgspec.Raw(b'{"state":"online"}')},
        gone=["oslo/gw-8"],
        whole=True,
        last=True,
    ),
    messages.Entries(session=3, stream="state", epoch=_EPOCH, prev=2, rows=[_GAP, _ROW], hash=_HASH),
    messages.Need(session=3, documents=[_DIGEST], tickets=[_DIGEST], manifest=True),
    messages.Renew(session=3, csr="-----BEGIN CERTIFICATE REQUEST-----"),
    messages.Answer(session=3, id="a1", part=1, last=True, data=msgspec.Raw(b'["line"]')),
    messages.Bye(session=3, nonce="00ff", reason="stopped"),
    messages.Welcome(
        incarnation="life-1",
        session=3,
        nonce="00ff",
        parent="cloud",
        cursors={"state": messages.Cursor(epoch=_EPOCH, seq=6, hash=_HASH, credit=8000)},
        time_ms=1_700_000_000_000,
        contact_s=60.0,
        chain="PEM",
        version="0.1.0",
        renew_only=True,
        refused="a second device uses this node's identity",
    ),
    messages.Look(incarnation="life-1", session=9),
    messages.Desired(
        incarnation="life-1",
        session=3,
        signed=_SIGNED,
        base=_DIGEST,
        put={"task/t1": _DIGEST},
        gone=["task/t0"],
        documents=[msgspec.Raw(b'{"is":"task","id":"t1","command":["true"]}')],
    ),
    messages.Documents(
        incarnation="life-1",
        session=3,
        documents=[msgspec.Raw(b'{"is":"task","id":"t1"}')],
        tickets={_DIGEST: "ticket"},
        missing=[_DIGEST],
    ),
    messages.EntriesAck(
        incarnation="life-1",
        session=3,
        stream="state",
        epoch=_EPOCH,
        seq=9,
        hash=_HASH,
        credit=8000,
        refill=True,
        fork=True,
    ),
    messages.RosterAck(incarnation="life-1", session=3, number=2),
    messages.Leases(incarnation="life-1", session=3, count=2, granted={"line-vision": 120.0}),
    messages.Renewed(incarnation="life-1", session=3, certificate="PEM", refused=""),
    messages.Revoked(
        incarnation="life-1",
        parent="cloud",
        child="gw-1",
        time_ms=1_700_000_000_000,
        reason="stolen",
        key="k1",
        signature="c2ln",
    ),
    messages.Ask(
        incarnation="life-1",
        session=3,
        id="a1",
        deadline_ms=1_700_000_030_000,
        what="logs",
        params={"service": "line-vision"},
        at="oslo/gw-7",
    ),
]


def name(message: messages.AnyMessage) -> str:
    """Return the file that pins `message`."""
    return f"{type(message).__name__.lower()}.json"


def plain(message: messages.AnyMessage) -> bytes:
    """Return the bytes of `message` before any compression, with the newline that a text file ends in."""
    raw = codec.encode(message)
    assert raw.startswith(b"{"), "samples are small enough to cross as they are"
    return raw + b"\n"


def rewrite() -> None:
    """Write all files anew."""
    HERE.mkdir(exist_ok=True)
    for message in SAMPLES:
        (HERE / name(message)).write_bytes(plain(message))


if __name__ == "__main__":
    rewrite()
