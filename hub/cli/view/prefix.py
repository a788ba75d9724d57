"""Lines of many devices in one stream: `oslo-gw-1 │ text`, each device in its colour."""

from __future__ import annotations

import zlib

from hub.cli.view import output

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


def line(node: str, text: str, *, width: int, tail: str = "", style: str = "") -> None:
    """Print one line of `node`, its name padded to `width` (0: no name); `tail` follows dimly on a terminal."""
    from rich.text import Text

    console = output.console()
    made = Text(f"{node:<{width}} │ ", style=_COLOURS[zlib.crc32(node.encode()) % len(_COLOURS)]) if width else Text()
    made.append(text, style=style or None)
    if tail and console.is_terminal:
        made.append(f"  {tail}", style="dim")
    console.print(made, soft_wrap=True)


def note(node: str, text: str, *, width: int) -> None:
    """Print what is to be said about `node` itself, not by it."""
    line(node, text, width=width, style="yellow")
