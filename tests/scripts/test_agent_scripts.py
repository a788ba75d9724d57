"""The agent's core over time: see agent_script.py for the words of a script, and how to rewrite one."""

import pathlib

import pytest

from tests.scripts import agent_script


@pytest.mark.parametrize("path", sorted(agent_script.FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_a_script_comes_out_as_written(path: pathlib.Path) -> None:
    text = path.read_text()
    assert agent_script.replay(text) == text, f"if that is right: python -m tests.scripts.agent_script --rewrite {path}"
