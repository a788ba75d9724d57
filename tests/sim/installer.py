"""What root does on a simulated device: versions side by side, and the real table (core/upgrade/slots) that decides.

What is stored outlives a power cut, what a run remembers does not; one deed is done at a time, and the power may go
between any two. How a version behaves stands in its name: see `BAD`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from edge_agent.core import inputs
from protocol import documents, limits
from protocol.trust import releases
from protocol.upgrade import slots, words

if TYPE_CHECKING:
    from tests.sim.device import Device

FIRST = "0.1.0+deb12"
RELEASE, ARCH = "12", "amd64"
PLATFORM = {"os": "Debian GNU/Linux 12 (bookworm)", "arch": "x86_64"}
BAD = {"0.3.": "ends", "0.4.": "mute", "0.5.": "cuts", "0.6.": "sick", "0.7.": "picky"}
"""How a version begins -> what it does: it ends as soon as it has begun, does nothing, takes the power away while it
does nothing, leaves a service behind that ran, or ends on devices with an even number. Any other is well."""


def behaviour(version: str, node: str) -> str:
    """Return what a version does on a device; "" when it is well."""
    how = BAD.get(version[:4], "")
    if how != "picky":
        return how
    return "" if int(node.rpartition("-")[2]) % 2 else "ends"


class Installer:
    """Root's part on one device. `ends`: how often the agent has ended by itself and was started again."""

    def __init__(self, device: Device) -> None:
        self._device, self._clock = device, device.clock
        self.current = self.good = FIRST
        self.versions = {FIRST}
        self.kept = words.Kept()
        self.package = False
        self.request = b""
        self.said: words.Said | None = None
        self.ends = 0
        self._waiting: list[tuple[int, Callable[[], bool], Callable[[], None]]] = []
        self._run = 0
        self._read: bytes = b""
        self._wish: words.Wish | None = None
        self._started: float | None = None
        self._is_running = False
        self._forget_run()

    def copy_of(self, other: Installer) -> None:
        """Be a copy of what another device has."""
        self.current, self.good, self.versions = other.current, other.good, set(other.versions)
        self.kept, self.package, self.request, self.said = other.kept, other.package, other.request, other.said

    # -------------------------------------------------------------------------------------------- the daemon's part

    def slots(self) -> inputs.Slots:
        """Return what an agent that begins is told."""
        return inputs.Slots(version=self.current, release=RELEASE, arch=ARCH, kept=self.kept)

    def install(self, action: inputs.Install) -> None:
        """As edge_agent.shell.upgrade.daemon."""
        self.request = action.request
        self.start()
        self._settled(lambda: self.kept.number >= action.number or not self.request, action.number)

    def vouch(self, action: inputs.Vouch) -> None:
        """As edge_agent.shell.upgrade.daemon."""
        self.said = words.Said(number=action.number, fault=action.fault)
        self.settle()

    def settle(self) -> None:
        """Tell what is kept when all is at rest."""
        self._settled(lambda: True)

    def _settled(self, is_answer: Callable[[], bool], number: int = 0) -> None:
        device, life = self._device, self._device.life

        def tell() -> None:
            if life == device.life:
                error = "" if self.kept.number >= number else "nothing was done"
                device.put(inputs.Installed(kept=self.kept, error=error))

        self._waiting.append((life, lambda: self.kept.stage is words.Stage.IDLE and is_answer(), tell))
        self._answer()

    def _answer(self) -> None:
        due = [one for one in self._waiting if one[1]()]
        self._waiting = [one for one in self._waiting if one not in due and one[0] == self._device.life]
        for _, _, tell in due:
            self._clock.after(limits.UPGRADE_LOOK_S, tell)

    # -------------------------------------------------------------------------------------------- one run

    @property
    def is_at_it(self) -> bool:
        """Tell whether a run goes on."""
        return self._is_running

    def start(self) -> None:
        """As systemd's path unit: begin a run when there is something to do."""
        if self._device.powered and not self._is_running and (self.request or self.package):
            self._is_running = True
            self._run += 1
            self._forget_run()
            self._next(0.2)

    def boot(self) -> None:
        """As the unit that comes before the agent when the machine starts in the middle of something."""
        self._forget_run()
        while self.package and (deed := slots.at_boot(self.kept, self._seen())) is not None:
            self._do(deed)

    def down(self) -> None:
        """The power went."""
        self._is_running = False
        self._run += 1

    def _forget_run(self) -> None:
        self._unpacked, self._is_begun, self._ends_before = "", False, 0
        self._started = self._wish = None
        self._read = b""

    def _next(self, delay_s: float) -> None:
        run = self._run
        self._clock.after(delay_s, lambda: self._step() if run == self._run else None)

    def _step(self) -> None:
        if self.request != self._read:
            self._read, self._wish = self.request, self._wished_for()
        deed = slots.decide(self.kept, self._seen())
        if deed is not None:
            self._do(deed)
            self._next(
                limits.UPGRADE_LOOK_S if isinstance(deed, words.Wait) else self._device.chance.uniform(0.01, 0.3)
            )
            return
        self.package, self.request, self._is_running = False, b"", False
        self._answer()

    def _wished_for(self) -> words.Wish | None:
        """As edge_agent.shell.upgrade.wish: nothing that the root hub has not signed."""
        said = documents.decode(self.request)
        assert isinstance(said, documents.Upgrade)
        root = self._device.world.hub
        try:
            key = ed25519.Ed25519PublicKey.from_public_bytes(root.public_key)
            key.verify(base64.b64decode(said.signature), releases.covered(said))
        except (InvalidSignature, ValueError):
            return None
        package, fault = said.fitting(RELEASE, ARCH), ""
        if said.number > self.kept.number:
            self.package = package is not None and package.artifact in self._device.artifacts
            fault = "" if self.package else "the package is not here"
        return words.Wish(number=said.number, version=said.full(RELEASE), confirm_s=said.confirm_s, fault=fault)

    def _seen(self) -> words.Seen:
        return words.Seen(
            current=self.current,
            good=self.good,
            versions=frozenset(self.versions),
            floor=FIRST,
            unpacked=self._unpacked,
            wish=self._wish,
            said=self.said,
            is_begun=self._is_begun,
            waited_s=None if self._started is None else self._clock.now - self._started,
            ends=0 if self._started is None else self.ends - self._ends_before,
        )

    def _do(self, deed: words.Deed) -> None:
        match deed:
            case words.Unpack(version=version):
                self.versions.add(version)
                self._unpacked = version
            case words.Keep(kept=kept):
                self._keep(kept)
            case words.Switch(link=link, version=version):
                setattr(self, link, version)
            case words.Restart():
                self._started, self._ends_before = self._clock.now, self.ends
                self._device.restart()
            case words.Wait():
                pass
            case words.Remove(version=version):
                self.versions.discard(version)
            case words.Drop():
                self._wish = None

    def _keep(self, kept: words.Kept) -> None:
        self._is_begun |= kept.tries > self.kept.tries or (self.kept.is_counted and not kept.is_counted)
        if kept.stage is not self.kept.stage:
            self._started = None
        self.kept = kept
        self._answer()
