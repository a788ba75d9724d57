"""An artifact that was carried is unpacked by a short-lived helper (`python -m edge_agent.shell.stick.place`)."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.runners import children
from protocol import limits
from protocol.errors import Refused, SkerryError


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    folder: str
    name: str


class _Outcome(msgspec.Struct, frozen=True):
    error: str = ""


async def place(data: Path, path: Path, name: str) -> None:
    """Unpack the verified archive at `path` as the artifact `name` (hex). Raises Refused, OSError."""
    folder = data / identity.ARTIFACTS
    job = _Job(path=str(path), folder=str(folder), name=name)
    done = await children.run(
        [sys.executable, "-m", "edge_agent.shell.stick.place"],
        timeout_s=limits.FETCH_WAIT_S,
        stdin=msgspec.json.encode(job),
        output_bytes_max=limits.HELPER_OUTPUT_BYTES_MAX,
    )
    try:
        outcome = msgspec.json.decode(done.output, type=_Outcome)
    except msgspec.DecodeError:
        last = done.output.decode(errors="replace").strip().rpartition("\n")[2]
        outcome = _Outcome(error=f"the helper that unpacks failed ({done.code}): {last[:200]}")
    if outcome.error:
        raise Refused(outcome.error)


def main() -> None:
    """Do the job on stdin."""
    from edge_agent.shell import placing  # what unpacks, for the helper only: the daemon starts it from this module

    job = msgspec.json.decode(sys.stdin.buffer.read(), type=_Job)
    outcome = _Outcome()

    try:
        placing.place(Path(job.path), Path(job.folder), job.name)
    except (SkerryError, OSError) as error:
        outcome = _Outcome(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
