"""What an event says, in the words of a table; `-o wide` and `-o json` leave nothing out.

Devices, their workloads and regions say what they like: what is not as expected is shown as it came, and ends no list.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, cast

from hub.cli.view import lists
from protocol.doctor import words as said
from protocol.link import cursor

VALUE_CHARS_MAX = 120


def words(event: dict[str, Any], *, whole: bool = False) -> str:
    """Return the body of `event` as `name=value`; unless `whole`, without what its key says, and long values cut."""
    body = event.get("body")
    if event["kind"] == cursor.GAP and isinstance(body, dict) and not whole:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return _gap(cast("dict[str, Any]", body), str(event["stream"]))
    if event["kind"] == "vitals" and isinstance(body, dict) and not whole:
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            return ", ".join(said.vitals(cast("dict[str, Any]", body)))
    if not isinstance(body, dict):
        return "" if body is None else _value(body, whole)
    pairs = cast("dict[str, Any]", body).items()
    key = event["key"]
    return " ".join(
        f"{name}={_value(value, whole) if name != 'steps' or whole else _steps(value)}"
        for name, value in pairs
        if whole or not (name in ("id", "run") and value == key)
    )


def _gap(body: dict[str, Any], stream: str) -> str:
    noun = "entry" if body["count"] == 1 else "entries"
    return f"{body['count']:,} {noun} of {stream} lost, {body['first']:,} to {body['last']:,}: {body['reason']}"


def _steps(value: Any) -> str:
    try:
        return lists.steps(value).replace(" ", "")
    except (KeyError, TypeError):
        return _value(value, whole=False)


def _value(value: object, whole: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    line = text.rstrip("\n").replace("\n", "↵")
    return line if whole or len(line) <= VALUE_CHARS_MAX else f"{line[:VALUE_CHARS_MAX]}…"
