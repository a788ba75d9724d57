"""Exit codes, errors that say what to do next, and a help that fits a screen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from edge_agent.cli import commands
from hub.cli import main
from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi

FIVE = """\
apiVersion: skerry/v1
kind: Workflow
metadata: {name: Shift_Report}
spec:
  placement: {selector: "site=oslo and gpu"}
  restrat: always
  triggers: [{cron: "0 6 * * *", timezone: Europe/Olso}]
  steps: [{name: a, needs: [b], run: [x]}]
"""


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the words of each command that is no group."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _commands(one, (*path, name))
        else:
            yield " ".join((*path, name))


COMMANDS = list(_commands(typer.main.get_command(main.app)))
OF_AGENT = list(_commands(typer.main.get_command(commands.app)))
COLUMNS = 80


def test_help_fits_a_screen_and_shows_five_examples(skerry: Skerry) -> None:
    code, out, _ = skerry("--help")
    assert code == 0
    assert len(out.splitlines()) <= 36
    assert sum(line.strip().startswith("skerry ") for line in out.splitlines()) == 5


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_examples_with_options_that_it_has(skerry: Skerry, command: str) -> None:
    options, _, shown = skerry(*command.split(), "--help")[1].partition("Examples:")
    examples = [line[4:].partition("   ")[0] for line in shown.splitlines() if line[:5] in ("    s", "    S")]
    assert examples
    assert max(map(len, shown.splitlines())) <= COLUMNS
    for example in examples:
        words = example if command != "bundle import" else example.replace(" import", " bundle import")  # both do
        assert f"skerry {command} " in f"{words} "
        ours = example.partition(" -- ")[0].partition(" | ")[0].split()
        assert all(f"{word} " in options or f"{word}," in options for word in ours if word.startswith("-"))


@pytest.mark.parametrize("command", OF_AGENT)
def test_the_help_of_a_device_s_command_shows_an_example_that_is_not_broken(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setattr("sys.argv", ["skerry-agent", *command.split(), "--help"])
    with pytest.raises(SystemExit):
        commands.main()
    options, _, shown = capsys.readouterr().out.rpartition("\n  Example")
    (example,) = [line for line in shown.splitlines() if line.strip()]
    assert f"skerry-agent {command}" in example
    assert all(f"{word} " in options or f"{word}," in options for word in example.split() if word.startswith("--"))


@pytest.mark.parametrize("program", ["hub.cli.main", "edge_agent.cli.main"])
def test_help_loads_nothing_heavy(program: str) -> None:
    heavy = {"httpx", "pydantic", "ruamel.yaml", "fastapi", "zstandard", "cryptography", "asyncio", "psutil"}
    heavy |= {"rich.table"} if program == "hub.cli.main" else set()
    script = f"import sys; sys.argv = ['x', '--help']\nimport {program} as it\ntry:\n    it.main()\nfinally:\n"
    script += f"    print('loaded:', sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.stderr.strip().endswith("loaded: []")


def test_nobody_said_which_hub(skerry: Skerry) -> None:
    code, _, err = skerry("get", "nodes")
    assert code == 2
    assert "make a hub with `skerry hub init`, or set SKERRY_CONTEXT" in err


@pytest.mark.parametrize("text", ["{", "[]", '{"url": "x"}'])
def test_a_context_that_is_none_says_so(skerry: Skerry, tmp_path: Path, text: str) -> None:
    (tmp_path / "context.json").write_text(text)
    code, _, err = skerry("get", "nodes")
    assert code == 2
    assert "is no context" in err


def test_a_hub_that_is_down_is_3_with_a_hint(skerry: Skerry, api: FakeApi) -> None:
    api.close()
    code, out, err = skerry("get", "nodes")
    assert (code, out) == (3, "")
    assert "cannot reach the hub at http://127.0.0.1" in err
    assert "skerry hub serve" in err


def test_what_the_hub_refuses_is_1_in_its_own_words(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", "/v1/nodes/x", {"error": "there is no node 'x': see `skerry get nodes`"}, 404)
    assert skerry("get", "nodes", "x") == (1, "", "error: there is no node 'x': see `skerry get nodes`\n")
    api.says("GET", "/v1/nodes", {"error": "no such token"}, 401)
    assert "still good?" in skerry("get", "nodes")[2]


@pytest.mark.parametrize(
    "words", [("get", "nods"), ("frobnicate",), ("get",), ("describe", "thing", "x"), ("get", "runs", "-l", "a")]
)
def test_what_cannot_be_understood_is_2(skerry: Skerry, api: FakeApi, words: tuple[str, ...]) -> None:
    assert skerry(*words)[0] == 2


def test_five_mistakes_are_shown_at_once_and_the_hub_is_not_asked(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    path.write_text(FIVE)
    code, out, err = skerry("apply", "-f", str(path))
    assert (code, out, api.asked) == (1, "", [])
    lines = err.splitlines()
    assert lines[0] == f"{path}: 5 mistakes, nothing applied"
    assert [line.split()[0] for line in lines[1:]] == ["3:18", "5:25", "6:3", "7:44", "8:29"]


def test_mistakes_that_only_the_hub_finds_look_the_same(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    spec = {"process": {"command": ["a"]}, "placement": {"selector": "a"}}
    (tmp_path / "a.json").write_text(
        json.dumps({"apiVersion": "skerry/v1", "kind": "Service", "metadata": {"name": "x"}, "spec": spec})
    )
    mistake = {"file": "a.json", "line": 1, "column": 2, "path": "spec", "text": "no"}
    api.says("POST", "/v1/apply", {"error": "1 mistake", "mistakes": [mistake]}, 422)
    code, _, err = skerry("apply", "-f", str(tmp_path / "a.json"))
    assert (code, err) == (1, "a.json: 1 mistake, nothing applied\n  1:2  spec  no\n")


def test_files_that_cannot_be_read_say_so(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    assert "cannot read" in skerry("apply", "-f", str(tmp_path / "none.yaml"))[2]
    (tmp_path / "folder").mkdir()
    assert "holds no *.yaml" in skerry("apply", "-f", str(tmp_path / "folder"))[2]
    (tmp_path / "bad.yaml").write_bytes(b"a: \xff")
    assert "is not UTF-8" in skerry("apply", "-f", str(tmp_path / "bad.yaml"))[2]


def test_an_artifact_that_climbs_out_is_one_clear_error(skerry: Skerry, api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: skerry/v1\nkind: Service\nmetadata: {name: x}\n"
        "spec: {artifact: ../up, process: {command: [a]}, placement: {selector: a}}\n"
    )
    code, _, err = skerry("apply", "-f", str(tmp_path / "a.yaml"))
    assert (code, api.asked) == (1, [])
    assert "climbs out" in err


def test_the_schema_is_printed(skerry: Skerry) -> None:
    assert json.loads(skerry("schema")[1])["title"] == "Skerry"


def test_completion_offers_what_the_hub_has_and_never_fails(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hub.cli import options

    monkeypatch.setenv("SKERRY_CONTEXT", str(api.context(tmp_path)))
    api.says("GET", "/v1/nodes", [{"name": "oslo-2"}, {"name": "oslo-1"}, {"name": "bergen"}])
    assert options.complete_node("os") == ["oslo-1", "oslo-2"]
    assert options.complete_node("cloud/os") == ["cloud/oslo-1", "cloud/oslo-2"]
    assert options.complete_name("nodes", "cloud/b") == ["cloud/bergen"]
    assert options.complete_node("") == ["bergen", "oslo-1", "oslo-2"]
    api.says("GET", "/v1/nodes", [{"name": "gw-7", "address": "north/gw-7"}])
    assert options.complete_node("gw") == ["gw-7"]
    assert options.complete_node("north/") == ["north/gw-7"]
    assert options.complete_service("") == []
    assert options.complete_workflow("") == []
