"""What a crash may leave of a disk. Events are gone through in order; at any moment `image` makes one possible rest."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

from tests.support.power.disk import SECTOR, Cut, Event, Made, NamesSynced, Removed, Synced, Wrote, patch, resize

Piece = tuple[int, bytes]  # offset, bytes


class Left(Enum):
    """How much of what was not synced is there."""

    NOTHING = 0
    ALL = 1
    FIRST = 2  # in the order it was written, up to some moment, the last write torn
    ANY = 3  # any sectors of any writes


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Wrote | Cut] = field(default_factory=list[Wrote | Cut])
    forsaken: list[Piece] = field(default_factory=list[Piece])
    """What a failed sync left: it may be there or not, whatever is synced later, until it is written again."""


class Wreck:
    """The disk as it is known to be, and what is open."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        self._waiting: list[Made | Removed] = []

    def pass_by(self, event: Event) -> None:
        """Take the next event in."""
        match event:
            case Made(_, file):
                self._files[file] = _File()
                self._waiting.append(event)
            case Removed():
                self._waiting.append(event)
            case Wrote(file) | Cut(file):
                self._files[file].waiting.append(event)
            case Synced(file, failed):
                _forsake(self._files[file]) if failed else _settle(self._files[file])
            case NamesSynced():
                _rename(self._names, self._waiting)
                self._waiting.clear()

    def image(self, dice: random.Random) -> dict[str, bytes]:
        """Return what a crash now may leave: bytes by name."""
        names = dict(self._names)
        _rename(names, self._waiting[: dice.randint(0, len(self._waiting))])
        return {name: bytes(_left(self._files[file], dice)) for name, file in names.items()}


def _rename(names: dict[str, int], events: list[Made | Removed]) -> None:
    for event in events:
        if isinstance(event, Made):
            names[event.name] = event.file
        else:
            names.pop(event.name, None)


def _settle(file: _File) -> None:
    for event in file.waiting:
        _do(file.durable, event)
        if isinstance(event, Wrote):
            end = event.at + len(event.data)
            file.forsaken = [piece for old in file.forsaken for piece in _outside(old, event.at, end)]
        else:
            file.forsaken = [(at, data[: event.size - at]) for at, data in file.forsaken if at < event.size]
    file.waiting.clear()


def _forsake(file: _File) -> None:
    for event in file.waiting:
        if isinstance(event, Wrote):
            file.forsaken += _sectors(event)
    file.waiting = [event for event in file.waiting if isinstance(event, Cut)]


def _left(file: _File, dice: random.Random) -> bytearray:
    data = bytearray(file.durable)
    for at, piece in file.forsaken:
        if dice.random() < 0.5:
            patch(data, at, piece)
    how = dice.choice(list(Left))
    if how is Left.NOTHING:
        return data
    kept = dice.random()
    upto = dice.randint(0, len(file.waiting)) if how is Left.FIRST else len(file.waiting)
    for index, event in enumerate(file.waiting[:upto]):
        torn = how is Left.ANY or (how is Left.FIRST and index == upto - 1)
        if isinstance(event, Cut) or not torn:
            if not torn or dice.random() < kept:
                _do(data, event)
            continue
        for at, piece in _sectors(event):
            if dice.random() < kept:
                patch(data, at, piece)
    return data


def _do(data: bytearray, event: Wrote | Cut) -> None:
    if isinstance(event, Wrote):
        patch(data, event.at, event.data)
    else:
        resize(data, event.size)


def _sectors(event: Wrote) -> list[Piece]:
    pieces: list[Piece] = []
    at, end = event.at, event.at + len(event.data)
    while at < end:
        upto = min(end, (at // SECTOR + 1) * SECTOR)
        pieces.append((at, event.data[at - event.at : upto - event.at]))
        at = upto
    return pieces


def _outside(piece: Piece, start: int, end: int) -> list[Piece]:
    """Return what of `piece` is not within `start`..`end`."""
    at, data = piece
    if at + len(data) <= start or at >= end:
        return [piece]
    rest = [(at, data[: max(0, start - at)]), (end, data[max(0, end - at) :])]
    return [(where, one) for where, one in rest if one]
