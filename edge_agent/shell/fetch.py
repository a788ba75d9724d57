"""Download one artifact: a short-lived helper (`python -m edge_agent.shell.fetch`), so the daemon loads no HTTP client.

One Job as JSON on stdin (the ticket is a secret: never in argv, INVARIANTS C11), one Outcome as JSON on stdout. A
broken download stays beside its target and is resumed; bytes are verified before anything of them is unpacked, and the
folder gets its name only when it is whole and on the disk.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import httpx
import msgspec

from edge_agent.shell import placing
from protocol import ids, limits
from protocol.aio import tls
from protocol.aio.joining import proxied
from protocol.errors import Refused, SkerryError, TooLarge

_REFUSED = frozenset({401, 403, 410})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch, from where, into which folder (its name is the digest's hex)."""

    url: str
    hub: str
    root: str
    digest: str
    ticket: str
    folder: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`error` empty: the artifact is in place."""

    error: str = ""
    ticket_refused: bool = False


class TicketRefused(SkerryError):
    """The hub wants another ticket."""


def fetch(job: Job, client: httpx.Client) -> None:
    """Bring the artifact into place. Raises SkerryError, OSError, httpx.HTTPError."""
    folder = Path(job.folder)
    name = ids.digest(job.digest).removeprefix("sha256:")
    part = folder / f".part-{name}"
    if not (folder / name).is_dir():
        _download(job, part, client)
        _verify(part, name)
        placing.place(part, folder, name)
    part.unlink(missing_ok=True)


def _download(job: Job, part: Path, client: httpx.Client) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Authorization": f"Ticket {job.ticket}"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", f"{job.url}/v1/artifacts/{job.digest}", headers=headers) as response:
        if response.status_code == 416:  # what is here is all there is, or more: the digest will tell
            return
        if response.status_code in _REFUSED:
            raise TicketRefused(f"the hub refused the ticket ({response.status_code})")
        if response.status_code not in (200, 206):
            lacks = (
                "it lacks that: apply there again what needs it" if response.status_code == 404 else "it is tried again"
            )
            raise Refused(f"the hub answered {response.status_code} for the artifact {job.digest[:19]}…: {lacks}")
        with open(part, "ab" if response.status_code == 206 else "wb") as file:
            size = file.tell()
            for chunk in response.iter_raw():  # as it comes: what is gathered first would be lost when it breaks
                size += len(chunk)
                if size > limits.ARTIFACT_BYTES_MAX:
                    break
                file.write(chunk)
    if size > limits.ARTIFACT_BYTES_MAX:
        part.unlink()
        raise TooLarge(f"the artifact {job.digest[:19]}… is over {limits.ARTIFACT_BYTES_MAX} bytes")


def _verify(part: Path, name: str) -> None:
    with open(part, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != name:
        part.unlink()
        raise Refused(f"the bytes that came are not the artifact sha256:{name[:12]}… (they are {found[:12]}…)")


def main() -> None:
    """Do the job on stdin."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    outcome = Outcome()
    try:
        context = tls.api_context(Path(job.root).read_text(), job.hub)
        with proxied.client(context, limits.FETCH_PROGRESS_S) as client:
            fetch(job, client)
    except TicketRefused as error:
        outcome = Outcome(error=str(error), ticket_refused=True)
    except httpx.ProxyError as error:
        outcome = Outcome(error=proxied.doubt(job.url, error))
    except httpx.HTTPError as error:
        outcome = Outcome(error=f"cannot fetch from {job.url}: {error or type(error).__name__}")
    except (SkerryError, OSError) as error:
        outcome = Outcome(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
