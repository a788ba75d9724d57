"""The helper that reads, checks and makes certificates for the daemon: `python -m edge_agent.shell.papers.notary`.

One job on stdin, one answer on stdout, both JSON. Started when a certificate or a signing chain is new, which is rare;
so the daemon never loads X.509.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from edge_agent.shell import identity
from edge_agent.shell.papers import moves, own
from edge_agent.shell.papers.notes import Answer, Job
from protocol.errors import SkerryError


def perform(job: Job) -> Answer:
    """Do `job`; what goes wrong is told in the answer."""
    data = Path(job.data)
    try:
        file = identity.load(data)
        match job.do:
            case "read":
                return Answer(certificate=own.note_certificate(data, file.root_pin))
            case "csr":
                return Answer(csr=own.make_csr(data, file.node))
            case "store":
                return Answer(certificate=own.store_certificate(data, file, job.pem))
            case "prove":
                return Answer(proof=own.prove_signer(data, file, job.pem))
            case "move":
                return Answer(error=moves.doubt(data, file, job.pem))
            case "sign":
                return Answer(signed=own.sign_bundle(data, *msgspec.json.decode(job.pem, type=tuple[str, str, str])))
            case "apart":
                from edge_agent.shell.papers import apart  # an HTTP client, for this job only

                return apart.ask(data, file)
    except (SkerryError, OSError) as error:
        return Answer(error=str(error))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(perform(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))))
