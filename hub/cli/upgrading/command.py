"""hub upgrade: another version in place of the one that runs on this machine, or back to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import options
from hub.cli.view import output
from protocol import limits


def upgrade(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="skerry-hub_VERSION_MACHINE.deb")],
    confirm: Annotated[
        str, typer.Option("--confirm", metavar="TIME", help="In which the new version is to say that all is well.")
    ] = f"{limits.UPGRADE_HUB_CONFIRM_S:g}s",
) -> None:
    """Put another version of this machine's hub in place, as root; it goes back by itself if that is not well.

    Nodes connect anew, their work goes on. Ctrl-C ends the waiting alone.
    """
    from hub.shell.upgrade import asked, here, waiting
    from protocol.aio.upgrade import places
    from protocol.errors import Refused

    at = here.places()
    former = places.own_version(at)
    if os.geteuid() != 0:
        raise Refused(f"root alone puts another version in place: sudo skerry hub upgrade {package}")
    if not former:
        raise Refused(f"this `skerry` is not of the package {at.name}: there is no hub that it could upgrade")
    waiting.check_runs(at)
    confirm_s = options.seconds(confirm, "--confirm")
    if not limits.UPGRADE_CONFIRM_S_MIN <= confirm_s <= limits.UPGRADE_CONFIRM_S_MAX:
        least, most = limits.UPGRADE_CONFIRM_S_MIN, limits.UPGRADE_CONFIRM_S_MAX
        raise Refused(f"--confirm {confirm}: from {least:g}s to {most:g}s")
    with _progress() as show:
        show("looking at the package")
        wished = asked.ask(at, package, confirm_s)
        kept = waiting.come_to(at, wished, show)
    output.say(waiting.told(kept, former))


@contextmanager
def _progress() -> Generator[Callable[[str], None]]:
    """Show one line that changes; where nobody looks, a line for each change."""
    console, last = output.console(), [""]
    if console.is_terminal:
        with console.status("") as line:
            yield line.update
        return

    def show(text: str) -> None:
        if text != last[0]:
            output.say(text)
        last[0] = text

    yield show
