"""What being cut off means for a service: on a device that its hub cannot reach, at a region that its parent cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from protocol import limits
from protocol.spec import common, quantities


@dataclass(frozen=True)
class After:
    """Marks seconds or None: `idle` is written for None, `{deed: 24h}` (or "deed: 24h") for a time."""

    idle: str
    deed: str

    def read(self, value: object) -> float | None:
        """Return the seconds of `value`, None for `idle`. Raises ValueError."""
        if value is None or value == self.idle:
            return None
        if isinstance(value, str) and value.startswith(self.deed):
            value = {self.deed: value.removeprefix(self.deed).lstrip(": ")}
        found = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if list(found) != [self.deed]:
            wanted = f"{self.idle}, or {{{self.deed}: 24h}}"
            raise ValueError(f"{quantities.shown(cast('object', value))} is not known here: write {wanted}")
        return quantities.Seconds(limits.DISCONNECT_S_MIN).read(found[self.deed])

    def written(self, seconds: float | None) -> str | dict[str, str]:
        """Return the one way of writing it; `read` reads it back."""
        return self.idle if seconds is None else {self.deed: quantities.format_duration(seconds)}

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        field = core_schema.typed_dict_field(core_schema.str_schema())
        either = [core_schema.literal_schema([self.idle]), core_schema.typed_dict_schema({self.deed: field})]
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self.written),
            json_schema_input_schema=core_schema.union_schema([*either, core_schema.str_schema()]),
        )


OnReturn = Literal["keep_original", "keep_replacement", "keep_newest", "keep_both"]


class Disconnect(common.Model):
    """`device`: what an agent does that hears nothing of its hub; `hub`: what a hub does that hears nothing of a node.

    `on_return` decides between a copy that comes back and the one that was started for it. `at_most_one`: there are
    never two, at the price that the device stops when its lease ends (INVARIANTS A20).
    """

    device: Annotated[float | None, After("keep", "stop_after")] = None
    hub: Annotated[float | None, After("wait", "replace_after")] = None
    on_return: OnReturn = "keep_original"
    at_most_one: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Disconnect:
        if self.at_most_one and self.on_return == "keep_both":
            raise ValueError("at_most_one and on_return: keep_both contradict each other: leave one of them out")
        return self
