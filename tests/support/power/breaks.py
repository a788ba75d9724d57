"""Deliberate breaks of the journal, by which the power cuts prove that they bite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from protocol import effects
from protocol.aio import life, sqlite
from protocol.aio.operations import Operations
from tests.support.power import story

Break = Callable[[pytest.MonkeyPatch], None]


def normal_for_full(patches: pytest.MonkeyPatch) -> None:
    """Commits of the durable file wait for no sync."""
    real = sqlite.set_up

    def set_up(db: sqlite3.Connection, **how: Any) -> None:
        real(db, **{**how, "durable": False})

    patches.setattr(sqlite, "set_up", set_up)


def two_transactions(patches: pytest.MonkeyPatch) -> None:
    """The second half of a commit has a transaction of its own."""
    real = Operations.apply

    def apply(self: Operations, db: sqlite3.Connection, ops: Iterable[effects.Store]) -> None:
        every = list(ops)
        real(self, db, every[: len(every) // 2])
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        real(self, db, every[len(every) // 2 :])

    patches.setattr(Operations, "apply", apply)


def trusted_log(patches: pytest.MonkeyPatch) -> None:
    """What a failed sync left in the kernel's memory is taken for stored by the next life."""
    patches.setattr(story, "_store_again", _nothing)


def forgotten_opening(patches: pytest.MonkeyPatch) -> None:
    """That telemetry is open is written as its rows are: a power cut may forget it."""
    patches.setattr(life, "settle", _nothing)


def _nothing(*_: object) -> None:
    pass
