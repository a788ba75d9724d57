"""The command against a real hub, over real TLS under the hub's own CA."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SKERRY = Path(sys.executable).with_name("skerry")
EXAMPLES = Path(__file__).parents[3] / "config" / "examples"


class RealHub:
    """A served hub in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = folder / "context.json"
        ports: list[int] = []
        with socket.socket() as one, socket.socket() as two:
            for listener in (one, two):
                listener.bind(("127.0.0.1", 0))
                ports.append(listener.getsockname()[1])
        where = ("--mqtt", f"127.0.0.1:{ports[0]}", "--api", f"127.0.0.1:{ports[1]}")
        self.made = self("hub", "init", "--name", "cloud", "--data", str(folder / "hub"), *where)
        self.process = subprocess.Popen(
            [SKERRY, "hub", "serve", "--data", folder / "hub"], stdout=subprocess.PIPE, env=self._env(), text=True
        )
        assert self.process.stdout is not None
        assert "ready" in self.process.stdout.readline()

    def _env(self) -> dict[str, str]:
        return {**os.environ, "SKERRY_CONTEXT": str(self.context)}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `skerry` with these words."""
        return subprocess.run(
            [SKERRY, *words], env=self._env(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `skerry` with these words, to read along."""
        return subprocess.Popen([SKERRY, *words], env=self._env(), stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """Ask it to stop and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for this module."""
    made = RealHub(tmp_path_factory.mktemp("hub"))
    yield made
    made.close()


def test_a_new_hub_says_what_it_made_and_what_is_next(hub: RealHub) -> None:
    assert hub.made.returncode == 0
    assert "Next:  skerry hub serve" in hub.made.stdout
    assert hub.context.stat().st_mode & 0o777 == 0o600


def test_a_second_hub_in_the_same_folder_is_refused(hub: RealHub) -> None:
    again = hub("hub", "init", "--name", "cloud", "--data", str(hub.folder / "hub"))
    assert again.returncode == 1
    assert "holds the hub 'cloud' already" in again.stderr


def test_the_examples_apply_with_their_artifact_and_then_differ_in_nothing(hub: RealHub) -> None:
    dry = hub("apply", "-f", str(EXAMPLES), "--dry-run", "-o", "json")
    assert [one["action"] for one in json.loads(dry.stdout)] == ["created", "created"]
    first = hub("apply", "-f", str(EXAMPLES))
    assert first.returncode == 0, first.stderr
    assert 'service/vitals created; no node matches "site=oslo"' in first.stdout
    assert "unchanged" in hub("apply", "-f", str(EXAMPLES)).stdout
    same = hub("diff", "-f", str(EXAMPLES), "--exit-code")
    assert (same.returncode, same.stdout) == (0, "")


def test_a_difference_is_shown_by_line(hub: RealHub, tmp_path: Path) -> None:
    hub("apply", "-f", str(EXAMPLES))
    (tmp_path / "vitals").symlink_to(EXAMPLES / "vitals")
    changed = (EXAMPLES / "vitals.yaml").read_text().replace('EVERY: "0.2"', 'EVERY: "1"').replace("./vitals", "./v")
    (tmp_path / "v").mkdir()
    (tmp_path / "a.yaml").write_text(changed)
    ran = hub("diff", "-f", str(tmp_path), "--exit-code")
    assert ran.returncode == 1
    assert "-      EVERY: '0.2'" in ran.stdout
    assert "+      EVERY: '1'" in ran.stdout


def test_a_token_is_made_listed_and_withdrawn(hub: RealHub) -> None:
    made = json.loads(hub("token", "create", "--label", "site=oslo", "--uses", "3", "-o", "json").stdout)
    assert made["token"].startswith("sk1.")
    listed = json.loads(hub("get", "tokens", "-o", "json").stdout)
    assert [one["id"] for one in listed] == [made["id"]]
    assert "token" not in listed[0]
    assert hub("token", "delete", made["id"]).returncode == 0
    assert hub("get", "tokens", made["id"]).returncode == 1


def test_what_operators_do_is_an_event(hub: RealHub) -> None:
    hub("apply", "-f", str(EXAMPLES))
    hub("delete", "service/vitals")
    lines = [json.loads(line) for line in hub("events", "--kind", "operator.*", "-o", "json").stdout.splitlines()]
    assert {"operator.apply", "operator.delete"} <= {line["kind"] for line in lines}
    assert all(line["body"]["who"] == "token:admin" for line in lines)


def test_what_answers_with_another_ca_is_not_the_hub(hub: RealHub, tmp_path: Path) -> None:
    subprocess.run(
        [SKERRY, "hub", "init", "--name", "other", "--data", tmp_path / "other"],
        env={**os.environ, "SKERRY_CONTEXT": str(tmp_path / "context.json")},
        check=True,
        capture_output=True,
    )
    mine, other = json.loads(hub.context.read_text()), json.loads((tmp_path / "context.json").read_text())
    for wrong in ({"root_pem": other["root_pem"]}, {"name": "other.skerry"}):
        (tmp_path / "context.json").write_text(json.dumps(mine | wrong))
        ran = subprocess.run(
            [SKERRY, "get", "nodes"],
            env={**os.environ, "SKERRY_CONTEXT": str(tmp_path / "context.json")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 3
        assert "is not the hub" in ran.stderr


def test_a_command_for_nobody_says_so(hub: RealHub) -> None:
    ran = hub("run", "-l", "site=nowhere", "--", "true")
    assert ran.returncode == 1
    assert 'no node matches "site=nowhere"' in ran.stderr


def interrupted(process: subprocess.Popen[str]) -> int:
    """Press Ctrl-C, and return the exit code."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    return process.returncode


def test_watching_shows_each_change_until_ctrl_c(hub: RealHub) -> None:
    watching = hub.start("get", "tokens", "-w", "-o", "json")
    assert watching.stdout is not None
    before = json.loads(watching.stdout.readline())
    made = json.loads(hub("token", "create", "-o", "json").stdout)
    after = json.loads(watching.stdout.readline())
    assert {one["id"] for one in after} - {one["id"] for one in before} == {made["id"]}
    assert interrupted(watching) == 0


def test_following_events_goes_on_with_what_comes(hub: RealHub) -> None:
    following = hub.start("events", "-f", "-o", "json", "--kind", "token.created")
    made = json.loads(hub("token", "create", "-o", "json").stdout)
    assert following.stdout is not None
    while json.loads(following.stdout.readline())["key"] != made["id"]:
        pass
    assert interrupted(following) == 130
