"""Where something is to be: which regions, which nodes, how many of them, and how they are spread.

    placement: {regions: "continent=eu", selector: "gpu", count: 2 per region, spread: [region, site]}

`regions` selects among the child hubs of the hub where the document is declared, by their labels; without it every
region and the hub's own nodes are meant. What is counted per region counts the hub's own nodes as a region too.
"""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from protocol import limits
from protocol.spec import common
from protocol.spec.quantities import shown

_COUNT = re.compile(r"(?:total\s+)?([1-9]\d{0,8})|([1-9]\d{0,8})\s+per\s+region", re.ASCII)
_RULE = "write all, how many nodes (7, or total 7), or how many of each region (2 per region)"
REGION = "region"


@dataclass(frozen=True)
class Count:
    """How many nodes: `number` None is all of them; `per_region`: so many in each region, else so many in all."""

    number: int | None = None
    per_region: bool = False

    @staticmethod
    def read(value: object) -> Count:
        """Return the count that is written as `all`, `7`, `total 7` or `2 per region`. Raises ValueError."""
        if isinstance(value, Count):
            return value
        if value is None or value == "all":
            return Count()
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        found = _COUNT.fullmatch(text)
        if found is None:
            raise ValueError(f"{shown(value)} is no count: {_RULE}")
        return Count(int(found[1] or found[2]), per_region=found[1] is None)

    def written(self) -> int | str:
        """Return the one way of writing it; `read` reads it back."""
        if self.number is None:
            return "all"
        return f"{self.number} per region" if self.per_region else self.number

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        words = core_schema.str_schema(pattern=f"^(all|{_COUNT.pattern})$")
        return core_schema.no_info_plain_validator_function(
            cls.read,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.written),
            json_schema_input_schema=core_schema.union_schema([core_schema.int_schema(ge=1), words]),
        )


def _apart(keys: list[str]) -> list[str]:
    twice = next((key for at, key in enumerate(keys) if key in keys[:at]), None)
    if twice is not None:
        raise ValueError(f"{shown(twice)} stands twice: name each once, the one that matters most first")
    return keys


Spread = Annotated[list[common.LabelKey], Field(max_length=limits.SPREAD_KEYS_MAX), AfterValidator(_apart)]
"""`region` and keys of labels: what is counted is spread evenly over their values, the first before the second."""


class Placement(common.Model):
    """On which nodes: those that `selector` selects, `count` of them. An empty selector selects nobody."""

    selector: common.SelectorText
    regions: Annotated[common.SelectorText | None, Field(description="Which child hubs; absent: all, and here.")] = None
    count: Count = Count()
    spread: Spread = [REGION, "site"]
