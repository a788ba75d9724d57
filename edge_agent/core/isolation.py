"""What a workload is to be kept from, and what of it this device can enforce (names that its shell found out).

name                                       it can
memory cpu pids                            bound a workload as a whole
no_new_privileges rlimits groups           keep it from gaining rights, bound each process, add groups
read_only private_tmp no_network paths     hide, and protect
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from protocol import documents

WORDS = {
    "memory": "a bound of its memory",
    "cpu": "a share of the processors",
    "pids": "a bound of its processes",
    "groups": "further groups",
    "rlimits": "limits of its processes",
    "read_only": "paths that it cannot write",
    "private_tmp": "a /tmp of its own",
    "no_network": "no network",
    "paths": "the paths that it may touch",
}
_SPOKEN = {"pids": "processes", "no_network": "network: none"}
"""What differs in the words of a spec."""


class Able(msgspec.Struct, frozen=True, kw_only=True):
    """What this device can enforce; `why` says of the rest why not, where that is known.

    `waits`: why nothing can be started now, or nobody knows what could be enforced: then nothing is started.
    """

    names: frozenset[str] = frozenset()
    why: dict[str, str] = {}
    waits: str = ""


def nobody(why: str) -> Able:
    """Return that of a device that can enforce nothing, and `why`."""
    return Able(why=dict.fromkeys(WORDS, why))


def summary(able: Able) -> str:
    """Return what this device can enforce, for people, in the words of a spec."""
    if able.waits and not able.names:
        return "what is not known yet"
    missing = _missing(WORDS, _SPOKEN, able)
    if not missing:
        return "all of it"
    return (
        f"all but {missing}"
        if able.names
        else f"nothing of it ({'; '.join(sorted({*able.why.values()})) or 'unknown why'})"
    )


def lacks(process: documents.Process, able: Able) -> str:
    """Return what this device cannot enforce of what `process` declares and why, for people; empty: nothing."""
    return "" if able.waits and not able.names else _missing(_declared(process), WORDS, able)


def _missing(names: Iterable[str], words: Mapping[str, str], able: Able) -> str:
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if name not in able.names:
            by_reason.setdefault(able.why.get(name, ""), []).append(words.get(name, name))
    return ", ".join(", ".join(found) + (f" ({why})" if why else "") for why, found in by_reason.items())


def refusal(process: documents.Process, able: Able) -> str:
    """Return why `process` may not run here; empty: it may."""
    missing = lacks(process, able) if process.isolation.required else ""
    return missing and f"refused: its isolation is required, and this device cannot enforce {missing}"


def told(process: documents.Process, able: Able) -> str:
    """Return what people are to know of a workload that runs here without all that it declares; empty: nothing."""
    missing = lacks(process, able)
    return missing and (
        f"this device cannot enforce {missing}: it runs without; `required: true` in its isolation would refuse it"
    )


def enforceable(process: documents.Process, able: Able) -> documents.Process:
    """Return `process` with that of its isolation which this device enforces: what is asked then is done, or fails."""
    if process.isolation == documents.Isolation():
        return process
    wanted, replaced = process.isolation, dict[str, object]()
    for name, fields in (
        ("groups", ("groups",)),
        ("rlimits", ("rlimits",)),
        ("read_only", ("read_only",)),
        ("private_tmp", ("private_tmp",)),
        ("no_network", ("no_network",)),
        ("paths", ("reads", "writes")),
    ):
        if name not in able.names:
            replaced |= {field: getattr(documents.Isolation(), field) for field in fields}
    return msgspec.structs.replace(process, isolation=msgspec.structs.replace(wanted, **replaced))


def _declared(process: documents.Process) -> Iterator[str]:
    limits, isolation = process.limits, process.isolation
    declared = {
        "memory": limits.memory_bytes is not None,
        "cpu": limits.cpu is not None,
        "pids": limits.processes is not None,
        "groups": bool(isolation.groups),
        "rlimits": bool(isolation.rlimits),
        "read_only": bool(isolation.read_only),
        "private_tmp": isolation.private_tmp,
        "no_network": isolation.no_network,
        "paths": bool(isolation.reads or isolation.writes),
    }
    yield from (name for name, is_declared in declared.items() if is_declared)
