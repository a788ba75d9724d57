"""A device that was invited by a stick enrolls when it first reaches its hub: by a short-lived helper.

Whether anybody is there is tried first, in the daemon: a device that has no network for months starts no helper.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.shell import identity
from edge_agent.shell.runners import children
from protocol import limits
from protocol.aio.carrying import invite
from protocol.errors import Refused

_HELPER = "from edge_agent.cli.main import main; main()"


async def join(data: Path, file: identity.AgentFile) -> str:
    """Try to enroll; return why that failed, or an empty text: then this device has a certificate."""
    host, port = file.api.host, file.api.port
    try:
        async with asyncio.timeout(limits.CONNECT_WAIT_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return f"not enrolled yet: hub {file.hub} at {host}:{port} cannot be reached ({error or 'no answer'})"
    try:
        token = invite.read(data / identity.INVITE).token
    except Refused as error:
        return str(error)
    done = await children.run(
        [sys.executable, "-c", _HELPER, "enroll", "--again", "--token", "-", "--data", str(data)],
        timeout_s=limits.RENEW_APART_WAIT_S,
        stdin=token.encode() + b"\n",
        output_bytes_max=limits.HELPER_OUTPUT_BYTES_MAX,
    )
    if done.code == 0:
        return ""
    last = done.output.decode(errors="replace").strip().rpartition("\n")[2]
    return f"not enrolled yet: {last.removeprefix('skerry-agent: ')[:200]}"
