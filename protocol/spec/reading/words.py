"""Pydantic's errors in the words of a person who writes these files."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from protocol.spec import quantities
from protocol.spec.mistakes import Finding, Path, suggestion

_WANTED = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def a(value: object) -> str:
    """Return what `value` is, short, as an error says it."""
    return quantities.shown(value)


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Yield each error as a finding; an unknown field gets the closest of the fields that there are."""
    for item in error.errors(include_url=False):
        path: Path = item["loc"]
        at_key = path[-1:] == ("[key]",)
        if at_key:
            path = path[:-1]
        yield _finding(item["type"], path, item, model, at_key)


def _finding(kind: str, path: Path, item: Any, model: type[BaseModel], at_key: bool) -> Finding:
    context: dict[str, Any] = item.get("ctx", {})
    value = item["input"]
    match kind:
        case "extra_forbidden":
            known = _fields(model, path[:-1])
            return Finding(path, f"no such field{suggestion(str(path[-1]), known) or _among(known)}", at_key=True)
        case "missing":
            return Finding(path, f'"{path[-1]}" is missing')
        case "value_error":
            return Finding(path, str(context["error"]), at_key)
        case "literal_error":
            choices = str(context["expected"]).replace("'", "")
            hint = suggestion(str(value), choices.replace(" or ", ", ").split(", "))
            return Finding(path, f"{a(value)} is not known here: write {choices}{hint}")
        case "too_short":
            return Finding(path, "is empty: write at least one")
        case "too_long":
            return Finding(path, f"has too many items: at most {context['max_length']} are allowed")
        case _ if kind in _WANTED:
            return Finding(path, f"write {_WANTED[kind]}, not {a(value)}", at_key)
        case _:
            return Finding(path, f"{a(value)}: {str(item['msg']).replace('Input should', 'it should')}", at_key)


def _among(known: list[str]) -> str:
    return f"; there are {', '.join(known)}" if known else ""


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """Return the names of the fields that may stand at `path`."""
    here: Any = model
    for part in path:
        if isinstance(part, str) and isinstance(here, type) and issubclass(here, BaseModel):
            named = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = named.get(str(part))
        here = _inner(here)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _inner(annotation: Any) -> Any:
    """Return the model inside `Model | None`, `list[Model]` or `Annotated[…]`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _inner(argument)
        if found is not None:
            return found
    return None
