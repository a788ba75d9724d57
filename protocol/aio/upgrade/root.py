"""Root's part: does what protocol.upgrade.slots decides, one deed at a time, until nothing is left.

It runs when the daemon asks, and after a boot in the middle of something (packaging/*/skerry-*-upgrade.*). It
loads all that it needs before it begins: the version whose code it is may be removed at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from protocol import limits
from protocol.aio.upgrade import package, places
from protocol.aio.upgrade.places import Places
from protocol.aio.upgrade.unit import Ends, Systemd
from protocol.aio.upkeep import synced
from protocol.errors import Refused, TrustError
from protocol.upgrade import slots, words


class Unproven(TrustError):
    """Nobody whose word counts here asks for it."""


Reader = Callable[[Places, words.Kept], words.Wish | None]
"""Returns what is asked for, with what speaks against it, and its package at `at.package`. Raises Unproven, OSError."""


class Root:
    """One run. `floor`: what dpkg installed; `read`: see Reader."""

    def __init__(self, at: Places, unit: Systemd, floor: str, read: Reader) -> None:
        self._at, self._unit, self._floor, self._read = at, unit, floor, read
        self._kept = places.kept(at)
        self._unpacked, self._is_begun = "", False
        self._started: float | None = None
        self._ends: Ends | None = None
        self._new = at.versions / ".new"
        self._wish: words.Wish | None = None

    def run(self) -> None:
        """Do all that there is to do, until the request is gone and so is the package. Raises OSError."""
        shutil.rmtree(self._new, ignore_errors=True)  # of a run that was cut off: the next one needs its room
        while True:
            asked = self._request()
            try:
                self._wish = self._read(self._at, self._kept)
            except Unproven as error:
                print(f"not believed: {error}", file=sys.stderr)
            while (deed := slots.decide(self._kept, self._seen())) is not None:
                self._do(deed)
            if asked == self._request():  # else another one came meanwhile
                break
        self._drop()

    def boot(self) -> None:
        """Do what comes before the daemon starts with the machine. Raises OSError."""
        while (deed := slots.at_boot(self._kept, self._seen())) is not None:
            self._do(deed)

    def _request(self) -> tuple[int, int]:
        try:
            about = self._at.request.lstat()
        except OSError:
            return 0, 0
        return about.st_ino, about.st_mtime_ns

    def _seen(self) -> words.Seen:
        return words.Seen(
            current=self._named("current"),
            good=self._named("good"),
            versions=frozenset(one.name for one in self._at.versions.iterdir() if not one.name.startswith(".")),
            floor=self._floor,
            unpacked=self._unpacked,
            wish=self._wish,
            said=places.said(self._at),
            is_begun=self._is_begun,
            waited_s=None if self._started is None else time.monotonic() - self._started,
            ends=self._ends.count() if self._ends is not None and self._started is not None else 0,
        )

    def _named(self, link: str) -> str:
        return (self._at.lib / link).readlink().name

    def _do(self, deed: words.Deed) -> None:
        match deed:
            case words.Unpack(version=version):
                self._unpack(version)
            case words.Keep(kept=kept):
                self._keep(kept)
            case words.Switch(link=link, version=version):
                self._switch(link, version)
            case words.Restart():
                self._unit.restart()
                self._started, self._ends = time.monotonic(), Ends(self._unit)
            case words.Wait():
                time.sleep(limits.UPGRADE_LOOK_S)
            case words.Remove(version=version):
                shutil.rmtree(self._at.versions / version)
            case words.Drop():
                self._wish = None

    def _keep(self, kept: words.Kept) -> None:
        self._is_begun |= kept.tries > self._kept.tries or (self._kept.is_counted and not kept.is_counted)
        if kept.stage is not self._kept.stage:
            self._started = None
            if kept.stage is words.Stage.TRIAL:
                places.drop(self._at.said)  # whatever lies there, it is not of this trial
        package.store(self._at, kept)
        self._kept = kept
        print(f"{kept.version}: {kept.outcome or kept.stage} {kept.reason}".rstrip(), file=sys.stderr)

    def _unpack(self, version: str) -> None:
        """Put the package's version beside the others. What goes wrong speaks against the wish, and leaves nothing."""
        try:
            command = ("dpkg-deb", "--extract", self._at.package, self._new)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            inside = self._new / "usr/lib" / self._at.name / "versions" / version
            if done.returncode != 0 or not (inside / "bin" / "python").exists():
                raise Refused(f"the package could not be unpacked: {done.stderr.strip()[-200:] or 'it is another one'}")
            os.sync()
            inside.rename(self._at.versions / version)
            synced.sync_folder(self._at.versions)
            self._unpacked = version
        except (OSError, Refused) as error:
            assert self._wish is not None
            self._wish = msgspec.structs.replace(self._wish, fault=str(error))
        finally:
            shutil.rmtree(self._new, ignore_errors=True)

    def _switch(self, link: str, version: str) -> None:
        new = self._at.lib / f".{link}"
        new.unlink(missing_ok=True)
        new.symlink_to(Path("versions") / version)
        new.rename(self._at.lib / link)
        synced.sync_folder(self._at.lib)

    def _drop(self) -> None:
        places.drop(self._at.request)
        self._at.package.unlink(missing_ok=True)  # last: nobody asks for another one as long as it is there
