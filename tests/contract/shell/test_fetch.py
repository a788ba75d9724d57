"""Downloads as a bad network and an odd hub make them: resumed, verified, and nothing in place that is not whole."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from edge_agent.core import inputs
from edge_agent.shell import artifacts, fetch, identity
from edge_agent.shell.runners.children import Helpers
from tests.support.pki import Pki


class Hub:
    """A real HTTPS server with a hub's certificate that serves one artifact as it is told to."""

    def __init__(self, folder: Path, content: bytes) -> None:
        folder.mkdir()
        self.pki = Pki(folder)
        self.content = content
        self.digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.break_after: int | None = None
        self.status = 0
        self.asked: list[tuple[str, str]] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = self.pki.parent_context()
        context.verify_mode = False  # pyright: ignore[reportAttributeAccessIssue]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range", "")
                hub.asked.append((self.headers.get("Authorization", ""), wanted))
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                whole = hub.content[start:]
                self.send_response(hub.status or (206 if wanted else 200))
                self.send_header("Content-Length", str(len(whole)))
                self.end_headers()
                self.wfile.write(whole[: hub.break_after])
                if hub.break_after is not None:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                pass

        return Handler

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def _packed(tmp_path: Path) -> bytes:
    (tmp_path / "app.sh").write_text("#!/bin/sh\necho hi\n" + "# pad\n" * 1_000)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "app.sh", "app.sh")
    return zstandard.ZstdCompressor(level=1).compress((tmp_path / "a.tar").read_bytes())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path / "hub", _packed(tmp_path))
    yield made
    made.close()


@pytest.fixture
def data(tmp_path: Path, hub: Hub) -> Path:
    place = tmp_path / "a"
    place.mkdir()
    (place / "root.pem").write_bytes(hub.pki.root)
    (place / "artifacts").mkdir()
    return place


def _fetch(hub: Hub, data: Path, *, name: str = "hub", digest: str = "") -> fetch.Outcome:
    job = fetch.Job(
        url=f"https://127.0.0.1:{hub.server.server_port}",
        hub=name,
        root=str(data / "root.pem"),
        digest=digest or hub.digest,
        ticket="t1",
        folder=str(data / "artifacts"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent.shell.fetch"],
        input=fetch.msgspec.json.encode(job),
        capture_output=True,
        check=True,
    )
    return fetch.msgspec.json.decode(done.stdout, type=fetch.Outcome)


def test_an_artifact_is_fetched_once_with_its_ticket(hub: Hub, data: Path) -> None:
    assert _fetch(hub, data) == fetch.Outcome()
    assert _fetch(hub, data) == fetch.Outcome()

    assert hub.asked == [("Ticket t1", "")]
    assert identity.artifacts(data) == [hub.digest]
    assert sorted(path.name for path in (data / "artifacts").iterdir()) == [hub.digest.removeprefix("sha256:")]


def test_a_broken_download_is_resumed_where_it_broke(hub: Hub, data: Path) -> None:
    hub.break_after = 20
    assert "cannot fetch from" in _fetch(hub, data).error
    assert identity.artifacts(data) == []
    hub.break_after = None

    assert _fetch(hub, data) == fetch.Outcome()
    assert hub.asked[1] == ("Ticket t1", "bytes=20-")
    assert identity.artifacts(data) == [hub.digest]


def test_other_bytes_are_refused_and_not_resumed_from(hub: Hub, data: Path) -> None:
    good, hub.content = hub.content, b"other bytes"
    assert "are not the artifact" in _fetch(hub, data).error
    assert list((data / "artifacts").iterdir()) == []
    hub.content = good

    assert _fetch(hub, data) == fetch.Outcome()


def test_bytes_that_are_no_archive_are_refused_after_they_are_verified(hub: Hub, data: Path) -> None:
    hub.content = b"plain text" * 100
    outcome = _fetch(hub, data, digest="sha256:" + hashlib.sha256(hub.content).hexdigest())

    assert "not a whole archive" in outcome.error
    assert list((data / "artifacts").iterdir()) == []


@pytest.mark.parametrize(("status", "ticket"), [(403, True), (401, True), (404, False), (503, False)])
def test_a_refused_ticket_is_told_apart_from_other_refusals(hub: Hub, data: Path, status: int, ticket: bool) -> None:
    hub.status = status

    outcome = _fetch(hub, data)

    assert (bool(outcome.error), outcome.ticket_refused) == (True, ticket)


def test_a_hub_of_another_name_or_root_is_not_asked(hub: Hub, data: Path, tmp_path: Path) -> None:
    assert "certificate verify failed" in _fetch(hub, data, name="other").error
    (tmp_path / "other").mkdir()
    (data / "root.pem").write_bytes(Pki(tmp_path / "other").root)
    assert "certificate verify failed" in _fetch(hub, data).error
    assert hub.asked == []


async def test_the_daemon_s_side_reports_and_collects(hub: Hub, data: Path) -> None:
    told: list[inputs.Input] = []
    file = identity.AgentFile(
        node="oslo-1",
        hub="hub",
        parent="hub",
        scope="hub.skerry",
        mqtt=identity.Mqtt(host="127.0.0.1", port=1, name="hub"),
        api=identity.Address(host="127.0.0.1", port=hub.server.server_port),
        root_pin="0" * 64,
    )
    async with asyncio.TaskGroup() as group:
        kept = artifacts.Artifacts(data, file, report=told.append, group=Helpers(group))
        for _ in range(3):
            kept.fetch(inputs.Fetch(digest=hub.digest, ticket="t1"))
        kept.fetch(inputs.Fetch(digest="sha256:short", ticket="t1"))

    errors = {one.digest: one.error for one in told if isinstance(one, inputs.Fetched)}
    assert errors[hub.digest] == ""
    assert "is not a digest" in errors["sha256:short"]
    assert len(told) == 2
    assert kept.here() == [hub.digest]
    for left in (".gone-" + "a" * 64, ".new-" + "b" * 64):  # by a crash
        (data / "artifacts" / left / "folder").mkdir(parents=True)
    (data / "artifacts" / (".part-" + "c" * 64)).write_text("half")
    async with asyncio.TaskGroup() as group:
        kept = artifacts.Artifacts(data, file, report=told.append, group=Helpers(group))
        kept.collect(inputs.Collect(keep=[hub.digest]))
        assert kept.here() == [hub.digest]
        kept.collect(inputs.Collect(keep=[]))
        assert kept.here() == []
    assert list((data / "artifacts").iterdir()) == []
