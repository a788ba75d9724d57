"""What is left of the state after a store was damaged, made whole: what refers to what is gone goes too.

Only state that a manifest or a person can bring back is let go: a run without its definition, a step without its run.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edge_agent.core.workflows import run
from protocol.snapshot import Snapshot

_run = msgspec.json.Decoder(run.Record).decode
_digest = msgspec.json.Decoder(str).decode


def mended(snapshot: Snapshot) -> tuple[Snapshot, list[tuple[str, str]]]:
    """Return `snapshot` without what hangs in the air, and the (space, key) of that."""
    spaces = {space: dict(values) for space, values in snapshot.spaces.items()}
    gone: list[tuple[str, str]] = []
    for find in (_workflows, _runs, _steps):
        for space, key in list(find(spaces)):
            del spaces[space][key]
            gone.append((space, key))
    return msgspec.structs.replace(snapshot, spaces=spaces), gone


def _workflows(spaces: dict[str, dict[str, bytes]]) -> Iterator[tuple[str, str]]:
    known = spaces.get("definition", {})
    return (("workflow", name) for name, raw in spaces.get("workflow", {}).items() if _digest(raw) not in known)


def _runs(spaces: dict[str, dict[str, bytes]]) -> Iterator[tuple[str, str]]:
    known = spaces.get("definition", {})
    return (("run", key) for key, raw in spaces.get("run", {}).items() if _run(raw).definition not in known)


def _steps(spaces: dict[str, dict[str, bytes]]) -> Iterator[tuple[str, str]]:
    known = spaces.get("run", {})
    return (("step", key) for key in spaces.get("step", {}) if key.partition("/")[0] not in known)
