"""Bytes <-> message: the only serializer of a link.

JSON by msgspec, so that anyone can look with an ordinary MQTT client; zstd above limits.COMPRESS_BYTES_MIN; packed
(protocol.link.flow.dense) where bytes cost. The first byte tells: `{` is plain, zstd's and zlib's magic are not. Sizes
are checked before parsing, that of the decompressed bytes included (INVARIANTS C10). Rows cross as the very bytes that
are stored and hashed: msgspec.Raw is never re-encoded.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from protocol import limits, messages
from protocol.errors import LocalProtocolError, RemoteProtocolError, TooLarge
from protocol.link.flow import dense
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
_text = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_pairs = bytes.maketrans(b"{}", b"[]")
_not_brackets = bytes(one for one in range(256) if one not in b"[]{}")


def encode(message: messages.Message, *, costly: bool = False) -> bytes:
    """Return the bytes of `message`, few of them when they are `costly`.

    Raises LocalProtocolError when they are over limits.MESSAGE_BYTES_MAX.
    """
    raw = _encoder.encode(message)
    if len(raw) > limits.MESSAGE_BYTES_MAX:
        name = type(message).__name__
        raise LocalProtocolError(f"{name} of {len(raw)} bytes is over {limits.MESSAGE_BYTES_MAX}: send it in parts")
    if costly and len(raw) <= limits.DENSE_BYTES_MAX:
        return dense.pack(raw)
    if len(raw) < limits.COMPRESS_BYTES_MIN:
        return raw
    packed = _compressor().compress(raw)
    return packed if len(packed) * limits.COMPRESSION_RATIO_MAX >= len(raw) else raw


def decode(payload: bytes, direction: Direction) -> messages.AnyMessage:
    """Return the message in `payload`, which came `direction`-wards. Raises TooLarge or RemoteProtocolError only."""
    if len(payload) > limits.MESSAGE_BYTES_MAX:
        raise TooLarge(f"a message of {len(payload)} bytes is over {limits.MESSAGE_BYTES_MAX}")
    raw = payload
    if payload.startswith(_ZSTD_MAGIC):
        raw = _decompressed(payload)
    elif payload.startswith(dense.MAGIC):
        raw = dense.unpack(payload)
    decoder = _from_child if direction is UP else _from_parent
    try:
        message = decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"not a message {direction.value}wards: {error}") from error
    opaque = message.body if isinstance(message, messages.Status) else b""
    opaque = message.data if isinstance(message, messages.Answer) else opaque
    if opaque and is_deep(bytes(opaque)):
        raise RemoteProtocolError(f"a message whose body nests deeper than {limits.JSON_DEPTH_MAX}")
    return message


def size_of(payload: bytes) -> int:
    """Return how many bytes `payload` is when it is decompressed, as it says or at most: what it costs to hold."""
    if payload.startswith(dense.MAGIC):
        return limits.DENSE_BYTES_MAX
    if not payload.startswith(_ZSTD_MAGIC):
        return len(payload)
    import zstandard

    try:
        return max(len(payload), zstandard.frame_content_size(payload))
    except zstandard.ZstdError:
        return len(payload)


def is_deep(raw: bytes) -> bool:
    """Tell whether `raw`, which is one whole JSON value, nests deeper than limits.JSON_DEPTH_MAX.

    A reader that descends into it would run out of stack, and at a depth that depends on who calls it: what one part
    of a process could read would end another. So depth is bounded where bytes come in, before anything descends.
    """
    if raw.count(b"[") + raw.count(b"{") <= limits.JSON_DEPTH_MAX:
        return False
    left = _text.sub(b"", raw).translate(_pairs, _not_brackets)
    for _ in range(limits.JSON_DEPTH_MAX):  # each round takes the innermost pairs away
        left = left.replace(b"[]", b"")
        if not left:
            return False
    return True


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
        if size > len(payload) * limits.COMPRESSION_RATIO_MAX:
            raise RemoteProtocolError(
                f"a message that shrinks by more than {limits.COMPRESSION_RATIO_MAX} crosses plain"
            )
        return _decompressor().decompress(payload, max_output_size=limits.MESSAGE_BYTES_MAX)
    except zstandard.ZstdError as error:
        raise RemoteProtocolError(f"a compressed message that does not decompress: {error}") from error
