"""A process of the fault tests: writes rows through a real driver and says which ones are durable, one a line.

    python -m tests.contract.aio.writer FOLDER [SIZE]

Prints `ack SEQ` after the commit of each row, `send SEQ` and `act SEQ` as they are performed, `error TEXT` when the
store fails; goes on until it is killed, or until a store that failed has taken rows again.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from protocol.aio.clock import SystemClock
from protocol.aio.driver import Driver
from protocol.effects import Action
from protocol.errors import StoreError
from protocol.messages import AnyMessage, Entries
from tests.contract.aio.parts import Add, Begin, Diary, Done, Tick, opened


def say(text: str) -> None:
    """Tell the test, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Wire:
    """The transport."""

    def send(self, peer: str, message: AnyMessage) -> None:
        """Say what would be sent."""
        assert isinstance(message, Entries)
        say(f"send {message.prev + len(message.rows)}")


def act(action: Action) -> None:
    """Say what would be done."""
    assert isinstance(action, Done)
    say(f"act {action.seq}")


async def main(folder: Path, size: int) -> None:
    """Write until killed."""
    journal = await opened(folder)
    healed = asyncio.Event()
    driver = Driver(
        make_core=Diary,
        journal=journal,
        clock=SystemClock(),
        transport=Wire(),
        perform=act,
        tick=Tick(),
        on_store_error=lambda error: say(f"error {error}"),
        on_store_healed=healed.set,
    )
    task = asyncio.create_task(driver.run(Begin))
    while not healed.is_set():
        failed = False
        for _ in range(3):
            driver.put(Add(text=b"x" * size, send=True, act=True))
        try:
            await driver.settled()
        except StoreError:
            failed = True
        if not failed:
            say(f"ack {driver.core.last}")
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200))
