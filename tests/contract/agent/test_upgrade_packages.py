"""Root's part of an upgrade, on real files and with real packages: what it believes and refuses, what a cut leaves."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from protocol import documents, limits
from protocol.aio.upgrade import places, wish
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.root import Root
from protocol.trust import certificates, releases, signing
from protocol.upgrade import words
from protocol.upgrade.words import Outcome
from tests.support.trials import NEVER, NEW, OLD, RELEASE, Cut, Power, Unit, lay

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not on this machine")

KEY = certificates.make_key()
CA = certificates.make_root(KEY, "cloud", 1_800_000_000.0)
SIGNING, CHAIN = certificates.make_signer("cloud", KEY, CA, 1_800_000_000.0)
SIGNER = signing.Signer(SIGNING, "cloud", CHAIN)


class Device:
    """A device of folders, which runs OLD."""

    def __init__(self, folder: Path) -> None:
        self.at = Places(name="skerry-agent", lib=folder / "lib", state=folder / "state", data=folder / "data")
        lay(self.at)
        self.at.request.parent.mkdir()
        self.at.pin.write_text(certificates.spki_hash(CA) + "\n")
        self.at.node.write_text("gw-1\n")
        self.unit = Unit(self.at)
        self._scratch = folder / "package"

    def package(self, behaves: str = "well", version: str = NEW) -> bytes:
        home = self._scratch / "usr/lib/skerry-agent/versions" / version / "bin"
        shutil.rmtree(self._scratch, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "python").write_text("#!/bin/sh\n")
        (home.parent / behaves).touch()
        (self._scratch / "DEBIAN").mkdir()
        arch = subprocess.run(("dpkg", "--print-architecture"), capture_output=True, text=True, check=True).stdout
        fields = f"Package: skerry-agent\nVersion: {version}\nArchitecture: {arch}Maintainer: a <a@b>\n"
        (self._scratch / "DEBIAN/control").write_text(f"{fields}Installed-Size: 10\nDescription: a\n")
        made = self._scratch.with_suffix(".deb")
        build = ("dpkg-deb", "--root-owner-group", "-Znone", "--build", self._scratch, made)
        subprocess.run(build, check=True, capture_output=True)
        return made.read_bytes()

    def ask(self, raw: bytes, change: Callable[[documents.Upgrade], documents.Upgrade] = lambda one: one) -> None:
        """Ask as the daemon does, for what the root hub signed; `change` is made afterwards."""
        arch = subprocess.run(("dpkg", "--print-architecture"), capture_output=True, text=True, check=True).stdout
        digest = hashlib.sha256(raw).hexdigest()
        wished = documents.Upgrade(
            name="agents",
            version="0.2.0",
            packages=[
                documents.Package(release=RELEASE, arch="s390x", artifact="sha256:" + 64 * "0"),
                documents.Package(release=RELEASE, arch=arch.strip(), artifact=f"sha256:{digest}"),
            ],
            confirm_s=10.0,
            number=5,
            by="cloud",
        )
        folder = self.at.data / "artifacts" / digest
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.deb").write_bytes(raw)
        self.at.request.write_bytes(documents.encode(change(releases.sign(wished, SIGNER))))

    def run(self, cut: int = -1, *, after: bool = False) -> words.Kept:
        root = Cut(self.at, self.unit, OLD, wish.read)
        root.at, root.after = (cut if cut >= 0 else NEVER), after
        root.run()
        assert not self.at.request.exists()
        assert not self.at.package.exists()
        return places.kept(self.at)

    def boot(self) -> None:
        """Start with the machine, with whatever is current."""
        Root(self.at, self.unit, OLD, wish.read).boot()
        self.unit.restart()

    @property
    def slots(self) -> tuple[str, str, list[str]]:
        links = [(self.at.lib / link).readlink().name for link in ("current", "good")]
        return links[0], links[1], sorted(os.listdir(self.at.versions))


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPGRADE_LOOK_S", 0.001)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_what_the_root_signed_takes_the_place_of_what_runs(device: Device) -> None:
    device.ask(device.package())
    kept = device.run()
    assert (kept.outcome, kept.number, device.slots) == (Outcome.DONE, 5, (NEW, NEW, [OLD, NEW]))
    device.ask(device.package("ends"))
    assert device.run() == kept, "one that is not newer is answered already"


def test_what_ends_is_gone_back_from_and_leaves_nothing(device: Device) -> None:
    device.ask(device.package("ends"))
    kept = device.run()
    assert (kept.outcome, kept.reason) == (Outcome.BACK, "it ended 3 times by itself")
    assert device.slots == (OLD, OLD, [OLD])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("behaves", ["well", "ends"])
def test_whatever_is_cut_off_goes_on_from_what_is_on_the_disk(tmp_path: Path, behaves: str, after: bool) -> None:
    for cut in range(12):
        device = Device(tmp_path / str(cut))
        device.ask(device.package(behaves))
        try:
            device.run(cut, after=after)
        except Power:
            device.boot()
            device.run()
        came = places.kept(device.at).outcome, device.slots
        ends = {"well": (Outcome.DONE, (NEW, NEW, [OLD, NEW])), "ends": (Outcome.BACK, (OLD, OLD, [OLD]))}
        assert came == ends[behaves], cut


def test_what_takes_the_power_away_as_soon_as_it_starts_is_gone_back_from(device: Device) -> None:
    device.ask(device.package("kills"))
    with pytest.raises(Power):
        device.run()
    assert device.slots[0] == NEW
    with pytest.raises(Power):
        device.boot()
    device.boot()
    assert device.slots[0] == OLD
    kept = device.run()
    assert (kept.outcome, kept.reason) == (Outcome.BACK, "the machine stopped in each of 2 trials")
    assert device.slots == (OLD, OLD, [OLD])
    device.boot()
    assert places.kept(device.at) == kept


def test_what_is_for_named_nodes_alone_is_installed_by_no_other(device: Device) -> None:
    def for_named(*names: str) -> Callable[[documents.Upgrade], documents.Upgrade]:
        return lambda one: releases.sign(msgspec.structs.replace(one, only=list(names)), SIGNER)

    raw = device.package()
    device.ask(raw, for_named("gw-2"))
    assert device.run().reason == "it is for gw-2 alone; this device is gw-1"
    device.at.kept.unlink()
    device.ask(raw, lambda one: msgspec.structs.replace(for_named("gw-2")(one), only=["gw-1"]))
    assert device.run() == words.Kept(), "who hands it on cannot name another"
    device.at.node.unlink()
    device.ask(raw, for_named("gw-1"))
    assert device.run().reason == "it is for gw-1 alone; this device is none that was pinned"
    device.at.kept.unlink()
    device.at.node.write_text("gw-1\n")
    device.ask(raw, for_named("gw-2", "gw-1"))
    assert (device.run().outcome, device.slots[0]) == (Outcome.DONE, NEW)


def _for_others(one: documents.Upgrade) -> documents.Upgrade:
    bare = msgspec.structs.replace(one, packages=one.packages[:1], chain="", signature="")
    return releases.sign(bare, SIGNER)


def _unsigned(one: documents.Upgrade) -> documents.Upgrade:
    return msgspec.structs.replace(one, number=6)


def test_who_is_not_believed_changes_nothing_and_its_number_counts_for_nothing(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device.ask(device.package(), _unsigned)
    assert device.run() == words.Kept()
    assert "not believed: the signature of cloud is wrong" in capsys.readouterr().err
    device.at.request.write_bytes(b"{}")
    assert device.run() == words.Kept()
    device.at.request.symlink_to(device.at.pin)
    assert device.run() == words.Kept()
    assert "the request cannot be read" in capsys.readouterr().err
    device.at.pin.write_text(64 * "0")
    device.ask(device.package())
    assert device.run() == words.Kept()
    assert "does not end at the pinned root" in capsys.readouterr().err
    assert device.slots == (OLD, OLD, [OLD])


def test_what_does_not_fit_is_refused_before_anything_is_done(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(raw: bytes) -> str:
        device.at.kept.unlink(missing_ok=True)
        device.ask(raw)
        kept = device.run()
        assert kept.outcome is Outcome.REFUSED
        assert device.slots == (OLD, OLD, [OLD])
        return kept.reason

    good = device.package()
    assert refused(device.package(version=f"0.9.0+deb{RELEASE}")).startswith("the package is skerry-agent 0.9.0+deb")
    assert "dpkg-deb says" in refused(b"!<arch>\nhalf a package")
    device.at.kept.unlink()
    device.ask(good, _for_others)
    assert device.run().reason.startswith(f"it is for Debian {RELEASE} on s390x; this device has Debian {RELEASE} on ")
    monkeypatch.setattr(limits, "UPGRADE_SPARE_BYTES", 1 << 60)
    assert refused(good).endswith("are free: make room there")
    monkeypatch.setattr(limits, "UPGRADE_SPARE_BYTES", 0)
    device.at.kept.unlink()
    device.ask(good)
    (device.at.data / "artifacts" / hashlib.sha256(good).hexdigest() / "package.deb").write_bytes(good + b"more")
    assert device.run().reason == "the package is not the one that was asked for"
