"""What a service is to be kept from, and what of it this device can enforce (`able`: names that its shell found out).

able                                       it can
memory cpu pids                            bound a workload as a whole
no_new_privileges rlimits groups           keep it from gaining rights, bound each process, add groups
read_only private_tmp no_network paths     hide, and protect
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from protocol import documents

_WORDS = {
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


def lacks(process: documents.Process, able: Collection[str]) -> str:
    """Return what this device cannot enforce of what `process` declares, for people; empty: nothing."""
    return ", ".join(_WORDS[name] for name in _declared(process) if name not in able)


def refusal(process: documents.Process, able: Collection[str]) -> str:
    """Return why `process` may not run here; empty: it may."""
    missing = lacks(process, able) if process.isolation.required else ""
    return missing and f"refused: its isolation is required, and this device cannot enforce {missing}"


def told(process: documents.Process, able: Collection[str]) -> str:
    """Return what people are to know of a service that runs here without all that it declares; empty: nothing."""
    missing = lacks(process, able)
    return missing and (
        f"this device cannot enforce {missing}: it runs without; `required: true` in its isolation would refuse it"
    )


def enforceable(process: documents.Process, able: Collection[str]) -> documents.Process:
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
        if name not in able:
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
