"""Root's part of a hub's upgrade: what it takes from whom, and what a cut at any point leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.shell.upgrade import asked, waiting
from hub.shell.upgrade.here import HubPlaces
from protocol import limits
from protocol.aio.upgrade import package, places
from protocol.errors import Refused
from protocol.upgrade import words
from protocol.upgrade.words import Outcome
from tests.support.trials import NEVER, NEW, OLD, Cut, Power, Unit, lay

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not on this machine")


class Machine:
    """A machine of folders, whose hub is OLD."""

    def __init__(self, folder: Path) -> None:
        self.at = HubPlaces(name="skerry-hub", lib=folder / "lib", state=folder / "state", data=folder / "data")
        lay(self.at)
        self.unit = Unit(self.at)
        self._folder = folder

    def package(self, behaves: str = "well", version: str = NEW, name: str = "skerry-hub", arch: str = "") -> Path:
        files = self._folder / "files"
        shutil.rmtree(files, ignore_errors=True)
        home = files / "usr/lib" / name / "versions" / version / "bin"
        home.mkdir(parents=True)
        (home / "python").write_text("#!/bin/sh\n")
        (home.parent / behaves).touch()
        (files / "DEBIAN").mkdir()
        about = f"Package: {name}\nVersion: {version}\nArchitecture: {arch or package.here()[1]}\n"
        (files / "DEBIAN/control").write_text(f"{about}Maintainer: a <a@b>\nInstalled-Size: 10\nDescription: a\n")
        made = self._folder / f"{name}_{version}.deb"
        build = ("dpkg-deb", "--root-owner-group", "-Znone", "--build", files, made)
        subprocess.run(build, check=True, capture_output=True)
        return made

    def root(self, cut: int = NEVER, *, after: bool = False) -> Cut:
        made = Cut(self.at, self.unit, OLD, asked.read)
        made.at, made.after = cut, after
        return made

    @property
    def slots(self) -> tuple[str, str, list[str]]:
        links = [(self.at.lib / link).readlink().name for link in ("current", "good")]
        return links[0], links[1], sorted(os.listdir(self.at.versions))


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPGRADE_LOOK_S", 0.001)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_root_asks_for_takes_the_place_of_what_runs_and_is_told(machine: Machine) -> None:
    assert asked.ask(machine.at, machine.package(), 60.0).number == 1
    machine.root().run()
    kept = places.kept(machine.at)
    assert (kept.outcome, machine.slots) == (Outcome.DONE, (NEW, NEW, [OLD, NEW]))
    assert "all is well" in waiting.told(kept, OLD)
    assert not machine.at.request.exists()
    assert not machine.at.package.exists()
    assert asked.ask(machine.at, machine.package(), 60.0).number == 2
    machine.root().run()
    assert "runs it already" in waiting.told(places.kept(machine.at), NEW)


def test_what_ends_is_gone_back_from_and_why_is_told(machine: Machine) -> None:
    asked.ask(machine.at, machine.package("ends"), 60.0)
    machine.root().run()
    assert machine.slots == (OLD, OLD, [OLD])
    with pytest.raises(Refused, match=rf"was not well: it ended 3 times by itself\. This hub went back to {OLD[:5]}"):
        waiting.told(places.kept(machine.at), OLD)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("behaves", ["well", "ends"])
def test_whatever_is_cut_off_goes_on_from_what_is_on_the_disk(tmp_path: Path, behaves: str, after: bool) -> None:
    for cut in range(12):
        machine = Machine(tmp_path / str(cut))
        asked.ask(machine.at, machine.package(behaves), 60.0)
        try:
            machine.root(cut, after=after).run()
        except Power:
            machine.root().boot()
            machine.unit.restart()  # the machine boots, with whatever is current
            machine.root().run()
        came = places.kept(machine.at).outcome, machine.slots
        ends = {"well": (Outcome.DONE, (NEW, NEW, [OLD, NEW])), "ends": (Outcome.BACK, (OLD, OLD, [OLD]))}
        assert came == ends[behaves], cut


def test_what_does_not_fit_is_said_before_anything_is_done(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(deb: Path) -> str:
        with pytest.raises(Refused) as error:
            asked.ask(machine.at, deb, 60.0)
        assert not machine.at.request.exists()
        assert not machine.at.package.exists()
        return str(error.value)

    assert "not skerry-hub" in refused(machine.package(name="skerry-agent"))
    assert "'3.1-2' is no version" in refused(machine.package(version="3.1-2"))
    assert "it is for Debian 99 on" in refused(machine.package(version="0.2.0+deb99"))
    assert "on s390x; this machine has" in refused(machine.package(arch="s390x"))
    half = machine.package()
    half.write_bytes(half.read_bytes()[:100])
    assert "dpkg-deb says" in refused(half)
    assert "there is no package" in refused(half.with_name("none.deb"))
    whole = machine.package()
    monkeypatch.setattr(limits, "UPGRADE_SPARE_BYTES", 1 << 60)
    assert "make room there" in refused(whole)
    monkeypatch.setattr(limits, "UPGRADE_SPARE_BYTES", 0)
    asked.ask(machine.at, whole, 60.0)
    with pytest.raises(Refused, match="is being put in place"):
        asked.ask(machine.at, whole, 60.0)


def test_what_was_asked_for_is_looked_at_again_where_root_has_it(machine: Machine) -> None:
    asked.ask(machine.at, machine.package(), 60.0)
    machine.at.package.write_bytes(machine.package("ends").read_bytes())
    machine.root().run()
    kept = places.kept(machine.at)
    assert (kept.outcome, machine.slots) == (Outcome.REFUSED, (OLD, OLD, [OLD]))
    with pytest.raises(Refused, match="not the one that was asked for; nothing was changed"):
        waiting.told(kept, OLD)


def test_a_request_that_is_none_changes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.at.request.write_text("{}")
    machine.at.package.touch()
    machine.root().run()
    assert "not believed" in capsys.readouterr().err
    assert (places.kept(machine.at), machine.slots) == (words.Kept(), (OLD, OLD, [OLD]))
    assert not machine.at.package.exists()


def test_what_was_said_before_its_trial_says_nothing_of_a_version(machine: Machine) -> None:
    machine.at.said.parent.mkdir()
    places.write(machine.at.said, words.Said(number=1))  # of another life: the folder came from another machine
    asked.ask(machine.at, machine.package("ends"), 60.0)
    machine.root().run()
    assert (places.kept(machine.at).outcome, machine.slots) == (Outcome.BACK, (OLD, OLD, [OLD]))


def test_what_a_version_says_against_itself_is_a_short_line_whatever_it_says(machine: Machine) -> None:
    class Hostile(Unit):
        def restart(self) -> None:
            super().restart()
            fault = "\x1b[2J\n" + (limits.DOCUMENT_BYTES_MAX - 100) * "x"
            self._at.said.parent.mkdir(exist_ok=True)
            places.write(self._at.said, words.Said(number=1, fault=fault))

    machine.unit = Hostile(machine.at)
    asked.ask(machine.at, machine.package("silent"), 60.0)
    machine.root().run()
    kept = places.kept(machine.at)
    assert (kept.outcome, machine.slots) == (Outcome.BACK, (OLD, OLD, [OLD]))
    assert kept.reason.isprintable()
    assert len(kept.reason) == limits.UPGRADE_FAULT_CHARS_MAX


def test_what_root_keeps_and_nobody_can_read_keeps_no_daemon_from_its_start(machine: Machine) -> None:
    machine.at.kept.write_bytes(b" " * (limits.DOCUMENT_BYTES_MAX + 1))
    assert places.kept(machine.at) == words.Kept()


def test_half_of_what_was_unpacked_takes_no_room_from_the_next(machine: Machine) -> None:
    (machine.at.versions / ".new" / "usr").mkdir(parents=True)
    machine.at.package.touch()
    machine.root().run()
    assert machine.slots == (OLD, OLD, [OLD])


def test_of_two_who_ask_at_once_one_is_told_to_wait(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    check, deb, second = package.check, machine.package(), list[str]()

    def meanwhile(at: places.Places, found: Path, version: str) -> None:
        check(at, found, version)
        if not second:
            with pytest.raises(Refused) as error:
                asked.ask(machine.at, deb, 60.0)
            second.append(str(error.value))

    monkeypatch.setattr(package, "check", meanwhile)
    asked.ask(machine.at, deb, 60.0)
    assert "being asked for here just now" in second[0]


def test_what_ended_often_before_is_gone_back_from_as_soon_as_any_other(machine: Machine) -> None:
    class Counting(Unit):
        def restarts(self) -> int:
            """Return a count that begins anew some time after the restart."""
            return 9 if super().restarts() == 1 else min(self.ends - 2, 4)

    machine.unit = Counting(machine.at)
    asked.ask(machine.at, machine.package("ends"), 2.0)
    machine.root().run()
    assert "ended 3 times" in places.kept(machine.at).reason
