"""What the device's owner lets the people here do: the table `people` of agent.toml, looked at anew when it changed.

    [people]
    read = "skerry"              members of this unix group may look
    act = "skerry-operators"     members of this one may look and decide
    start = true                 who may act may start and cancel runs of workflows
    apply = false                who may act may declare services and workflows of their own here

Root and the user that the agent runs as may look and decide anyway. A file that cannot be understood, be it for one
misspelt word, lets nobody else in (C9), and whoever is turned away reads why; the work here goes on.
"""

from __future__ import annotations

import enum
import os
from pathlib import Path

import msgspec

FILE = Path("/etc/skerry/agent.toml")
VARIABLE = "SKERRY_AGENT_TOML"
"""Names another file."""


class Rights(enum.IntEnum):
    """What somebody may do."""

    NOTHING = 0
    READ = 1
    ACT = 2


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `people`. A group with an empty name has no members."""

    read: str = "skerry"
    act: str = "skerry-operators"
    start: bool = True
    apply: bool = False


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All tables of the file: a misspelt one would otherwise leave the wide defaults in force."""

    people: People = People()


_NOBODY = People(read="", act="")


class Owner:
    """What the device's owner says, as of now."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get(VARIABLE, "") or FILE)
        self._people, self._error = People(), ""
        self._seen: tuple[int, ...] = ()

    def people(self) -> tuple[People, str]:
        """Return the table in force; and what is wrong with the file, an empty text when nothing is."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._people, self._error = _read(self.path.read_bytes()), ""
                self._seen = seen
        except FileNotFoundError:
            self._people, self._error, self._seen = People(), "", ()
        except (OSError, ValueError) as error:
            self._people, self._error, self._seen = _NOBODY, f"{self.path} is wrong: {error}", ()
        return self._people, self._error


def _read(raw: bytes) -> People:
    """Raises ValueError (all errors of TOML and of msgspec are such)."""
    import tomllib  # only where there is a file: a device without one need not carry it

    return msgspec.convert(tomllib.loads(raw.decode()), File).people
