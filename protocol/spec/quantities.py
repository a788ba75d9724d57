"""Times and sizes as people write them: `30s`, `1s..5m`, `256Mi`; kept in one unit, written back in one way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from protocol import limits

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_UNITS_BYTES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 10**3, "M": 10**6, "G": 10**9}
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"([\d.]+)(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d{1,16}(?:\.\d{1,3})?)(Ki|Mi|Gi|Ti|k|M|G|)B?", re.ASCII)


def shown(value: object) -> str:
    """Return `value` as an error quotes it, short."""
    return f'"{str(value)[:80]}"' if isinstance(value, str | int | float) else f"a {_SHAPES.get(type(value), 'value')}"


_SHAPES: dict[type, str] = {dict: "mapping", list: "list", type(None): "null"}


def parse_duration(text: object) -> float:
    """Return the seconds in `30s`, `1h30m`, `250ms` or `0`. Raises ValueError."""
    if text == 0 and not isinstance(text, bool):
        return 0.0
    if not isinstance(text, str) or _DURATION.fullmatch(text) is None:
        hint = f'"{text}s"' if isinstance(text, int | float) else "a number and a unit: 250ms, 30s, 5m, 2h, 1d"
        raise ValueError(f"{shown(text)} is no duration: write {hint}")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _DURATION_PART.findall(text))


def format_duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that says it exactly; parse_duration reads it back."""
    milliseconds = round(seconds * 1_000)
    for unit, share in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % share == 0:
            return f"{milliseconds // share}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def parse_size(text: object) -> int:
    """Return the bytes in `256Mi`, `1.5Gi`, `500k` or a plain number, up to limits.INTEGER_MAX. Raises ValueError."""
    found = _SIZE.fullmatch(str(text)) if isinstance(text, str | int) and not isinstance(text, bool) else None
    if found is None:
        raise ValueError(f"{shown(text)} is no size: write a number and a unit: 512Ki, 256Mi, 2Gi")
    size = int(float(found[1]) * _UNITS_BYTES[found[2]])
    if not 0 < size <= limits.INTEGER_MAX:
        raise ValueError(f"{shown(text)} is out of bounds: write 1 to 8191Ti")
    return size


def format_size(size: int) -> str:
    """Return `size` in the largest binary unit that says it exactly; parse_size reads it back."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _UNITS_BYTES[unit] == 0:
            return f"{size // _UNITS_BYTES[unit]}{unit}"
    return str(size)


@dataclass(frozen=True)
class Seconds:
    """Marks a float of seconds that is written as a duration within `low`..`high`."""

    low: float = 0.0
    high: float = 365 * 86_400.0

    def read(self, value: object) -> float:
        """Return the seconds of `value`. Raises ValueError."""
        seconds = parse_duration(value)
        if not self.low <= seconds <= self.high:
            bounds = f"{format_duration(self.low)} to {format_duration(self.high)}"
            raise ValueError(f"{shown(value)} is out of bounds: write {bounds}")
        return seconds

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(format_duration),
            json_schema_input_schema=core_schema.str_schema(pattern=f"^({_DURATION.pattern}|0)$"),
        )


@dataclass(frozen=True)
class SpanSeconds:
    """Marks a pair (min, max) of seconds, written `1s..5m` (or `5s` for both)."""

    low: float
    high: float

    def read(self, value: object) -> tuple[float, float]:
        """Return the pair of `value`. Raises ValueError."""
        if not isinstance(value, str):
            raise ValueError(f'{shown(value)} is no span of time: write "1s..5m"')
        first, dots, last = value.partition("..")
        bound = Seconds(self.low, self.high)
        pair = bound.read(first.strip()), bound.read(last.strip() if dots else first.strip())
        if pair[0] > pair[1]:
            raise ValueError(
                f"{shown(value)}: the first is longer than the last; write {last.strip()}..{first.strip()}"
            )
        return pair

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(_format_span),
            json_schema_input_schema=core_schema.str_schema(pattern=r"^\S+\.\.\S+$|^\S+$"),
        )


def _format_span(pair: tuple[float, float]) -> str:
    return f"{format_duration(pair[0])}..{format_duration(pair[1])}"


class _Bytes:
    """Marks an int of bytes that is written as a size."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            parse_size,
            serialization=core_schema.plain_serializer_function_ser_schema(format_size),
            json_schema_input_schema=core_schema.str_schema(pattern=f"^{_SIZE.pattern}$"),
        )


Size = Annotated[int, _Bytes()]
"""Bytes, written `256Mi`."""
