"""What an entry of this device says, in a line; `-o wide` and `-o json` leave nothing out."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from rich.text import Text

from edge_agent.cli import human, view
from protocol.doctor import words

VALUE_CHARS_MAX = 60


def line(one: dict[str, Any], *, whole: bool = False) -> Text:
    """Return one entry; unless `whole`, without what its key says, and long values cut."""
    where = f"{one['stream']:<7} " if whole else ""
    text = f"{human.stamp(one['time'])}  {where}{one['kind']:<18} {one['key']}  {_body(one, whole)}"
    return Text(view.clean(text.rstrip()))


def _body(one: dict[str, Any], whole: bool) -> str:
    if whole or not isinstance(one["body"], dict):
        return msgspec.json.encode(one["body"]).decode()
    body = cast("dict[str, Any]", one["body"])
    if one["kind"] == "vitals":
        return ", ".join(words.vitals(body))
    shown = {name: value for name, value in body.items() if not (name in ("id", "run") and value == one["key"])}
    return " ".join(f"{name}={_value(name, value)}" for name, value in shown.items())


def _value(name: str, value: object) -> str:
    if name == "steps" and isinstance(value, list):
        return str(len(cast("list[object]", value)))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text.rstrip("\n").replace("\n", "↵")
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}…"
