"""The command as a person runs it: words in, exit code and text out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main

from hub.cli import main
from hub.cli.view import output
from tests.unit.cli.fake_api import FakeApi

Skerry = Callable[..., tuple[int, str, str]]
"""`skerry("get", "nodes")` returns (exit code, stdout, stderr)."""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A hub's API that says what the test tells it to."""
    fake = FakeApi()
    yield fake
    fake.close()


@pytest.fixture(autouse=True, scope="session")
def built_once() -> Iterator[None]:
    """The tree of commands is built once for all tests, as it is in each process: to build it takes longer than one."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture
def skerry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, request: pytest.FixtureRequest
) -> Skerry:
    """Run `skerry` with these words, against the fake API if the test has one."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("SKERRY_CONTEXT", str(tmp_path / "context.json"))
    if "api" in request.fixturenames:
        fake = request.getfixturevalue("api")
        assert isinstance(fake, FakeApi)
        fake.context(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        output.console.cache_clear()
        output.errors.cache_clear()
        monkeypatch.setattr("sys.argv", ["skerry", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), out, err

    return run
