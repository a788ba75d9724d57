"""What the agent asks of the launcher: one JSON object in one packet. Strict: an unknown word is refused."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from typing import cast

from protocol import limits

_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,219}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SIGNALS = (9, 15)

DOES = ("able", "launch", "signal", "empty", "guard")


class Refused(Exception):
    """What is asked is not done; the text is one sentence for people."""


class Stranger(Refused):
    """It speaks as another version does: this launcher makes room for the one that is installed now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Paths are absolute; what is empty or -1 is not asked for."""

    do: str
    """able: what can be enforced here. launch. signal: `number` to an instance. empty: delete what it left in its
    folder. guard: start the warden of its lease."""
    instance: str = ""
    runner: str = "process"
    user: str = ""
    command: list[str] = field(default_factory=list[str])
    env: dict[str, str] = field(default_factory=dict[str, str])
    cwd: str = ""
    owned: str = ""
    """The folder that is to be the user's; empty: none."""
    files: list[str] = field(default_factory=list[str])
    """Files in it that were written for this start."""
    beside: str = ""
    """The instance whose namespaces it shares (a probe's); empty: it has its own."""
    grace_s: int = 10
    lease: bool = False
    number: int = 15
    groups: list[str] = field(default_factory=list[str])
    new_privileges: bool = False
    read_only: list[str] = field(default_factory=list[str])
    private_tmp: bool = False
    no_network: bool = False
    reads: list[str] = field(default_factory=list[str])
    writes: list[str] = field(default_factory=list[str])
    """With `reads`: all that it may touch, by Landlock."""
    memory_bytes: int = -1
    cpu_share: int = -1
    """In thousandths of a core."""
    processes: int = -1
    rlimits: dict[str, int] = field(default_factory=dict[str, int])


_EMPTY = Request(do="")
_KINDS: dict[str, type] = {each.name: type(getattr(_EMPTY, each.name)) for each in fields(Request) if each.name != "do"}


def decode(raw: bytes) -> Request:
    """Return what is asked. Raises Refused, never anything else."""
    if len(raw) > limits.LAUNCHER_REQUEST_BYTES_MAX:
        most = limits.LAUNCHER_REQUEST_BYTES_MAX
        raise Refused(f"a request of more than {most} bytes is not read: shorten the command or the environment")
    try:
        found: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("this is no request: it is not JSON") from None
    if not isinstance(found, dict):
        raise Refused("this is no request: it is no JSON object")
    words = cast("dict[str, object]", found)
    do = words.pop("do", "")
    if not isinstance(do, str) or do not in DOES:
        raise Stranger(f"nobody does {str(do)[:40]!r} here: {', '.join(DOES)}")
    for name, value in words.items():
        _check_kind(name, value)
    request = Request(do=do, **words)  # pyright: ignore[reportArgumentType] - each was looked at
    _check(request)
    return request


def _check_kind(name: str, value: object) -> None:
    kind = _KINDS.get(name)
    if kind is None:
        raise Stranger(f"no request has a field {name[:40]!r}: agent and launcher are of different versions")
    right = type(value) is kind
    if isinstance(value, list | dict):
        of = _is_number if name == "rlimits" else _is_text
        inner = (
            list(cast("dict[str, object]", value).values()) if isinstance(value, dict) else cast("list[object]", value)
        )
        right = right and len(inner) <= limits.LAUNCHER_WORDS_MAX and all(of(one) for one in inner)
    elif isinstance(value, str):
        right = right and _is_text(value)
    elif not isinstance(value, bool):
        right = right and _is_number(value)
    if not right:
        raise Refused(f"the field {name!r} of a request is not what it has to be ({kind.__name__})")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_number(value: object) -> bool:
    return type(value) is int and -1 <= value <= limits.LAUNCHER_NUMBER_MAX


def _check(asked: Request) -> None:
    """Raises Refused for what no honest agent says, whatever the owner allows."""
    for name in [asked.instance] * (asked.do != "able") + [asked.beside] * bool(asked.beside):
        if _INSTANCE.fullmatch(name) is None:
            raise Refused(f"{name[:40]!r} is not the name of an instance")
    for name in [asked.user, *asked.groups]:
        if name and _NAME.fullmatch(name) is None:
            raise Refused(f"{name[:40]!r} is no name of a user or a group")
    for name in asked.env:
        if _VARIABLE.fullmatch(name) is None:
            raise Refused(f"{name[:40]!r} is no name for an environment variable")
    for path in [*asked.read_only, *asked.reads, *asked.writes, *filter(None, [asked.cwd, asked.owned])]:
        check_path(path)
    for path in asked.files:
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise Refused(f"the file {path[:80]!r} is not inside its folder")
    if asked.number not in _SIGNALS:
        raise Refused(f"the signal {asked.number} is not sent: 15 or 9")
    if asked.do == "launch":
        if not asked.command or not asked.cwd:
            raise Refused("there is no command, or no folder for it")
        check_path(asked.command[0])


def check_path(path: str) -> None:
    """Raises Refused: it is not absolute, or goes up, or says the same in another way."""
    parts = path.split("/")
    if not path.startswith("/") or path.startswith("//") or any(part in (".", "..") for part in parts):
        raise Refused(f"the path {path[:120]!r} is refused: it has to be absolute, without . and ..")
