"""An agent's shell in a process of its own, for tests that kill it: launches what argv says, then waits for its end.

host.py DATA INSTANCE COMMAND...             prints `launched PID` and then nothing
host.py DATA INSTANCE@SECONDS COMMAND...     the same, under a lease; each line on stdin extends it by so many seconds
                                             from then on, and is answered by `extended`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.core import inputs
from edge_agent.shell.runners import proc
from tests.contract.shell.world import World


async def _main() -> None:
    world = World(Path(sys.argv[1]))
    instance, _, seconds = sys.argv[2].partition("@")
    until = proc.boot_seconds() + float(seconds) if seconds else 0.0
    world.launch(instance, *sys.argv[3:], capture=not seconds, lease_until=until, stop_grace_s=1.0)

    def extend() -> None:
        line = sys.stdin.readline()
        if line:
            world.runner.extend(inputs.Extend(instance=instance, until=proc.boot_seconds() + float(line)))
            print("extended", flush=True)
        else:
            asyncio.get_running_loop().remove_reader(sys.stdin)

    if seconds:
        asyncio.get_running_loop().add_reader(sys.stdin, extend)
    launched = await world.one(inputs.Launched)
    print(f"launched {launched.pid}", flush=True)
    await asyncio.Event().wait()


asyncio.run(_main())
