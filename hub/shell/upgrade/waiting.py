"""Waiting, at the hub's machine, for what becomes of a version that was asked for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from hub.shell.upgrade.asked import Request
from protocol import limits
from protocol.aio.upgrade import places
from protocol.aio.upgrade.places import Places
from protocol.errors import Refused
from protocol.upgrade.words import Kept, Outcome, Stage

_ON_TRIAL = "on trial: "


def check_runs(at: Places) -> None:
    """Raise Refused unless the hub runs: else no version could show that it is well."""
    if _systemctl("is-active", at.name) not in ("active", "activating"):
        raise Refused(f"the hub does not run here (systemctl status {at.name}): start it first, or use apt install")


def come_to(at: Places, wished: Request, show: Callable[[str], None]) -> Kept:
    """Return what became of `wished`; `show` is told how far it is. Raises Refused when nothing did."""
    _systemctl("start", "--no-block", f"{at.name}-upgrade.service")
    until = time.monotonic() + 2 * wished.confirm_s + limits.UPGRADE_HUB_CONFIRM_S
    while time.monotonic() < until:
        kept = places.kept(at)
        is_taken = kept.number >= wished.number
        if is_taken and kept.stage is Stage.IDLE and not at.package.exists():
            return kept
        if not is_taken and not at.request.exists():
            raise Refused(f"what installs here did nothing: journalctl -u {at.name}-upgrade")
        show(_how_far(at, wished, kept) if is_taken else f"{wished.version}: unpacking it beside the one that runs")
        time.sleep(limits.UPGRADE_SHOW_S)
    raise Refused(f"{wished.version} is being tried for long: journalctl -fu {at.name}-upgrade says what becomes of it")


def told(kept: Kept, former: str) -> str:
    """Return what is said of a version that is in place. Raises Refused for one that is not."""
    match kept.outcome:
        case Outcome.BACK:
            raise Refused(f"{kept.version} was not well: {kept.reason}. This hub went back to {former}")
        case Outcome.REFUSED:
            raise Refused(f"{kept.reason}; nothing was changed")
        case _ if kept.version == former:
            return f"This hub is {former}, and runs it already: nothing was changed"
        case _:
            return f"This hub runs {kept.version} now, and all is well; it was {former}"


def _how_far(at: Places, wished: Request, kept: Kept) -> str:
    if kept.stage is Stage.FAILED:
        return f"{wished.version}: {kept.reason}; going back"
    said = _systemctl("show", "-P", "StatusText", at.name)
    return f"{wished.version}: {said if said.startswith(_ON_TRIAL) else 'starting it'}"


def _systemctl(*words: str) -> str:
    return subprocess.run(("systemctl", *words), capture_output=True, text=True, check=False).stdout.strip()
