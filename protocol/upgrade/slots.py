"""How one version of a daemon (an agent, a hub) takes the place of another, done as root and apart from the daemon.

Versions lie side by side. `current` names the one that runs, `good` the last one that was well; it is the code of
`good` that decides here, so a new version cannot keep itself in place by being broken.

    stage    on the disk                                      who finds it so (after a power cut, too)
    IDLE     `current` and `good` are one                     takes the wish, if there is one: refuses it, or unpacks
    TRIAL    the new version is whole; `current` is either    `current` to the new one, starts the daemon, waits
    PROVEN   the new one has said that all is well            `good` to the new one, removes the former
    FAILED   it did not say so in time, or said why not       `current` to `good`, starts the daemon, drops the new one

A stage is stored before anything follows from it, every deed may be done twice, and `current` names a whole version at
all times: whatever is cut off, a daemon starts, and who comes next goes on from what is stored. A trial that was cut
off too often has failed: a version may be what takes the power away, so that each is counted before the daemon starts,
at a boot by `at_boot`.
"""

from __future__ import annotations

import msgspec

from protocol import limits
from protocol.upgrade import words


def decide(kept: words.Kept, seen: words.Seen) -> words.Deed | None:
    """Return what is to be done next; None: nothing is left."""
    match kept.stage:
        case words.Stage.TRIAL:
            return _trial(kept, seen)
        case words.Stage.PROVEN:
            return _proven(kept, seen)
        case words.Stage.FAILED:
            return _failed(kept, seen)
        case words.Stage.IDLE:
            return _idle(kept, seen)


def at_boot(kept: words.Kept, seen: words.Seen) -> words.Deed | None:
    """Return what is to be done next before the daemon starts with the machine; None: it may start."""
    if kept.stage is words.Stage.TRIAL and not seen.is_begun:
        counted = _count(kept).kept
        return words.Keep(msgspec.structs.replace(counted, is_counted=counted.stage is words.Stage.TRIAL))
    if kept.stage is words.Stage.FAILED and seen.current != seen.good:
        return words.Switch("current", seen.good)
    return None


def _idle(kept: words.Kept, seen: words.Seen) -> words.Deed | None:
    wish = seen.wish
    if wish is None:
        return None
    if wish.number <= kept.number:
        return words.Drop()
    taken = words.Kept(number=wish.number, version=wish.version, confirm_s=wish.confirm_s)
    if wish.fault:
        return words.Keep(msgspec.structs.replace(taken, outcome=words.Outcome.REFUSED, reason=wish.fault))
    if wish.version == seen.good:
        return words.Keep(msgspec.structs.replace(taken, outcome=words.Outcome.DONE))
    if wish.version not in (seen.unpacked, seen.floor):
        return words.Remove(wish.version) if wish.version in seen.versions else words.Unpack(wish.version)
    return words.Keep(msgspec.structs.replace(taken, stage=words.Stage.TRIAL))


def _trial(kept: words.Kept, seen: words.Seen) -> words.Deed:
    said = seen.said
    if said is not None and said.number == kept.number and seen.current == kept.version:
        if said.fault:
            return _gone_back(kept, said.fault)
        return words.Keep(msgspec.structs.replace(kept, stage=words.Stage.PROVEN))
    if kept.version not in seen.versions:
        return _gone_back(kept, "its files are gone")
    if not seen.is_begun:
        return words.Keep(msgspec.structs.replace(kept, is_counted=False)) if kept.is_counted else _count(kept)
    if seen.current != kept.version:
        return words.Switch("current", kept.version)
    if seen.waited_s is None:
        return words.Restart()
    if seen.ends >= limits.UPGRADE_ENDS_MAX:
        return _gone_back(kept, f"it ended {seen.ends} times by itself")
    if seen.waited_s >= kept.confirm_s:
        return _gone_back(kept, f"it did not say in {kept.confirm_s:g} s that all is well")
    return words.Wait()


def _count(kept: words.Kept) -> words.Keep:
    if kept.tries >= limits.UPGRADE_TRIES_MAX:
        return _gone_back(kept, f"the machine stopped in each of {kept.tries} trials")
    return words.Keep(msgspec.structs.replace(kept, tries=kept.tries + 1))


def _gone_back(kept: words.Kept, reason: str) -> words.Keep:
    return words.Keep(msgspec.structs.replace(kept, stage=words.Stage.FAILED, reason=reason))


def _proven(kept: words.Kept, seen: words.Seen) -> words.Deed:
    if seen.good != kept.version:
        return words.Switch("good", kept.version)
    return _cleared(kept, seen, words.Outcome.DONE)


def _failed(kept: words.Kept, seen: words.Seen) -> words.Deed:
    if seen.current != seen.good:
        return words.Switch("current", seen.good)
    if seen.waited_s is None:
        return words.Restart()
    return _cleared(kept, seen, words.Outcome.BACK)


def _cleared(kept: words.Kept, seen: words.Seen, outcome: words.Outcome) -> words.Deed:
    spare = sorted(seen.versions - {seen.good, seen.floor})
    if spare:
        return words.Remove(spare[0])
    return words.Keep(msgspec.structs.replace(kept, stage=words.Stage.IDLE, outcome=outcome))
