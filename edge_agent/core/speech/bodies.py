"""Bodies of what workloads say: what nobody could read is refused where it is said."""

from __future__ import annotations

import msgspec

from protocol import codec, limits
from protocol.errors import Refused

_outputs = msgspec.json.Decoder(dict[str, str])


def check(body: bytes) -> None:
    """Refuse what a reader, here or above, could not read: there it would be poison, or worse."""
    if codec.is_deep(body):
        raise Refused(f"a body nests deeper than {limits.JSON_DEPTH_MAX}: nothing of its batch was kept")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"a body is not UTF-8 ({error.reason}): nothing of its batch was kept") from error


def outputs_of(body: bytes) -> dict[str, str]:
    """Return the outputs of a step in `body`. Raises Refused."""
    try:
        return _outputs.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(f"outputs are a map of strings: {error}") from error


def too_large(size: int) -> str:
    """Return why an item of `size` bytes is refused."""
    return (
        f"an item of {size} bytes is over {limits.ENTRY_BYTES_MAX}, or its kind and key over "
        f"{limits.ENTRY_NAME_BYTES_MAX}: nothing of its batch was kept; write large things to a file"
    )
