"""`skerry-agent run`: the daemon, in the foreground."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from pathlib import Path

from edge_agent import lean
from edge_agent.shell import identity
from protocol.errors import SkerryError

_DONE, _FAILED, _USAGE = 0, 1, 2


def main(words: list[str]) -> int:
    """Run until told to stop; return the exit code."""
    lean.become()
    try:
        data = _data(words).absolute()
    except ValueError:
        print("usage: skerry-agent run [--data DIR]", file=sys.stderr)
        return _USAGE
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # aiomqtt logs each broken connection; the core tells what of it matters
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)
    try:
        identity.load(data)
        from edge_agent import app

        asyncio.run(app.serve(data, ready=_say))
    except SkerryError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail(f"the disk of {data} is full: make room, then start again; nothing is lost")
        return _fail(f"cannot run in {data}: {error}")
    except KeyboardInterrupt:
        pass
    return _DONE


def _data(words: list[str]) -> Path:
    match words:  # argparse would cost half a megabyte
        case []:
            return identity.default_data()
        case ["--data", folder] if folder:
            return Path(folder)
        case [word] if word.startswith("--data=") and word != "--data=":
            return Path(word.removeprefix("--data="))
        case _:
            raise ValueError(words)


def _say(line: str) -> None:
    print(line, flush=True)


def _fail(text: str) -> int:
    print(f"skerry-agent: {text}", file=sys.stderr)
    return _FAILED
