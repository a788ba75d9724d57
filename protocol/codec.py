"""Bytes <-> message: the only serializer of a link.

JSON by msgspec, so that anyone can look with an ordinary MQTT client; zstd above limits.COMPRESS_BYTES_MIN. The first
byte tells: `{` is plain, zstd's magic is compressed. Sizes are checked before parsing, that of the decompressed bytes
included (INVARIANTS C10). Rows cross as the very bytes that are stored and hashed: msgspec.Raw is never re-encoded.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from protocol import limits, messages
from protocol.errors import LocalProtocolError, RemoteProtocolError, TooLarge
from protocol.topics import Direction

if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor  # loaded when first needed: a quiet device never needs it

UP = Direction.UP
DOWN = Direction.DOWN

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_LEVEL = 1  # rows are small and alike: higher levels cost more than the link gains

_encoder = msgspec.json.Encoder()
_from_child: msgspec.json.Decoder[messages.FromChild] = msgspec.json.Decoder(messages.FromChild)
_from_parent: msgspec.json.Decoder[messages.FromParent] = msgspec.json.Decoder(messages.FromParent)


def encode(message: messages.Message) -> bytes:
    """Return the bytes of `message`. Raises LocalProtocolError when they are over limits.MESSAGE_BYTES_MAX."""
    raw = _encoder.encode(message)
    if len(raw) > limits.MESSAGE_BYTES_MAX:
        name = type(message).__name__
        raise LocalProtocolError(f"{name} of {len(raw)} bytes is over {limits.MESSAGE_BYTES_MAX}: send it in parts")
    if len(raw) < limits.COMPRESS_BYTES_MIN:
        return raw
    return _compressor().compress(raw)


def decode(payload: bytes, direction: Direction) -> messages.AnyMessage:
    """Return the message in `payload`, which came `direction`-wards. Raises TooLarge or RemoteProtocolError only."""
    if len(payload) > limits.MESSAGE_BYTES_MAX:
        raise TooLarge(f"a message of {len(payload)} bytes is over {limits.MESSAGE_BYTES_MAX}")
    raw = _decompressed(payload) if payload.startswith(_ZSTD_MAGIC) else payload
    decoder = _from_child if direction is UP else _from_parent
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not a message {direction.value}wards: {error}") from error


@cache
def _compressor() -> ZstdCompressor:
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL)


@cache
def _decompressor() -> ZstdDecompressor:
    import zstandard

    return zstandard.ZstdDecompressor()


def _decompressed(payload: bytes) -> bytes:
    import zstandard

    try:
        size = zstandard.frame_content_size(payload)
        if size > limits.MESSAGE_BYTES_MAX:
            raise TooLarge(f"a message of {size} bytes when decompressed is over {limits.MESSAGE_BYTES_MAX}")
        if size < 0:
            raise RemoteProtocolError("a compressed message must declare its size")
        return _decompressor().decompress(payload, max_output_size=limits.MESSAGE_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise RemoteProtocolError(f"a compressed message that does not decompress: {error}") from error
