"""No space for an upgrade: on a full disk the version that runs stays, and once there is room it goes on."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import pytest

from protocol import limits
from protocol.upgrade.words import Outcome
from tests.contract.agent.test_upgrade_packages import NEW, OLD, Device, Unit
from tests.support.loopfs import loop_disk


def _fill(folder: Path, leave: int) -> Path:
    """Leave `leave` bytes free."""
    disk = os.statvfs(folder)
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave)
    return ballast


class Filling(Unit):
    """What it starts on trial takes all the room that there is, and ends."""

    def restart(self) -> None:
        """Start what `current` names."""
        super().restart()
        if not (self._at.lib / "current" / "ends").exists():
            return
        for size in (65_536, 4_096, 1, 1):  # what is not on the disk yet takes more than it needs
            with contextlib.suppress(OSError):
                for count in itertools.count():
                    (self._at.data / f"log.{size}.{count}").write_bytes(bytes(size))
            os.sync()


@pytest.mark.parametrize("leave", [100_000, limits.UPGRADE_SPARE_BYTES], ids=["almost-nothing", "what-must-stay-free"])
def test_no_space_for_an_upgrade_changes_nothing_and_room_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: int
) -> None:
    monkeypatch.setattr(limits, "UPGRADE_LOOK_S", 0.001)
    with loop_disk(tmp_path / "disk", tmp_path / "image"):
        device = Device(tmp_path / "disk" / "device")
        raw = device.package()
        device.ask(raw)
        ballast = _fill(tmp_path / "disk", leave)
        kept = device.run()
        assert kept.outcome is Outcome.REFUSED
        assert kept.reason.endswith("are free: make room there")
        assert device.slots == (OLD, OLD, [OLD])
        assert not list(device.at.state.glob("**/*.part"))
        ballast.unlink()
        device.at.kept.unlink()
        device.ask(raw)
        assert device.run().outcome is Outcome.DONE
        assert device.slots[0] == NEW


def test_a_version_that_fills_the_disk_is_gone_back_from_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UPGRADE_LOOK_S", 0.001)
    monkeypatch.setattr(limits, "UPGRADE_SPARE_BYTES", 0)
    with loop_disk(tmp_path / "disk", tmp_path / "image"):
        device = Device(tmp_path / "disk" / "device")
        device.unit = Filling(device.at)
        device.ask(device.package("ends"))
        kept = device.run()
        assert (kept.outcome, device.slots) == (Outcome.BACK, (OLD, OLD, [OLD]))
