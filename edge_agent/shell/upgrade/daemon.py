"""The daemon's part: it asks, says how it is, and waits for what root's part keeps. It loads nothing that proves."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from pathlib import Path

from edge_agent.core import inputs
from protocol import limits
from protocol.aio.upgrade import places
from protocol.aio.upgrade.places import Places
from protocol.aio.upkeep import synced
from protocol.upgrade.words import DEBIAN_ARCHES, Kept, Said, Stage

_SILENT = "what installs here did nothing: journalctl -u skerry-agent-upgrade"

Put = Callable[[inputs.Input], None]


def here(data: Path) -> Places:
    """Return where its package puts it, with the daemon's folder `data`."""
    return Places(
        name="skerry-agent", lib=Path("/usr/lib/skerry-agent"), state=Path("/var/lib/skerry/upgrade"), data=data
    )


def slots(at: Places) -> inputs.Slots | None:
    """Return which version this is, and what root's part keeps; None when it is not a package's."""
    version = places.own_version(at)
    if not version or not at.state.is_dir():
        return None
    arch = DEBIAN_ARCHES.get(platform.machine(), platform.machine())
    return inputs.Slots(version=version, release=places.release(), arch=arch, kept=places.kept(at))


async def install(at: Places, action: inputs.Install, put: Put) -> None:
    """Perform an Install. A version that is put on trial ends this process before it is told."""
    try:
        at.request.parent.mkdir(mode=0o700, exist_ok=True)
        synced.write(at.request, action.request)
    except OSError as error:
        put(inputs.Installed(kept=places.kept(at), error=f"cannot ask for it in {at.data}: {error.strerror}"))
        return
    kept = await _settled(at, lambda kept: kept.number >= action.number or not at.request.exists())
    put(inputs.Installed(kept=kept, error="" if kept.number >= action.number else _SILENT))


async def vouch(at: Places, action: inputs.Vouch, put: Put) -> None:
    """Perform a Vouch."""
    try:
        at.said.parent.mkdir(mode=0o700, exist_ok=True)
        places.write(at.said, Said(number=action.number, fault=action.fault), 0o600)
    except OSError:
        return  # nothing was said, so it is gone back from
    await settle(at, put)


async def settle(at: Places, put: Put) -> None:
    """Tell what is kept when root's part is at rest."""
    put(inputs.Installed(kept=await _settled(at, lambda _: True)))


async def _settled(at: Places, is_answer: Callable[[Kept], bool]) -> Kept:
    """Return what is kept once it is at rest and an answer."""
    while True:
        kept = places.kept(at)
        if kept.stage is Stage.IDLE and is_answer(kept):
            return kept
        await asyncio.sleep(limits.UPGRADE_LOOK_S)
