"""What the daemon never loads: each of these costs every device memory for nothing (DESIGN 10)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NEVER = {
    "cryptography.x509": "3 MB; the notary reads certificates (edge_agent.shell.papers)",
    "cryptography.hazmat.primitives.serialization": "1 MB",
    "cryptography.hazmat.primitives.asymmetric.ec": "only TLS needs it, and OpenSSL has it",
    "protocol.trust.certificates": "X.509",
    "protocol.trust.signing": "X.509",
    "protocol.link.seal": "X.509; only through a broker",
    "edge_agent.shell.papers.own": "X.509",
    "edge_agent.shell.enroll": "httpx",
    "edge_agent.cli.commands": "typer",
    "protocol.doctor": "the doctor's",
    "protocol.aio.checkup": "the doctor's",
    "edge_agent.core.doctor": "the doctor's",
    "edge_agent.shell.doctor": "the doctor's",
    "zstandard": "half a megabyte; until something is large enough to be compressed",
    "argparse": "half a megabyte, with gettext",
    "email": "with http and more, a megabyte; paho would have it for proxies",
    "http": "see email",
    "importlib.metadata": "1 MB; for the own version",
    "pydantic": "the operator's language",
    "protocol.spec": "the operator's language",
    "typer": "the CLI",
    "rich": "the CLI",
    "httpx": "fetched by a helper",
    "zeroconf": "only `enroll --discover`",
}


def test_the_daemon_loads_nothing_that_it_does_not_need_to_run() -> None:
    code = "import json, sys; from edge_agent.cli import main; from edge_agent import lean; lean.become();"
    code += "from edge_agent.cli import run; from edge_agent import app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not NEVER.keys() & set(json.loads(done.stdout))


def test_run_says_how_it_is_used_when_its_words_are_wrong() -> None:
    for words in (["--data"], ["--data="], ["--dato", "x"], ["x"], ["--data", "a", "b"]):
        done = _run(*words)
        assert (done.returncode, done.stderr) == (2, "usage: skerry-agent run [--data DIR]\n")


def test_run_takes_its_folder_in_both_forms(tmp_path: Path) -> None:
    place = tmp_path / "a=b"
    for words in (["--data", str(place)], [f"--data={place}"]):
        done = _run(*words)
        assert done.returncode == 1
        assert f"there is no {place}/agent.json" in done.stderr


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    code = "from edge_agent.cli import main; main.main()"
    return subprocess.run([sys.executable, "-c", code, "run", *words], capture_output=True, text=True, check=False)
