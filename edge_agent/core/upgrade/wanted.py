"""The daemon's part of an upgrade: it fetches what the root hub asks for, asks root to put it in place, and, as the new
version, says whether all is well. What runs goes on throughout.

    an Upgrade for this device, newer than what was answered     its package is fetched, as any artifact is
    the package is here                                           Install: root's part takes over (protocol.upgrade)
    a life begins as the version on trial                         it says whether all is well (trial): root's part keeps
                                                                  this version, or goes back

Of several Upgrades the newest for this Debian and machine counts. One is tried once: what it came to stays the answer
until another one is asked for.
"""

from __future__ import annotations

import msgspec

from edge_agent.core import inputs
from edge_agent.core.artifacts import Artifacts
from edge_agent.core.context import Context
from edge_agent.core.desired import Desired
from edge_agent.core.services.roster import Roster
from edge_agent.core.upgrade import shown
from edge_agent.core.upgrade.facts import Asked, UpgradeFact
from edge_agent.core.upgrade.trial import Trial, lost, running
from protocol import documents, limits, status
from protocol.effects import Effects, Now
from protocol.snapshot import Snapshot
from protocol.upgrade.words import Kept, Outcome, Stage

_SPACE, _KEY = "agent", "upgrade"


class Upgrading:
    """Which version is wanted here, and how far that is."""

    def __init__(self, snapshot: Snapshot, ctx: Context, artifacts: Artifacts, roster: Roster) -> None:
        self._ctx, self._artifacts, self._roster = ctx, artifacts, roster
        raw = snapshot.spaces.get(_SPACE, {}).get(_KEY)
        self._asked = msgspec.json.decode(raw, type=Asked) if raw is not None else Asked()
        self._slots: inputs.Slots | None = None
        self._kept = Kept()
        self._doc: documents.Upgrade | None = None
        self._raw = b""
        self._is_asking = False
        self._error = ""
        self.trial = Trial()

    @property
    def _here(self) -> str:
        return self._slots.version if self._slots is not None else ""

    # ---------------------------------------------------------------------------------------- a life begins

    def know(self, slots: inputs.Slots | None) -> None:
        """A life begins in which this is known, before anything else is decided."""
        self._slots = slots
        self._kept = slots.kept if slots is not None else Kept()

    def start(self, found: list[inputs.Found], now: Now, fx: Effects) -> None:
        """What the last life left was met again."""
        kept = self._kept
        if self._slots is not None and kept.is_trial_of(self._slots.version):
            is_known = self._asked.number == kept.number and not self._ctx.rebooted
            fault = lost(self._asked.instances, self._roster, found) if is_known else ""
            self.trial.begin(kept.number, kept.patience_s(limits.UPGRADE_OFFLINE_S), fault, now, fx)
        elif kept.stage is not Stage.IDLE:
            fx.act.append(inputs.AwaitInstalled())
        self._tell(now, fx)

    # ---------------------------------------------------------------------------------------- what is wanted

    def want(self, desired: Desired) -> None:
        """Follow the manifest."""
        former, (self._doc, self._raw) = self._doc, (None, b"")
        for doc, one in sorted(
            desired.of(documents.Upgrade).values(),
            key=lambda it: (shown.fitting(it[1], self._slots) is not None, it[1].number),
        ):
            self._raw, self._doc = doc.raw, one
        if self._doc != former:
            self._error, self._ctx.changed = "", True

    def artifacts_wanted(self) -> list[str]:
        """Return the package, as long as it is of use."""
        package = self._due()
        return [package.artifact] if package is not None else []

    def _due(self) -> documents.Package | None:
        """Return the package that is to be put in place here."""
        doc, slots = self._doc, self._slots
        if doc is None or slots is None or self._error or doc.number <= self._kept.number:
            return None
        return shown.fitting(doc, slots) if shown.version(doc, slots) != slots.version else None

    def tick(self, is_held: bool, now: Now, fx: Effects) -> None:
        """Do the next thing; while updates are held here, begin with nothing."""
        self.trial.tick(now, fx)
        doc, package = self._doc, self._due()
        if doc is None or package is None or self._is_asking or is_held:
            return
        if not self._artifacts.has(package.artifact):
            self._artifacts.want(package.artifact, now, fx)
            return
        self._is_asking = True
        if self._asked.number != doc.number:
            self._note("upgrade.asked", doc.full(package.release), doc.number, "", now, fx)
        self._keep(Asked(number=doc.number, instances=running(self._roster)), fx)
        fx.act.append(inputs.Install(number=doc.number, request=self._raw))

    # ---------------------------------------------------------------------------------------- what comes

    def answered(self, got: inputs.Installed, now: Now, fx: Effects) -> None:
        """Root's part has answered, or did not."""
        self._is_asking, self._kept, self._error = False, got.kept, got.error
        self._tell(now, fx)

    def _tell(self, now: Now, fx: Effects) -> None:
        """Journal what became of what was asked for, once."""
        kept = self._kept
        self._ctx.changed = True
        if kept.outcome is Outcome.NONE or kept.number != self._asked.number or self._asked.is_told:
            return
        self._note(f"upgrade.{kept.outcome}", kept.version, kept.number, kept.reason, now, fx)
        self._keep(msgspec.structs.replace(self._asked, is_told=True), fx)

    def _note(self, kind: str, version: str, number: int, reason: str, now: Now, fx: Effects) -> None:
        body = UpgradeFact(
            version=version, former=self._here, by=self._doc.by if self._doc else "", number=number, reason=reason
        )
        self._ctx.note("audit", kind, "", body, now, fx)

    def _keep(self, asked: Asked, fx: Effects) -> None:
        self._asked = asked
        self._ctx.put(_SPACE, _KEY, asked, fx)

    # ---------------------------------------------------------------------------------------- what is shown

    def report(self) -> status.UpgradeReport | None:
        """Return how far it is; None: nothing is asked for."""
        doc = self._doc
        if doc is None:
            return None
        state, reason = shown.state(doc, self._slots, self._kept, is_asking=self._is_asking, silent=self._error)
        package, version = shown.fitting(doc, self._slots), shown.version(doc, self._slots)
        reason = reason or (self._artifacts.error(package.artifact) if package is not None else "")
        return status.UpgradeReport(number=doc.number, version=version, running=self._here, state=state, reason=reason)
