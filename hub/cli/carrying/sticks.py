"""`bundle export` and `import`: what an operator carries to a device that no network reaches, and brings of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import examples, output
from protocol import limits
from protocol.errors import SkerryError

bundles = typer.Typer(help="Manage devices by a stick.", no_args_is_help=True, rich_markup_mode=None)

Stick = Annotated[Path, typer.Option("--to", metavar="PATH", help="The stick, or any folder; NAME.down is made there.")]


@bundles.command(epilog=examples.BUNDLE)
def export(node: options.Node, to: Stick = Path(), form: options.Output = output.Format.TABLE) -> None:
    """Put on a stick all that this hub asks of a device, with what it needs, and what it has heard of it.

    `skerry-agent import` takes it there; twice, late or after a newer one is harmless. What broke off is gone on with.
    """
    from protocol.aio.carrying import folder

    with client.Client() as hub:
        made = hub.post(f"/v1/bundles/{node}/export", {})
        writer = folder.Writer(to, f"{made['node']}.down")
        for name, size in made["parts"].items():
            have = writer.has(name, size)
            if have < size or not size:
                have = have if size > limits.DOCUMENT_BYTES_MAX else 0
                writer.write(name, hub.download(f"/v1/bundles/{made['node']}/parts/{name}", have), have)
    place = writer.finish(made["head"].encode(), made["parts"])
    said = {"node": made["node"], "generation": made["generation"], "parts": len(made["parts"]), "path": str(place)}
    if form.is_exact:
        output.emit(said, form)
        return
    output.say(f"{made['node']}: generation {made['generation']}, {len(made['parts'])} parts, in {place}")
    output.say(f"Next, at the device:  skerry-agent import {to}")


def take(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The stick, or the folder NAME.up on it.")],
    form: options.Output = output.Format.TABLE,
) -> None:
    """Take what happened at devices from a stick: `skerry-agent export` made it. Twice, or late, is harmless."""
    from protocol.aio.carrying import folder
    from protocol.bundle import head

    failed: list[str] = []
    with client.Client() as hub:
        for bundle in folder.find(path, ".up"):
            try:
                up, *_ = head.read(bundle.raw, head.Up)
                bundle.check(up.parts)
                said = _take(hub, bundle, up)
            except client.HubAway:
                raise
            except SkerryError as error:
                failed.append(f"{bundle.folder.name}: {error}")
                continue
            output.emit(said, form) if form.is_exact else output.say(_told(said))
    if failed:
        raise client.ApiRefused("; ".join(failed), 409, [])


bundles.command("import", epilog=examples.IMPORT)(take)


def _take(hub: client.Client, bundle: Any, up: Any) -> dict[str, Any]:
    begun = hub.send_bytes("/v1/bundles/-/take", bundle.raw)
    streams: dict[str, int] = {}
    refilled: list[str] = []
    for name in begun["rows"]:
        raw = b"".join(bundle.chunks(name, 0, limits.MESSAGE_BYTES_MAX))
        done = hub.send_bytes(f"/v1/bundles/{up.node}/rows", raw)
        if done.get("fenced"):
            continue
        streams[done["stream"]] = done["seq"]
        if (done.get("refill") or done.get("fork")) and done["stream"] not in refilled:
            refilled.append(done["stream"])
    return {"node": up.node, "newest": begun["newest"], "streams": streams, "refill": refilled}


def _told(said: dict[str, Any]) -> str:
    got = ", ".join(f"{stream} up to {seq}" for stream, seq in said["streams"].items()) or "no entries"
    text = f"{said['node']}: {got}"
    if not said["newest"]:
        text += "; it is older than what this hub knows, its state is not taken"
    if said["refill"]:
        more = ", ".join(said["refill"])
        text += (
            f"\n  rows of {more} do not follow what is here: skerry bundle export {said['node']}, import that at the "
            "device, and export there again"
        )
    return text
