"""What all of the operator's documents share: their frame, and the small types that people write.

Every type has one way to be kept (seconds, bytes, text) and one canonical way to be written back, so that the same
wish always has the same JSON. Texts of errors are for people; protocol.spec.load adds the place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from protocol import errors, ids, limits, selector
from protocol.spec.quantities import shown

API_VERSION = "skerry/v1"


class Model(BaseModel):
    """The base of everything in a document: unknown fields are mistakes, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


# ------------------------------------------------------------------------------------------------ texts


def text_of(value: object) -> object:
    """Return a scalar as the text that stands in the file (`5`, `1.10`, `true`); anything else as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(getattr(value, "text", value))
    return value


def fitting(pattern: str, rule: str) -> AfterValidator:
    """Return what refuses a text that `pattern` (ASCII) does not match as a whole; `rule`: `is no ...: write ...`."""
    matcher = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if matcher.fullmatch(value) is None:
            raise ValueError(f"{shown(value)} {rule}")
        return value

    return AfterValidator(check)


def _whole(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text holds a NUL character, which no process can be given")
    return value


def _name(value: str) -> str:
    if not ids.is_name(value):
        raise ValueError(f"{shown(value)} is no name: write {ids.NAME_RULE}")
    return value


def _inside(value: str) -> str:
    parts = value.split("/")
    if value.startswith("/") or ".." in parts or "\0" in value:
        raise ValueError(f"{shown(value)} leaves the working directory: write a relative path that stays inside")
    return value


def _selector(value: str) -> str:
    try:
        return str(selector.parse(value))
    except errors.BadSelector as error:
        raise ValueError(str(error)) from error


def _label_key(value: str) -> str:
    if not selector.is_label_key(value):
        raise ValueError(f"{shown(value)} is no key of a label: write {selector.KEY_RULE}")
    return value


def _label_value(value: str) -> str:
    if not selector.is_label_value(value):
        raise ValueError(f"{shown(value)} is no value of a label: write {selector.VALUE_RULE}")
    return value


def _command(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f'write the command as a list: [{", ".join(value.split()[:6])}], or [sh, -c, "…"] for a shell')
    return value


Text = Annotated[str, BeforeValidator(text_of, json_schema_input_type=str | int | float | bool), AfterValidator(_whole)]
"""Any text; a bare number or boolean is taken as it is written."""
NameText = Annotated[str, BeforeValidator(text_of), AfterValidator(_name)]
_VARIABLE = fitting("[A-Za-z_][A-Za-z0-9_]*", "is no name of a variable: write letters, digits and _")
_OUTPUT = fitting("[A-Za-z_][A-Za-z0-9_-]{0,62}", "is no name of a value: write letters, digits, _ and - (at most 63)")
_USER = fitting("|[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}", "is no user: write a user's name or a uid")
VariableText = Annotated[str, _VARIABLE]
OutputText = Annotated[str, BeforeValidator(text_of), _OUTPUT]
UserText = Annotated[str, BeforeValidator(text_of), _USER]
InsideText = Annotated[str, AfterValidator(_inside)]
SelectorText = Annotated[str, BeforeValidator(text_of), AfterValidator(_selector)]
LabelKey = Annotated[str, BeforeValidator(text_of), AfterValidator(_label_key)]
Labels = Annotated[
    dict[
        LabelKey,
        Annotated[str, BeforeValidator(text_of), AfterValidator(_label_value)],
    ],
    Field(max_length=limits.LABELS_MAX),
]
Environment = dict[VariableText, Text]
Command = Annotated[list[Text], BeforeValidator(_command), Field(min_length=1)]


# ------------------------------------------------------------------------------------------------ the frame


class Metadata(Model):
    """Who this document is."""

    name: NameText
    labels: Labels = {}


class Resource(Model):
    """The base of every document that is declared at a hub."""

    api_version: Literal["skerry/v1"] = Field(default=API_VERSION, alias="apiVersion")
    kind: str
    metadata: Metadata

    @property
    def name(self) -> str:
        """The name it is known by, unique within its kind."""
        return self.metadata.name

    def to_json(self) -> dict[str, Any]:
        """Return the canonical JSON: what differs from the defaults, each value in its one way of being written."""
        frame = {"apiVersion": self.api_version, "kind": self.kind}
        dumped = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return frame | dumped
