"""Artifacts on this device: fetched by a helper process, kept by digest, collected when the core says so."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell import identity
from edge_agent.shell.runners import children, tree
from edge_agent.shell.runners.children import Helpers
from protocol import ids, limits
from protocol.errors import BadId


class _Outcome(msgspec.Struct, frozen=True):
    error: str = ""
    ticket_refused: bool = False


class Artifacts:
    """Performs Fetch and Collect; at most limits.FETCHES_MAX downloads at a time."""

    def __init__(
        self,
        data: Path,
        file: identity.AgentFile,
        *,
        report: Callable[[inputs.Input], None],
        group: Helpers,
    ) -> None:
        self._data = data
        self._folder = data / identity.ARTIFACTS
        self.file = file
        """Where they are fetched from; another one when the hub has moved."""
        self._report = report
        self._group = group
        self._room = asyncio.Semaphore(limits.FETCHES_MAX)
        self._under_way: set[str] = set()
        self._remove([*self._folder.glob(".gone-*"), *self._folder.glob(".new-*")])  # a crash left them

    def here(self) -> list[str]:
        """Return the digests that are verified and unpacked."""
        return identity.artifacts(self._data)

    def fetch(self, action: inputs.Fetch) -> None:
        """Perform a Fetch; one that is under way is not started twice."""
        if action.digest not in self._under_way:
            self._under_way.add(action.digest)
            self._group.create_task(self._fetch(action))

    async def _fetch(self, action: inputs.Fetch) -> None:
        try:
            async with self._room:
                outcome = await self._help(action)
        except (BadId, OSError) as error:
            outcome = _Outcome(error=str(error))
        finally:
            self._under_way.discard(action.digest)
        self._report(inputs.Fetched(digest=action.digest, error=outcome.error, ticket_refused=outcome.ticket_refused))

    async def _help(self, action: inputs.Fetch) -> _Outcome:
        api = self.file.api
        host = f"[{api.host}]" if ":" in api.host else api.host
        job = {
            "url": f"https://{host}:{api.port}",
            "hub": self.file.scope,
            "root": str(self._data / "root.pem"),
            "digest": ids.digest(action.digest),
            "ticket": action.ticket,
            "folder": str(self._folder),
        }
        done = await children.run(
            [sys.executable, "-m", "edge_agent.shell.fetch"],
            timeout_s=limits.FETCH_WAIT_S,
            stdin=msgspec.json.encode(job),
            output_bytes_max=limits.HELPER_OUTPUT_BYTES_MAX,
        )
        try:
            return msgspec.json.decode(done.output, type=_Outcome)
        except msgspec.DecodeError:
            last = done.output.decode(errors="replace").strip().rpartition("\n")[2]
            return _Outcome(error=f"the download helper failed ({done.code}): {last[:200]}")

    def collect(self, action: inputs.Collect) -> None:
        """Delete every artifact that is not in `keep`, in the background; half-fetched ones too."""
        keep = {digest.removeprefix("sha256:") for digest in action.keep}
        gone: list[Path] = []
        for path in self._folder.iterdir():
            half = path.name.removeprefix(".part-")
            with contextlib.suppress(OSError):  # a disk that fails: it stays, and goes in another life
                if half != path.name and half not in keep:
                    path.unlink()
                elif len(path.name) == 64 and path.name not in keep:
                    gone.append(path.rename(path.with_name(f".gone-{path.name}")))
        self._remove(gone)

    def _remove(self, places: list[Path]) -> None:
        if places:
            self._group.create_task(asyncio.to_thread(_remove, places))


def _remove(places: list[Path]) -> None:
    for place in places:
        tree.remove(place)
