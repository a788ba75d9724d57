"""Newline-delimited JSON: one object a line; an empty line only says that the stream lives."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse

from protocol.errors import SkerryError

MEDIA_TYPE = "application/x-ndjson"
_encoder = msgspec.json.Encoder()


def line(data: object) -> bytes:
    """Return `data` as one line."""
    return _encoder.encode(data) + b"\n"


def stream(source: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the response that sends what `source` yields. What fails under way is the last line: {"error": ...}."""
    return StreamingResponse(_guarded(source), media_type=MEDIA_TYPE)


async def _guarded(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in source:
            if chunk:
                yield chunk
    except SkerryError as error:
        yield line({"error": str(error)})
