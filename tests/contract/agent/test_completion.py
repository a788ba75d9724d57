"""What the packages bring so that TAB completes: real shells read it, and ask the real command."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.demo import fleet as demo

_SCRIPT = Path(__file__).parents[3] / "packaging" / "completions.sh"
_BASH = """\
source {folder}/bash-completion/completions/{command}
COMP_WORDS=({command} {typed}) COMP_CWORD=1
_{function}_completion {command} {typed} {command}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("command", "typed", "known"),
    [("skerry-agent", "st", {"status", "start", "stop"}), ("skerry", "de", {"delete", "describe", "demo"})],
)
def test_bash_completes_with_what_the_package_brings(tmp_path: Path, command: str, typed: str, known: set[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash is here")
    subprocess.run(["sh", str(_SCRIPT), str(demo.BIN / command), str(tmp_path)], check=True, timeout=60)
    function = command.replace("-", "_")
    script = _BASH.format(folder=tmp_path, command=command, function=function, typed=typed)
    environment = {**os.environ, "PATH": f"{demo.BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.stderr == ""
    assert {line.split(",")[0] for line in done.stdout.split()} >= known
    zsh = (tmp_path / "zsh" / "vendor-completions" / f"_{command}").read_text()
    assert zsh.startswith(f"#compdef {command}\n"), "zsh reads the first line to know whose it is"
    assert zsh.endswith(f'_{function}_completion "$@"\n'), "and at the first TAB the rest, which has to answer"


def test_a_program_that_says_nothing_makes_no_package(tmp_path: Path) -> None:
    made = subprocess.run(["sh", str(_SCRIPT), "/bin/true", str(tmp_path)], capture_output=True, check=False)
    assert made.returncode != 0
    assert b"says nothing of completion" in made.stderr
