"""Bad input through the real command: one clear error, its exit code, and nothing applied."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import limits
from tests.contract.cli.test_real_hub import SKERRY, RealHub

FIVE = """\
apiVersion: skerry/v1
kind: Service
metadata: {name: Line_Vision}
spec:
  process: {command: python3 watch.py, user: nobody}
  placement: {selector: "site=oslo", count: none}
  restrat: {policy: always}
  stop: {grace: 10 lightyears}
"""
WORKFLOW = """\
apiVersion: skerry/v1
kind: Workflow
metadata: {name: flow}
spec:
  placement: {selector: site=oslo}
  triggers: [{cron: "0 6 * * *", timezone: ZONE}]
  steps:
    - {name: one, needs: [NEEDS], run: ["true"]}
    - {name: two, needs: [one], run: ["true"]}
"""
SERVICE = """\
apiVersion: skerry/v1
kind: Service
metadata: {name: NAME}
spec:
  process: {command: [sleep, "600"]}
  placement: {selector: "site=oslo"}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for this module."""
    made = RealHub(tmp_path_factory.mktemp("hub"))
    yield made
    made.close()


def _refused(hub: RealHub, path: Path, *words: str, code: int = 1) -> str:
    """Apply `path`; it is refused with `code` and no traceback, and nothing is declared. Return what was said."""
    done = hub("apply", "-f", str(path), *words)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr + done.stdout
    assert _declared(hub) == []
    return done.stdout + done.stderr


def _declared(hub: RealHub) -> list[str]:
    names: list[str] = []
    for kind in ("services", "workflows"):
        names += [one["name"] for one in json.loads(hub("get", kind, "-o", "json").stdout)]
    return names


def _file(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


def test_five_mistakes_are_all_named_with_line_and_column(hub: RealHub, tmp_path: Path) -> None:
    path = _file(tmp_path, FIVE)
    said = _refused(hub, path)
    for place in ("3:18", "5:22", "6:45", "7:3", "8:17"):
        assert f"\n  {place}  " in said, f"{place} is not named in\n{said}"
    assert f"{path}: 5 mistakes, nothing applied" in said
    assert 'did you mean "restart"?' in said, "an unknown field comes with a suggestion"


def test_a_cycle_is_named_step_by_step(hub: RealHub, tmp_path: Path) -> None:
    said = _refused(hub, _file(tmp_path, WORKFLOW.replace("ZONE", "UTC").replace("NEEDS", "two")))
    assert "one" in said
    assert "two" in said
    assert "cycle" in said or "circle" in said


def test_an_unknown_time_zone_is_no_time_zone(hub: RealHub, tmp_path: Path) -> None:
    said = _refused(hub, _file(tmp_path, WORKFLOW.replace("ZONE", "Europe/Olso").replace("NEEDS", "")))
    assert "Europe/Oslo" in said


def test_a_selector_that_matches_nobody_says_so_and_selects_nobody(hub: RealHub, tmp_path: Path) -> None:
    path = _file(tmp_path, SERVICE.replace("NAME", "nowhere"))
    done = hub("apply", "-f", str(path))
    assert done.returncode == 0
    assert "no node" in done.stdout + done.stderr
    ran = hub("run", "-l", "site=nowhere", "--", "true")
    assert ran.returncode == 1
    assert "site=nowhere" in ran.stderr
    assert hub("run", "-l", "", "--", "true").returncode == 2, "an empty selector selects nobody"
    assert hub("delete", "service/nowhere").returncode == 0


def test_a_document_that_is_too_large_is_refused_by_its_size(hub: RealHub, tmp_path: Path) -> None:
    padded = (
        SERVICE.replace("NAME", "large") + f"  files: [{{path: a, text: '{'x' * limits.FILES_INLINE_BYTES_MAX}x'}}]\n"
    )
    assert "KiB" in _refused(hub, _file(tmp_path, padded))
    assert "MiB" in _refused(hub, _file(tmp_path, "# " + "x" * limits.SPEC_BYTES_MAX + "\n"), code=2)


def test_an_artifact_that_climbs_out_is_refused(hub: RealHub, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "app").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    text = SERVICE.replace("NAME", "climber")
    assert "climbs out" in _refused(hub, _file(folder, text + "  artifact: ../in/../\n"))
    (folder / "app" / "way-out").symlink_to("../../secret")
    assert "link out" in _refused(hub, _file(folder, text + "  artifact: ./app\n"))
    (folder / "app" / "way-out").unlink()
    os.mkfifo(folder / "app" / "pipe")
    assert "pipe" in _refused(hub, _file(folder, text + "  artifact: ./app\n"))


def test_an_artifact_that_changes_while_it_is_packed_is_refused(hub: RealHub, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "grows").write_bytes(os.urandom(8_000_000))
    over = threading.Event()

    def grow() -> None:
        with (app / "grows").open("ab") as file:
            while not over.is_set():
                file.write(b"more")
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        said = _refused(hub, _file(tmp_path, SERVICE.replace("NAME", "restless") + "  artifact: ./app\n"))
    finally:
        over.set()
        thread.join()
    assert "changed while it was packed" in said


def test_a_hub_that_is_down_is_exit_code_3(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        data = str(tmp_path / "hub")
        env = {**os.environ, "SKERRY_CONTEXT": str(tmp_path / "context.json")}
        init = [SKERRY, "hub", "init", "--name", "c", "--data", data, "--api", f"127.0.0.1:{port}"]
        subprocess.run(init, env=env, check=True, capture_output=True)
        for words in (["get", "nodes"], ["run", "--node", "x", "--", "true"], ["events"], ["delete", "service/x"]):
            done = subprocess.run([SKERRY, *words], env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 3, done
            assert done.stderr.startswith("error: ")
            assert str(port) in done.stderr
            assert "Traceback" not in done.stderr


def test_a_hub_on_what_it_cannot_use_says_what_to_do(hub: RealHub, tmp_path: Path) -> None:
    data = hub.folder / "hub"
    assert "is in use by process" in _serve(data), "a locked data directory"
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    assert "another process has it" in _serve(copy), "a port in use"
    with sqlite3.connect(copy / "hub.db") as db:
        db.execute("PRAGMA user_version = 999")
        db.execute("PRAGMA application_id = 999")
    db.close()
    said = _serve(copy)
    assert "newer" in said
    assert "999" in said
    assert "no hub" in _serve(tmp_path / "nothing") or "init" in _serve(tmp_path / "nothing")


def _serve(data: Path) -> str:
    """Serve a hub that cannot be served; return its one line."""
    done = subprocess.run(
        [SKERRY, "hub", "serve", "--data", str(data)], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines() if "\n" not in done.stderr.strip() else [" ".join(done.stderr.split())]
    assert line.startswith("error: ")
    assert "Traceback" not in line
    return line
