"""The daemon sends its notary on an errand: one process, one job, one answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import msgspec

from edge_agent.shell.papers import notes
from edge_agent.shell.runners import children
from protocol import limits
from protocol.errors import TrustError


async def ask(
    data: Path,
    do: Literal["read", "csr", "store", "prove", "apart", "move", "sign"],
    pem: str = "",
    wait_s: float = limits.NOTARY_WAIT_S,
) -> notes.Answer:
    """Let the notary do one job. Raises TrustError with what it says is wrong, OSError when it cannot be started."""
    raw = msgspec.json.encode(notes.Job(do=do, data=str(data), pem=pem))
    if len(pem) > limits.CHAIN_BYTES_MAX:
        raise TrustError(f"a certificate chain of {len(pem)} bytes is over {limits.CHAIN_BYTES_MAX}")
    done = await children.run(
        [sys.executable, "-m", "edge_agent.shell.papers.notary"],
        timeout_s=wait_s,
        stdin=raw,
        output_bytes_max=limits.PAPERS_ANSWER_BYTES_MAX,
    )
    try:
        answer = msgspec.json.decode(done.output, type=notes.Answer)
    except msgspec.DecodeError:
        last = done.output.decode(errors="replace").strip().rpartition("\n")[2]
        raise TrustError(f"the certificate helper failed ({done.code}): {last[:200]}") from None
    if answer.error:
        raise TrustError(answer.error)
    return answer
