"""`skerry-agent doctor`: looks at what may be wrong with this device, and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from edge_agent.cli import client, human
from edge_agent.core import isolation
from edge_agent.core.doctor import judge
from edge_agent.core.doctor.facts import Running
from edge_agent.shell.doctor import gather
from protocol.doctor.findings import Finding

_ASK_WAIT_S = 5.0


def examine(data: Path) -> list[Finding]:
    """Return what there is to say of the device whose directory is `data`. Changes nothing; bounded in time."""
    return judge.device(gather.device(data.absolute(), lambda: _running(data)))


def _running(data: Path) -> Running:
    said = cast("dict[str, Any]", client.ask(data, {"do": "status"}, wait_s=_ASK_WAIT_S))
    link, backlog = said["link"], said["backlog"].values()
    news = [one for one in said["conditions"] if one["what"] != "store"]  # the check `set aside` tells of it
    return Running(
        version=said["version"],
        link=link["state"],
        reason=human.plain(link["reason"]),
        since_ms=link["since_ms"],
        waiting_rows=sum(one["rows"] for one in backlog),
        waiting_bytes=sum(one["bytes"] for one in backlog),
        lost=said["lost"],
        conditions=[one["text"] for one in news if one["text"] != link["reason"]],
        able=msgspec.convert(said["able"], isolation.Able),
    )
