"""Root's part of an upgrade, on a device of folders: whatever the daemon's user leaves in its own, a trial ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.upgrade import places, wish
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.root import Root
from protocol.aio.upgrade.unit import Systemd
from protocol.upgrade.words import Kept, Outcome, Stage

OLD, NEW = "1+deb12", "2+deb12"


class Unit(Systemd):
    """The agent's unit, where there is none."""

    def restart(self) -> None:
        """Nothing runs here."""

    def restarts(self) -> int:
        """Nothing ended here."""
        return 0


@pytest.fixture
def at(tmp_path: Path) -> Places:
    """Return a device on which a trial was cut off."""
    found = Places(name="skerry-agent", lib=tmp_path / "lib", state=tmp_path / "state", data=tmp_path / "data")
    for folder in (found.versions / OLD, found.versions / NEW, found.state, found.said.parent):
        folder.mkdir(parents=True)
    for link, version in (("good", OLD), ("current", NEW)):
        (found.lib / link).symlink_to(Path("versions") / version)
    places.write(found.kept, Kept(number=1, version=NEW, stage=Stage.TRIAL, tries=1))
    return found


def big(path: Path) -> None:
    path.write_bytes(b" " * (limits.DOCUMENT_BYTES_MAX + 1))


def nested(path: Path) -> None:
    path.write_bytes(b'{"a":' + b"[" * 100_000)


def linked(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def odd(path: Path) -> None:
    path.write_bytes(b"\xff\x00")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, big, nested, linked, odd])
@pytest.mark.parametrize("name", ["said.json", "request.json"])
def test_whatever_lies_in_the_daemon_s_folder_a_silent_version_is_gone_back_from(
    at: Places, name: str, make: Callable[[Path], None]
) -> None:
    make(at.data / "upgrade" / name)

    Root(at, Unit(at.name), OLD, wish.read).run()

    kept = places.kept(at)
    assert (kept.stage, kept.outcome) == (Stage.IDLE, Outcome.BACK)
    assert (at.lib / "current").readlink().name == OLD
    assert [one.name for one in at.versions.iterdir()] == [OLD]
    assert not os.path.lexists(at.request)


def test_a_folder_that_is_a_file_keeps_nobody_from_going_back(at: Places) -> None:
    at.said.parent.rmdir()
    at.said.parent.touch()

    Root(at, Unit(at.name), OLD, wish.read).run()

    assert places.kept(at).outcome is Outcome.BACK


def test_nothing_is_removed_where_a_link_of_the_daemon_leads(at: Places, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "request.json").touch()
    at.said.parent.rmdir()
    at.said.parent.symlink_to(elsewhere)

    Root(at, Unit(at.name), OLD, wish.read).run()

    assert (elsewhere / "request.json").exists()
    assert places.kept(at).outcome is Outcome.BACK
