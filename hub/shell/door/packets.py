"""Where one MQTT packet ends and the next begins (MQTT 5, 1.5.5 and 2.1). The packets themselves are mqtt5's."""

from __future__ import annotations

from protocol.errors import TooLarge

CONNECT = 0x10
_HEADER_BYTES_MAX = 5


def frame(data: memoryview, bytes_max: int) -> int:
    """Return the length of the first packet of `data`, header included, or 0 while that is not known.

    Raises TooLarge as soon as the header announces more than `bytes_max` (before anything is kept), ValueError
    when the length is malformed.
    """
    length, shift = 0, 0
    for at in range(1, min(len(data), _HEADER_BYTES_MAX)):
        byte = data[at]
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            total = at + 1 + length
            if total > bytes_max:
                raise TooLarge(f"an MQTT packet of {total} bytes is over {bytes_max}")
            return total
        shift += 7
    if len(data) >= _HEADER_BYTES_MAX:
        raise ValueError("the length of an MQTT packet takes at most 4 bytes")
    return 0


def protocol_level(connect: memoryview) -> int:
    """Return the protocol level of a whole CONNECT (4: MQTT 3.1.1, 5: MQTT 5), or 0 when there is none."""
    at = 2
    while at < len(connect) and connect[at - 1] & 0x80:
        at += 1
    name_bytes = int.from_bytes(connect[at : at + 2], "big")
    level = at + 2 + name_bytes
    return connect[level] if level < len(connect) else 0


CONNACK_3 = bytes((0x20, 0x02, 0x00, 0x01))
"""What a client of MQTT 3 understands: unacceptable protocol version (MQTT 3.1.1, 3.2.2.3)."""
