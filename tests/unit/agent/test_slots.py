"""Two slots: whatever is cut off and whenever, a daemon starts, and in the end it is the new one or the old one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from protocol.upgrade import slots, words
from protocol.upgrade.words import Kept, Outcome, Said, Seen, Stage, Wish

OLD, NEW = "0.1.0+deb12", "0.2.0+deb12"


class Cut(Exception):
    """The power went."""


@dataclass
class Device:
    """A disk, an agent of which `well` says how the new version behaves, and root's part that may be cut off."""

    new: str = "well"
    wish: Wish | None = field(default_factory=lambda: Wish(number=7, version=NEW, confirm_s=60.0))
    current: str = OLD
    good: str = OLD
    floor: str = OLD
    versions: set[str] = field(default_factory=lambda: {OLD})
    kept: Kept = field(default_factory=Kept)
    running: str = OLD
    said: Said | None = None
    deeds: list[str] = field(default_factory=list[str])

    def boot(self, cut_at: int = -1) -> None:
        """Start with the machine: what comes before the daemon, cut off at deed number `cut_at`; then the daemon."""
        is_begun = False
        for number in range(9):
            deed = slots.at_boot(self.kept, self._seen(is_begun=is_begun))
            if deed is None:
                return self.start()
            if number == cut_at:
                raise Cut
            match deed:
                case words.Keep(kept=kept):
                    is_begun, self.kept = is_begun or kept.tries > self.kept.tries, kept
                case words.Switch(link=link, version=version):
                    setattr(self, link, version)
                case _:
                    raise AssertionError(deed)
        raise AssertionError("it never starts")

    def start(self) -> None:
        """Start whatever `current` names, which must be whole."""
        assert self.current in self.versions
        assert self.good in self.versions
        self.running = self.current
        if self.running == NEW and self.new == "kills":
            raise Cut
        if self.running == NEW and self.new in ("well", "lame"):
            self.said = Said(number=self.kept.number, fault="it lost 2 services" if self.new == "lame" else "")

    def run(self, cut_at: int = -1, *, after: bool = False) -> None:
        """Root's part until nothing is left; cut off at deed number `cut_at`, before or after it was done."""
        is_begun, unpacked, waited, ends = False, "", None, 0
        for number in range(60):
            seen = self._seen(unpacked=unpacked, is_begun=is_begun, waited_s=waited, ends=ends)
            deed = slots.decide(self.kept, seen)
            if deed is None:
                return
            if number == cut_at and not after:
                raise Cut
            self.deeds.append(type(deed).__name__)
            match deed:
                case words.Keep(kept=kept):
                    is_begun |= kept.tries > self.kept.tries or (self.kept.is_counted and not kept.is_counted)
                    waited = None if kept.stage is not self.kept.stage else waited
                    self.kept = kept
                case words.Unpack(version=version):
                    unpacked = version
                    self.versions.add(version)
                case words.Switch(link=link, version=version):
                    setattr(self, link, version)
                case words.Restart():
                    waited = 0.0
                    self.start()
                case words.Wait():
                    assert waited is not None
                    waited, ends = waited + 5.0, ends + (self.new == "ends")
                case words.Remove(version=version):
                    assert version not in (self.good, self.current, self.floor)
                    self.versions.discard(version)
                case words.Drop():
                    self.wish = None
            if number == cut_at:
                raise Cut
        raise AssertionError("it never ends")

    def _seen(self, **of_this_run: Any) -> Seen:
        versions = frozenset(self.versions)
        here = {"current": self.current, "good": self.good, "versions": versions, "floor": self.floor}
        return Seen(**here, wish=self.wish, said=self.said, **of_this_run)


def _told(device: Device) -> tuple[str, str, str]:
    assert device.current == device.good == device.running
    assert device.kept.stage is Stage.IDLE
    return device.running, device.kept.outcome, device.kept.reason


def test_a_version_that_is_well_takes_the_place_of_the_former_which_goes_but_for_what_dpkg_installed() -> None:
    device = Device()
    device.run()
    assert _told(device) == (NEW, Outcome.DONE, "")
    assert device.versions == {OLD, NEW}
    device.wish, device.new = Wish(number=8, version="0.3.0+deb12", confirm_s=60.0), "silent"
    device.run()
    assert _told(device) == (NEW, Outcome.BACK, "it did not say in 60 s that all is well")
    assert device.versions == {OLD, NEW}
    device.wish = Wish(number=9, version=OLD, confirm_s=60.0)
    device.said = None
    device.run()
    assert _told(device)[0] == NEW, "what does not speak is not kept, be it dpkg's"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("silent", "it did not say in 60 s that all is well"),
        ("lame", "it lost 2 services"),
        ("ends", "it ended 3 times by itself"),
    ],
)
def test_a_version_that_is_not_well_is_gone_back_from_and_says_why(new: str, reason: str) -> None:
    device = Device(new)
    device.run()
    assert _told(device) == (OLD, Outcome.BACK, reason)
    assert device.versions == {OLD}
    before = len(device.deeds)
    device.wish = Wish(number=7, version=NEW, confirm_s=60.0)
    device.run()
    assert device.deeds[before:] == ["Drop"], "one wish is tried once"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("new", ["well", "silent", "lame", "ends"])
def test_power_cut_at_any_deed_leaves_an_agent_that_starts_and_comes_to_the_same_end(new: str, after: bool) -> None:
    whole = Device(new)
    whole.run()
    for first in range(len(whole.deeds)):
        for second in (None, 0, 1, 2, 3):
            device = Device(new)
            with pytest.raises(Cut):
                device.run(first, after=after)
            device.boot()
            if second is not None and device.kept.stage is Stage.TRIAL:
                with pytest.raises(Cut):
                    device.run(second, after=after)
                device.boot()
            device.run()
            version, outcome, _ = _told(device)
            assert (version, outcome) in {(NEW, Outcome.DONE), (OLD, Outcome.BACK)}
            assert outcome is Outcome.DONE or new != "well" or device.kept.tries == 2
            assert device.versions <= {OLD, NEW}
            assert device.wish is None


def test_a_version_that_takes_the_power_away_as_soon_as_it_starts_is_gone_back_from_before_it_starts_again() -> None:
    for cut_at in (-1, 0, 1):
        device, boots = Device("kills"), 0
        with pytest.raises(Cut):
            device.run()
        while device.running != OLD or device.current != OLD:
            boots += 1
            assert boots < 5, "it goes on like that for ever"
            with contextlib.suppress(Cut):
                device.boot(cut_at if boots == 2 else -1)
        device.run()
        assert _told(device) == (OLD, Outcome.BACK, "the machine stopped in each of 2 trials")
        assert device.versions == {OLD}


def test_a_trial_that_was_counted_at_the_boot_is_not_counted_again() -> None:
    device = Device("silent")
    with pytest.raises(Cut):
        device.run(5, after=True)
    device.boot()
    assert (device.kept.tries, device.kept.is_counted) == (2, True)
    device.new = "well"
    device.run()
    assert _told(device) == (NEW, Outcome.DONE, "")
    assert device.kept.tries == 2


def test_who_does_the_deeds_and_is_ended_in_a_trial_counts_the_next_one_itself() -> None:
    device = Device("silent")
    for _ in range(2):
        with pytest.raises(Cut):
            device.run(6, after=True)
    device.run()
    assert _told(device) == (OLD, Outcome.BACK, "the machine stopped in each of 2 trials")


def test_a_device_that_stops_in_each_trial_goes_back() -> None:
    device = Device("silent")
    for _ in range(2):
        with pytest.raises(Cut):
            device.run(5, after=True)
        device.boot()
    device.run()
    assert _told(device) == (OLD, Outcome.BACK, "the machine stopped in each of 2 trials")


def test_what_cannot_be_had_changes_nothing_and_is_told() -> None:
    device = Device()
    assert device.wish is not None
    device.wish = msgspec.structs.replace(device.wish, fault="58 MB are needed, 12 are free: make room")
    device.run()
    assert device.deeds == ["Keep", "Drop"]
    assert _told(device) == (OLD, Outcome.REFUSED, "58 MB are needed, 12 are free: make room")
    device.wish = Wish(number=6, version=NEW, confirm_s=60.0)
    device.run()
    assert device.deeds[2:] == ["Drop"], "an older wish than the last one is none"


def test_what_runs_already_is_done_and_what_lay_there_before_is_unpacked_anew() -> None:
    device = Device(wish=Wish(number=7, version=OLD, confirm_s=60.0))
    device.run()
    assert device.deeds == ["Keep", "Drop"]
    assert _told(device) == (OLD, Outcome.DONE, "")
    device = Device(versions={OLD, NEW})
    device.run()
    assert device.deeds[:3] == ["Remove", "Unpack", "Keep"]


def test_a_version_whose_files_went_while_it_was_on_trial_is_gone_back_from() -> None:
    device = Device(kept=Kept(number=7, version=NEW, stage=Stage.TRIAL, confirm_s=60.0))
    device.run()
    assert _told(device) == (OLD, Outcome.BACK, "its files are gone")
    device.run()
