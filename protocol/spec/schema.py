"""The JSON Schema of the operator's language, for editors: completion, and a red line before `skerry apply` says it."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter

from protocol.spec.load import KINDS, AnyResource


def schema() -> dict[str, Any]:
    """Return the schema of one document of any kind."""
    adapter: TypeAdapter[AnyResource] = TypeAdapter(Annotated[AnyResource, Field(discriminator="kind")])
    made = adapter.json_schema(by_alias=True, mode="validation")
    for name in KINDS:
        made["$defs"][name]["required"] = ["apiVersion", "kind", "metadata", "spec"]
    _drop_defaults(made)
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Skerry"}
    return title | made


def _drop_defaults(node: object) -> None:
    """Take out the defaults: they are in our units (seconds, bytes), not in what one may write."""
    if isinstance(node, dict):
        found = cast("dict[str, object]", node)
        if "title" in found and "properties" not in found:
            found.pop("default", None)
        for value in found.values():
            _drop_defaults(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            _drop_defaults(value)
