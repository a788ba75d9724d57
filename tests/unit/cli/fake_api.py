"""A small real HTTP server that answers as the hub's API does: for how things look, not for what they do."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl

Answer = tuple[int, object]


class FakeApi:
    """Answers by (method, path without the query); lists of lines are NDJSON. Remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer] = {}
        self.then: dict[tuple[str, str], dict[tuple[str, str], Answer]] = {}
        """What has changed once this was asked for."""
        self.asked: list[tuple[str, str, Any]] = []
        self.page_rows = 0
        """How many of a list it says at once; 0: all."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else a body waits for the acknowledgement of its head
            more = ""

            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size) if size else b""
                path = self.path.partition("?")[0]
                is_json = self.headers.get("Content-Type") == "application/json"
                fake.asked.append((self.command, self.path, json.loads(body) if is_json else body))
                status, data = fake.answers.get((self.command, path), (404, {"error": f"there is no {path}"}))
                fake.answers.update(fake.then.pop((self.command, path), {}))
                self.more = ""
                query = dict(parse_qsl(self.path.partition("?")[2]))
                if isinstance(data, list) and fake.page_rows:
                    at, listed = int(query.get("start", 0)), cast("list[object]", data)
                    size = min(fake.page_rows, int(query.get("limit", fake.page_rows)))
                    self.more = str(at + size) if at + size < len(listed) else ""
                    self.reply(status, listed[at : at + size])
                    return
                self.reply(status, cast("object", data))

            def reply(self, status: int, data: object) -> None:
                if isinstance(data, tuple):
                    raw = b"".join(json.dumps(line).encode() + b"\n" for line in cast("tuple[object, ...]", data))
                else:
                    raw = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                if self.more:
                    self.send_header("skerry-more", self.more)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                """Say nothing."""

        self.says("GET", "/v1/nodes/-/knocks", [])
        self.says("GET", "/v1/hub", hub("cloud"))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, method: str, path: str, data: object, status: int = 200) -> None:
        """Answer `path` with `data`; a tuple is a line for each."""
        self.answers[method, path] = (status, data)

    def context(self, folder: Path) -> Path:
        """Write a context that leads here, and return its path."""
        path = folder / "context.json"
        path.write_text(
            json.dumps({"url": self.url, "token": "t", "root_pem": "", "hub": "cloud", "name": "cloud.skerry"})
        )
        return path

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def node(name: str, **more: Any) -> dict[str, Any]:
    """Return a node as the API shows it, online and at rest."""
    return {
        "name": name,
        "address": name,
        "path": f"cloud/{name}",
        "kind": "agent",
        "through": "",
        "silent": "",
        "last_state": "online",
        "region": None,
        "more_services": 0,
        "labels": {"site": "oslo"},
        "state": "online",
        "since_ms": 1_700_000_000_000,
        "last_contact_ms": 1_700_000_000_000,
        "as_of_ms": 1_700_000_000_000,
        "desired_generation": 12,
        "observed_generation": 12,
        "term": 1,
        "settled": True,
        "epoch": "0" * 16,
        "cursors": {"state": {"epoch": "0" * 16, "seq": 10, "last": 10}},
        "version": "0.1.0",
        "missing": {},
        "lost": {},
        "losses": {},
        "waiting": [],
        "cordoned": False,
        "drained": False,
        "moved": "",
        "services": {"vision": {"state": "running", "healthy": True}},
        "workflows": {},
        "vitals": {
            "cpu": 0.12,
            "memory_used": 410_000_000,
            "memory_total": 2_000_000_000,
            "disk_used": 1,
            "disk_total": 2,
        },
        "conditions": [],
        "platform": {"arch": "arm64"},
        "alarms": [],
        "placed": ["service/vision"],
        "facts": {},
        "enrolled_ms": 1_700_000_000_000,
        "certificate_until_ms": 1_800_000_000_000,
        "revoked_reason": "",
    } | more


def hub(name: str, **more: Any) -> dict[str, Any]:
    """Return the hub itself as its API shows it: a root, with nothing below."""
    known: dict[str, Any] = {
        "name": name,
        "path": name,
        "version": "0.1.0",
        "ca_until_ms": 2_000_000_000_000,
        "parent": None,
        "conditions": [],
        "overrides": [],
        "region": {"nodes": {}, "hubs": {}, "tallies": {}},
    }
    return known | more
