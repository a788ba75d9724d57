"""A hub's answer, which may lack what this command knows: the hub is older, or newer, than the command."""

from __future__ import annotations

import importlib.metadata
import json
from typing import Any

from protocol.errors import SkerryError


class FieldMissing(SkerryError, KeyError):
    """The hub's answer has no such field."""

    def __str__(self) -> str:
        return f'the hub\'s answer lacks "{self.args[0]}"'


class Answer(dict[str, Any]):
    """A JSON object of a hub; a field that it lacks is the hub's matter, no mistake of ours."""

    def __missing__(self, field: str) -> Any:
        raise FieldMissing(field)


def read(raw: bytes | str) -> Any:
    """Return the JSON value in `raw`."""
    return json.loads(raw, object_hook=Answer)


def versions(theirs: str) -> str:
    """Return the sentence that names both versions; `theirs` is empty when the hub does not tell."""
    ours = importlib.metadata.version("skerry")
    both = f"the hub is of version {theirs or 'unknown'}, this command of {ours}"
    if theirs == ours:
        return f"{both}: is it a build of its own, or does something stand in between?"
    return f"{both}: use the skerry that belongs to the hub, or upgrade the hub"
