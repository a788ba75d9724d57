"""What people at devices are asked to give back: each kept until it has ended, lapses, or its node is out for good."""

from __future__ import annotations

import msgspec

from protocol import documents, limits, status
from protocol.effects import Delete, Effects, Now, Put
from protocol.snapshot import Snapshot

SPACE = "release"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an override, or for the end of a hold; kept until it has ended or `until_ms`."""

    node: str
    document: documents.ReleaseRequest
    until_ms: int


class Releases:
    """All requests, by node and service; an empty service is the hold of updates."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._all: dict[str, dict[str, Release]] = {}
        for raw in snapshot.spaces.get(SPACE, {}).values():
            release = msgspec.json.decode(raw, type=Release)
            self._all.setdefault(release.node, {})[release.document.service] = release

    def ask(self, node: str, document: documents.ReleaseRequest, now: Now, fx: Effects) -> None:
        """Ask the person at `node`."""
        release = Release(node=node, document=document, until_ms=int((now.wall + limits.RELEASE_ASKED_S_MAX) * 1000))
        self._all.setdefault(node, {})[document.service] = release
        fx.store.append(Put(SPACE, f"{node}/{document.service}", msgspec.json.encode(release)))

    def has(self, node: str) -> bool:
        """Tell whether anything is asked of `node`."""
        return bool(self._all.get(node))

    def end(self, node: str, report: status.Report, now: Now, fx: Effects) -> bool:
        """Withdraw what is over, by a report that saw the present manifest, and what has lapsed; tell if any was."""
        over = [
            service
            for service, release in self._all.get(node, {}).items()
            if not _stands(service, report) or now.wall * 1000 >= release.until_ms
        ]
        for service in over:
            self._drop(node, service, fx)
        return bool(over)

    def forget(self, node: str, fx: Effects) -> None:
        """`node` is out for good."""
        for service in list(self._all.get(node, ())):
            self._drop(node, service, fx)

    def items(self, node: str) -> dict[str, bytes]:
        """Return the requests as a manifest lists them: document id -> bytes."""
        asked = (release.document for release in self._all.get(node, {}).values())
        return {documents.document_id(one): documents.encode(one) for one in asked}

    def _drop(self, node: str, service: str, fx: Effects) -> None:
        del self._all[node][service]
        if not self._all[node]:
            del self._all[node]
        fx.store.append(Delete(SPACE, f"{node}/{service}"))


def _stands(service: str, report: status.Report) -> bool:
    if not service:
        return report.hold is not None
    said = report.services.get(service)
    return said is not None and said.override is not None
