"""`skerry-agent doctor`: looks at what usually is wrong, and says what to do."""

from __future__ import annotations

import shutil
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from edge_agent.cli import client, human
from edge_agent.shell import identity
from edge_agent.shell.papers import own
from edge_agent.shell.runners.script import Tools
from protocol.errors import SkerryError

_FREE_BYTES_MIN = 200_000_000
_YEAR_MIN = 2024
_DIAL_S = 5.0


class Problem(SkerryError):
    """One finding, with what to do."""


def examine(data: Path) -> list[tuple[str, bool, str]]:
    """Return (what, whether it is well, in words) for each check, in an order that makes sense to read."""
    checks: list[tuple[str, Callable[[Path], str]]] = [
        ("enrolled", _enrolled),
        ("key", _key),
        ("certificate", _certificate),
        ("tools", _tools),
        ("disk", _disk),
        ("clock", _clock),
        ("agent", _agent),
        ("hub", _hub),
    ]
    if not data.is_dir():
        checks = [one for one in checks if one[1] in (_enrolled, _tools, _clock)]
    found: list[tuple[str, bool, str]] = []
    for what, check in checks:
        try:
            found.append((what, True, check(data)))
        except PermissionError as error:
            found.append((what, False, f"you may not look at {error.filename}: sudo skerry-agent doctor"))
        except (SkerryError, OSError) as error:
            found.append((what, False, human.plain(str(error))))
    return found


def _enrolled(data: Path) -> str:
    file = identity.load(data)
    return f"as {file.node} at hub {file.hub}, data in {data}"


def _key(data: Path) -> str:
    mode = stat.S_IMODE((data / "key.pem").stat().st_mode)
    if mode & 0o077:
        raise Problem(f"key.pem can be read by others ({mode:o}): chmod 600 {data / 'key.pem'}")
    return "only its owner can read it"


def _certificate(data: Path) -> str:
    left_s = own.certificate(data).until_ms / 1000 - time.time()
    if left_s < 0:
        return f"expired {human.duration(-left_s)} ago; it is renewed as soon as the hub is reached"
    return f"for {human.duration(left_s)} more; it renews itself"


def _tools(data: Path) -> str:
    return "all there" if Tools.find().setpriv else "all there but setpriv: workloads cannot have a `user`"


def _disk(data: Path) -> str:
    usage = shutil.disk_usage(data)
    if usage.free < _FREE_BYTES_MIN:
        raise Problem(f"only {human.size(usage.free)} free at {data}: make room, or entries will be dropped")
    return f"{human.size(usage.free)} free of {human.size(usage.total)}"


def _clock(data: Path) -> str:
    if time.gmtime().tm_year < _YEAR_MIN:
        raise Problem(f"it says {time.strftime('%Y-%m-%d')}: set it, or let it synchronise (timedatectl)")
    return time.strftime("%Y-%m-%d %H:%M:%S %Z")


def _agent(data: Path) -> str:
    answer = client.ask(data, {"do": "status"})
    return f"runs, version {answer['version']}; {answer['link']['state']}"


def _hub(data: Path) -> str:
    mqtt = identity.load(data).mqtt
    began = time.monotonic()
    try:
        socket.create_connection((mqtt.host, mqtt.port), _DIAL_S).close()
    except OSError as error:
        raise Problem(
            f"{mqtt.host}:{mqtt.port}: {error.strerror or error}; the work here goes on without it"
        ) from error
    return f"{mqtt.host}:{mqtt.port} answers in {human.duration(time.monotonic() - began)}"
