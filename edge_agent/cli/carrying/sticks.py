"""`import` and `export`: where no network reaches, a person carries the link on a stick.

These commands read and write the stick as who typed them; the agent takes and gives the bytes over its socket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli import client, human, view
from edge_agent.cli.options import As, Data, Output
from protocol import limits
from protocol.aio.carrying import folder
from protocol.bundle import head
from protocol.doctor import words
from protocol.errors import Refused

_WAIT_S = limits.FETCH_WAIT_S


def take(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The stick, or the folder NAME.down on it.")],
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Take what the hub asks of this device from a stick: `skerry bundle export` made it. Twice is harmless."""
    bundle, down = _ours(data, path)
    try:
        bundle.check(down.parts)
    except Refused as error:
        client.ask(data, {"do": "bundle-refused", "reason": str(error)})
        raise
    _send(data, folder.HEAD, iter([bundle.raw]), 0)
    lacks: dict[str, int] = client.ask(data, {"do": "import-begin"}, _WAIT_S)
    for name, have in lacks.items():
        if have < down.parts[name] or not have:
            _send(data, name, bundle.chunks(name, have, limits.BUNDLE_CHUNK_BYTES), have)
    done = client.ask(data, {"do": "import"}, _WAIT_S)
    if output.is_exact:
        view.exact(done, output)
    if done["refused"]:
        make = f"a new one is made at the hub: skerry bundle export {down.node} --to {path}"
        raise Refused(f"what the stick asks is not taken, and all runs on as it did: {done['refused']}; {make}")
    if not output.is_exact:
        option = "" if data is None else f" --data {data}"
        view.say(f"imported     {done['text']}{'' if done['news'] else '; it was here already'}")
        export = f"skerry-agent export {path}{option}"
        view.say(f"Next:  {export}      (takes what happened here to the hub)")


def _ours(data: Path | None, path: Path) -> tuple[folder.Bundle, head.Down]:
    """Return the bundle on a stick that is for this device, or the only one, which the agent says more about."""
    found = [(one, head.read(one.raw, head.Down)[0]) for one in folder.find(path, ".down")]
    if len(found) == 1:
        return found[0]
    node = client.ask(data, {"do": "status"})["node"]
    ours = next((one for one in found if one[1].node == node), None)
    if ours is None:
        there = ", ".join(down.node for _, down in found)
        raise Refused(f"the stick has nothing for {node} (only for {there}): skerry bundle export {node}, at its hub")
    return ours


def _send(data: Path | None, name: str, chunks: Any, at: int) -> None:
    import base64

    for chunk in chunks:
        for start in range(0, len(chunk), limits.BUNDLE_CHUNK_BYTES):
            piece = chunk[start : start + limits.BUNDLE_CHUNK_BYTES]
            text = base64.b64encode(piece).decode()
            client.ask(data, {"do": "import-part", "name": name, "at": at, "data": text}, _WAIT_S)
            at += len(piece)


def give(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The stick; NAME.up is made there.")],
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Put on a stick what happened here since the hub last heard of it: `skerry import` takes it there."""
    import base64

    node = client.ask(data, {"do": "status"})["node"]
    writer = folder.Writer(path, f"{node}.up")
    said: dict[str, Any] = {}
    name, gathered = "", bytearray()
    for one in client.stream(data, {"do": "export"}, wait_s=_WAIT_S):
        if name and one.get("name") != name:
            writer.write(name, [bytes(gathered)])
            gathered.clear()
        name = one.get("name", "")
        if name:
            gathered += base64.b64decode(one["data"])
        said = one
    raw = str(said["head"]).encode()
    place = writer.finish(raw, head.read(raw, head.Up)[0].parts)
    if output.is_exact:
        view.exact({"node": node, "hub": said["hub"], "rows": said["rows"], "path": str(place)}, output)
        return
    size = words.size(sum(file.stat().st_size for file in place.iterdir()))
    view.say(
        f"exported     {human.plural(said['rows'], 'entry', 'entries')} and the state of {node} ({size}) to {place}"
    )
    view.say(f"Next:  skerry import {path}      (at hub {said['hub']}; until it has them, they stay here too)")


def add(app: typer.Typer) -> None:
    """Put the commands into `app`."""
    app.command("import", epilog="Example:  skerry-agent import /media/stick")(take)
    app.command("export", epilog="Example:  skerry-agent export /media/stick")(give)
