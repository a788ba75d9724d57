"""`python -m edge_agent.shell.upgrade [pin|boot]`, as root: install what the root hub asks for; or pin that hub and
this node, once; or, before the agent starts with the machine, count a trial."""

from __future__ import annotations

import sys
from pathlib import Path

from edge_agent.shell import identity
from edge_agent.shell.upgrade import daemon
from protocol.aio.upgrade import root, unit, wish
from protocol.aio.upkeep import synced


def main() -> None:
    """Do it."""
    at = daemon.here(Path("/var/lib/skerry/agent"))
    if sys.argv[1:] == ["pin"]:
        its = identity.load(at.data)
        synced.write(at.node, its.node.encode() + b"\n", 0o644)
        synced.write(at.pin, its.root_pin.encode() + b"\n", 0o644)  # last: its presence says that both are there
        return
    its = unit.Systemd(at.name, ("skerry-agent-launch.service",))
    part = root.Root(at, its, unit.floor(at), wish.read)
    if sys.argv[1:] == ["boot"]:
        part.boot()
    else:
        part.run()


main()
