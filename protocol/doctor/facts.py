"""Facts that a doctor judges. A shell finds them out (protocol.aio.checkup); nothing here knows how.

Times are ms since 1970, sizes are bytes. An empty text means "nothing to say", as in every struct of ours.
"""

from __future__ import annotations

import enum

import msgspec


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder. `mode` are its permission bits, `owner` is its uid; both of no meaning unless `present`."""

    path: str
    present: bool
    mode: int = 0
    owner: int = -1


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A private key's file. `public`: the SHA-256 of its public part (hex), empty for a mere secret; `flaw`: why it
    cannot be used."""

    file: File
    public: str = ""
    flaw: str = ""


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate's file. `flaw`: why it is not one of ours, under our root; dates are told and judged elsewhere."""

    path: str
    role: str = ""
    id: str = ""
    public: str = ""
    from_ms: int = 0
    until_ms: int = 0
    flaw: str = ""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A SQLite store, looked at read-only. `whole`: all of it was read; False when time or its WAL did not allow it.

    `known` is the newest schema that this version knows, `oldest` the one that it has to know to use the store;
    `holder` the pid that has it open, -1 if that cannot be told.
    """

    path: str
    present: bool
    known: int
    bytes: int = 0
    version: int = 0
    oldest: int = 0
    node: str = ""
    clean: bool = True
    damage: str = ""
    whole: bool = True
    newest_ms: int = 0
    holder: int = 0


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """The filesystem under a folder, as far as this user may fill it. Without a count of inodes `inodes` is 0."""

    path: str
    free: int
    total: int
    inodes_free: int
    inodes: int
    read_only: bool


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may have: open files (hard limit), and what memory the machine can still give."""

    open_files: int
    memory_free: int
    memory_total: int


class Step(enum.IntEnum):
    """How far a way to a listener leads."""

    NOWHERE = 0
    TCP = 1
    TLS = 2
    MQTT = 3


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A try to reach a listener of ours. `stranger`: who answers is not under our root, or has another name.

    `cut`: the connection was cut off before anybody spoke, as by a proxy with nobody behind it.
    `refused`: the MQTT reason code of a CONNACK that says no.
    """

    where: str
    reached: Step
    error: str = ""
    stranger: bool = False
    cut: bool = False
    refused: int = 0
    took_s: float = 0.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub's API says of itself, or why it says nothing. `at_ms`: our clock when it said so."""

    where: str
    hub: str = ""
    version: str = ""
    time_ms: int = 0
    at_ms: int = 0
    error: str = ""
    stranger: bool = False


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """This machine's clock. `jumped_s`: how far it jumped while the doctor looked."""

    now_ms: int
    jumped_s: float
