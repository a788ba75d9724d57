"""The launcher's process: takes one request at a time from the agent's user, answers, and ends when nobody asks.

    python -I -m edge_agent.launcher.main --agent skerry-agent --data /var/lib/skerry/agent

Its socket comes from systemd (skerry-agent-launch.socket), or is made at `--socket`. A request is one packet; so is its
answer: {} or {"error": "..."}; what became of a workload the agent reads in its folder. What it started outlives it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
from pathlib import Path

from edge_agent.launcher import living, policy
from edge_agent.launcher.groups import Groups
from edge_agent.launcher.house import House
from edge_agent.launcher.policy import Who
from edge_agent.launcher.serve import Launcher, account
from protocol import limits

_FROM_SYSTEMD = 3
_GROUP = "system.slice/skerry-agent-work.service"


def _listen(path: str, agent: Who) -> socket.socket:
    if os.environ.pop("LISTEN_FDS", ""):
        return socket.socket(fileno=_FROM_SYSTEMD)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.umask(0o177)
    listener.bind(path)
    os.chown(path, agent.uid, -1, follow_symlinks=False)
    listener.listen(limits.LAUNCHER_BACKLOG)
    return listener


def main() -> None:
    """Run as described above. Raises Refused: there is no such agent."""
    options = argparse.ArgumentParser(prog="skerry-launch", description="Starts what the device's owner allows.")
    options.add_argument("--agent", default="skerry-agent", help="the user that is served")
    options.add_argument("--data", default="/var/lib/skerry/agent", help="the agent's folder")
    options.add_argument("--socket", default="/run/skerry/launch.sock")
    options.add_argument("--state", type=Path, default="/run/skerry-launch", help="where it notes what it started")
    options.add_argument("--group", default=_GROUP, help="the control group of workloads")
    options.add_argument("--network", default="", help="the network namespace of workloads; empty: this one")
    options.add_argument("--rules", type=Path, default=policy.FILE, help="what the device's owner allows")
    options.add_argument(
        "--idle", type=float, default=limits.LAUNCHER_IDLE_S, help="seconds without a request after which it ends"
    )
    given = options.parse_args()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what it started it does not wait for
    agent = account(given.agent)
    listener = _listen(given.socket, agent)
    os.umask(0o022)
    given.state.mkdir(parents=True, exist_ok=True)
    given.state.chmod(0o755)
    house = House(
        agent=agent,
        data=os.path.realpath(given.data),
        state=given.state,
        groups=Groups(given.group),
        network=given.network,
    )
    living.forget_the_dead(house)
    Launcher(house, given.rules).serve(listener, given.idle)
    living.forget_the_dead(house)


if __name__ == "__main__":
    main()
