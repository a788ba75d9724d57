"""What a crash left, opened by the journal's own code and SQLite's ordinary library, and held against the story."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import aiosqlite
import pytest

from protocol.aio.journal import Journal, read_only
from protocol.errors import StoreError
from tests.support.power import held
from tests.support.power.held import Held
from tests.support.power.logged import at_once, ordinary
from tests.support.power.story import NODE, STREAMS, Story, Tale

FILES = {"journal.db", "telemetry.db"}
_LEFT = "1 0\n"  # its holder died: no crash may look as if its log were lost (protocol.aio.life)


class Broken(AssertionError):
    """A promise does not hold at a crash point. `kind` is one word for it."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def lay(folder: Path, image: Mapping[str, bytes]) -> None:
    """Put the files of a crash into `folder`. Databases keep their inodes, for they are the same files."""
    for path in folder.iterdir():
        path.unlink()
    for name in FILES:
        kept = folder.with_name(f"{folder.name}-{name}")
        kept.touch()
        os.link(kept, folder / name)
    for name in FILES | image.keys():
        (folder / name).write_bytes(image.get(name, b""))


async def judge(story: Story, at: int, image: Mapping[str, bytes]) -> tuple[Held, Held]:
    """Open what is left after event `at`; return what the two files hold. Raises Broken."""
    lay(story.folder, image)
    (story.folder / "journal.db.lock").write_text(_LEFT)
    minted = iter(range(10**6))
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(aiosqlite, "connect", ordinary)
        patches.setattr(asyncio, "to_thread", at_once)
        try:
            journal = await Journal.open(
                story.folder / "journal.db",
                node=NODE,
                streams=STREAMS,
                telemetry=story.folder / "telemetry.db",
                mint=lambda: f"fresh-{next(minted)}",
            )
        except StoreError as error:
            raise Broken("unopened", str(error)) from error
    try:
        kept, apart = _held(story.folder / "journal.db", story.kept), _held(story.folder / "telemetry.db", story.apart)
    finally:
        await journal.close()
    _judge_kept(story.kept, at, kept)
    _judge_apart(story, at, apart)
    return kept, apart


def _held(path: Path, tale: Tale) -> Held:
    db = read_only(path)
    try:
        found = db.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise Broken("damaged", f"{path.name}: {found}")
        one = held.read(db, tale.names)
    except sqlite3.Error as error:
        raise Broken("damaged", f"{path.name}: {error}") from error
    finally:
        db.close()
    broken = held.broken_chain(one)
    if broken:
        raise Broken("chain", broken)
    return one


def _judge_kept(tale: Tale, at: int, found: Held) -> None:
    possible = tale.possible(at)
    if found in possible:
        return
    lost = any(found == one.held for one in tale.moments if one.begun <= at)
    raise Broken("lost" if lost else "torn", held.difference(possible[0], found))


def _judge_apart(story: Story, at: int, found: Held) -> None:
    """An older state is allowed, as the past of new epochs: what is gone may have been sent (INVARIANTS A6)."""
    tale = story.apart
    if any(found.same(one) for one in tale.possible(at)):
        return
    if story.failures and any(story.folder.glob("telemetry.db.damaged-*")):
        return  # a checkpoint after a failed sync tears a file whose commits are not synced (decision 0019)
    older = [one.held for one in tale.moments if one.begun <= at]
    if not any(found.same(one, epochs=False) for one in reversed(older)):
        raise Broken("torn", "telemetry: " + held.difference(older[-1], found))
    for name, one in found.streams.items():
        if one.epoch in story.epochs:
            raise Broken("epoch", f"{name}: epoch {one.epoch} goes on at {one.last}, with rows of it lost")
        if one.former is None or (one.former.seq, one.former.hash) != (one.last, one.hash.hex()):
            raise Broken("epoch", f"{name}: the new epoch does not tell where the one before ended")
