"""An agent's shell in a process of its own, for tests that kill it: launches what argv says, then waits for its end.

host.py DATA INSTANCE COMMAND...     prints `launched PID` and then nothing
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_agent.core import inputs
from tests.contract.shell.world import World


async def _main() -> None:
    world = World(Path(sys.argv[1]))
    world.launch(sys.argv[2], *sys.argv[3:])
    launched = await world.one(inputs.Launched)
    print(f"launched {launched.pid}", flush=True)
    await asyncio.Event().wait()


asyncio.run(_main())
