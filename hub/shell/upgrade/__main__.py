"""`python -m hub.shell.upgrade`, as root: put in place what was asked for (skerry-hub-upgrade.service).

With `boot`, before the hub starts with its machine: count a trial (skerry-hub-trial.service).
"""

from __future__ import annotations

import sys

from hub.shell.upgrade import asked, here
from protocol.aio.upgrade import root, unit


def main() -> None:
    """Do it."""
    at = here.places()
    part = root.Root(at, unit.Systemd(at.name), unit.floor(at), asked.read)
    if sys.argv[1:] == ["boot"]:
        part.boot()
    else:
        part.run()


main()
