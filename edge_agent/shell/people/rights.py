"""What the device's owner says in agent.toml: what the people here may do, and what the link may cost.

The table `people` is looked at anew when the file changed:

    [people]
    read = "skerry"              members of this unix group may look
    act = "skerry-operators"     members of this one may look and decide
    start = true                 who may act may start and cancel runs of workflows
    apply = false                who may act may declare services and workflows of their own here

Root and the user that the agent runs as may look and decide anyway. A file that cannot be understood, be it for one
misspelt word, lets nobody else in (C9), and whoever is turned away reads why; the work here goes on. The table `link`
counts from the agent's next start on:

    [link]
    profile = "standard"         or "metered": the agent speaks in contacts (protocol.link.flow.contacts)
    contact_s = 3_600            seconds between two contacts of a metered link
"""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from protocol import limits

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


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `link`."""

    profile: Literal["standard", "metered"] = "standard"
    contact_s: Annotated[float, msgspec.Meta(ge=limits.CONTACT_S_MIN, le=limits.CONTACT_S_MAX)] = (
        limits.CONTACT_S_METERED
    )


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All tables of the file: a misspelt one would otherwise leave the wide defaults in force."""

    people: People = People()
    link: Link = Link()
    work: dict[str, object] = {}
    """What may run; the launcher's (edge_agent/launcher/policy.py)."""


_NOBODY = People(read="", act="")


class Owner:
    """What the device's owner says, as of now."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get(VARIABLE, "") or FILE)
        self._file, self._error = File(), ""
        self._seen: tuple[int, ...] = ()

    def link(self) -> tuple[Link, str]:
        """Return the table in force, the standard profile when it cannot be understood; and what is wrong then."""
        self._look()
        return self._file.link, self._error

    def people(self) -> tuple[People, str]:
        """Return the table in force; and what is wrong with the file, an empty text when nothing is."""
        self._look()
        return self._file.people, self._error

    def _look(self) -> None:
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._file, self._error = _read(self.path.read_bytes()), ""
                self._seen = seen
        except FileNotFoundError:
            self._file, self._error, self._seen = File(), "", ()
        except (OSError, ValueError) as error:
            self._file, self._error, self._seen = File(people=_NOBODY), f"{self.path} is wrong: {error}", ()


def _read(raw: bytes) -> File:
    """Raises ValueError (all errors of TOML and of msgspec are such)."""
    import tomllib  # only where there is a file: a device without one need not carry it

    return msgspec.convert(tomllib.loads(raw.decode()), File)
