"""What the daemon never loads: each of these costs every device memory for nothing (DESIGN 10)."""

from __future__ import annotations

import json
import subprocess
import sys

NEVER = {
    "cryptography.x509": "3 MB; the notary reads certificates (edge_agent.shell.papers)",
    "cryptography.hazmat.primitives.serialization": "1 MB",
    "cryptography.hazmat.primitives.asymmetric.ec": "only TLS needs it, and OpenSSL has it",
    "protocol.certificates": "X.509",
    "protocol.trust": "X.509",
    "protocol.link.seal": "X.509; only through a broker",
    "edge_agent.shell.papers.own": "X.509",
    "edge_agent.shell.enroll": "httpx",
    "edge_agent.cli.commands": "typer",
    "pydantic": "the operator's language",
    "protocol.spec": "the operator's language",
    "typer": "the CLI",
    "rich": "the CLI",
    "httpx": "fetched by a helper",
    "zeroconf": "only `enroll --discover`",
}


def test_the_daemon_loads_nothing_that_it_does_not_need_to_run() -> None:
    code = "import json, sys, edge_agent.cli.run, edge_agent.app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not NEVER.keys() & set(json.loads(done.stdout))
