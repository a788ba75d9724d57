"""`bundle export` and `import`: what an operator carries to a device that no network reaches, and brings of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import examples, human, output
from protocol import limits
from protocol.errors import SkerryError

bundles = typer.Typer(help="Manage devices by a stick.", no_args_is_help=True, rich_markup_mode=None)

Stick = Annotated[
    Path, typer.Option("--to", metavar="PATH", help="The stick, or any folder that is there; NAME.down is made in it.")
]


@bundles.command(epilog=examples.BUNDLE)
def export(node: options.Node, to: Stick = Path(), form: options.Output = output.Format.TABLE) -> None:
    """Put on a stick all that this hub asks of a device, with what it needs, and what it has heard of it.

    `skerry-agent import` takes it there; twice, late or after a newer one is harmless. An export that broke off goes on
    when it is asked again.
    """
    with client.Client() as hub:
        said = export_to(hub, node, to)
    if form.is_exact:
        output.emit(said, form)
        return
    output.say(
        f"{said['node']}: generation {said['generation']}, {human.plural(said['parts'], 'part')}, in {said['path']}"
    )
    output.say(f"Next, at the device:  skerry-agent import {to}")


def export_to(hub: client.Client, node: str, to: Path) -> dict[str, Any]:
    """Write the bundle for a node; what broke off is gone on with. Raises SkerryError."""
    from protocol.aio.carrying import folder

    made = hub.post(f"/v1/bundles/{node}/export", {})
    writer = folder.Writer(to, f"{made['node']}.down")
    for name, size in made["parts"].items():
        have = writer.has(name, size)
        if have < size or not size:
            have = have if size > limits.DOCUMENT_BYTES_MAX else 0
            writer.write(name, hub.download(f"/v1/bundles/{made['node']}/parts/{name}", have), have)
    place = writer.finish(made["head"].encode(), made["parts"])
    return {"node": made["node"], "generation": made["generation"], "parts": len(made["parts"]), "path": str(place)}


@bundles.command(epilog=examples.BUNDLE_DEVICE)
def device(
    name: Annotated[str, typer.Option("--name", help="What the device is to be called: the name is kept for it.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="PATH", help="The stick; without it one tar archive of it goes to stdout."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="K=V", help="Its labels; again for more.")
    ] = None,
    ttl: Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long it may take to enroll.")] = "30d",
    form: options.Output = output.Format.TABLE,
) -> None:
    """Make a stick that installs a new device with no network: package, token, a name of its own, and its work.

    It enrolls when it first reaches this hub, or when its first bundle does. Again for one name: with another token.
    """
    from hub.cli.carrying import inviting

    inviting.make(name, to, options.labels(label or [], "--label"), options.seconds(ttl, "--ttl"), form)


def take(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The stick, or the folder NAME.up on it.")],
    form: options.Output = output.Format.TABLE,
) -> None:
    """Take what happened at devices from a stick: `skerry-agent export` made it. Twice, or late, is harmless."""
    from protocol.aio.carrying import folder
    from protocol.bundle import head

    taken: list[dict[str, Any]] = []
    failed: list[str] = []
    with client.Client() as hub:
        for bundle in folder.find(path, ".up"):
            try:
                up, *_ = head.read(bundle.raw, head.Up)
                bundle.check(up.parts)
                taken.append(_take(hub, bundle, up))
            except client.HubAway:
                raise
            except SkerryError as error:
                failed.append(f"{bundle.folder.name}: {error}")
                continue
            if not form.is_exact:
                output.say(_told(taken[-1]))
    if form.is_exact:
        output.emit(taken, form)
    elif taken:
        node = taken[0]["node"] if len(taken) == 1 else "NODE"
        stick = path.parent if path.suffix == ".up" else path
        output.say(f"Next:  skerry bundle export {node} --to {stick}      (says there what arrived, and what is new)")
    if failed:
        raise client.ApiRefused("; ".join(failed), 409, [])


bundles.command("import", epilog=examples.IMPORT)(take)


def _take(hub: client.Client, bundle: Any, up: Any) -> dict[str, Any]:
    begun = _begin(hub, bundle, up)
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


def _begin(hub: client.Client, bundle: Any, up: Any) -> dict[str, Any]:
    """Begin with a bundle; a device that was invited by a stick, and that the hub has not met, is enrolled first."""
    try:
        return hub.send_bytes("/v1/bundles/-/take", bundle.raw)
    except client.ApiRefused as error:
        if up.join is None or error.status != 403:
            raise
    asked = {"token": up.join.token, "csr": up.join.csr, "name": up.node, "facts": dict(up.join.facts)}
    hub.post("/v1/enroll", asked)
    return hub.send_bytes("/v1/bundles/-/take", bundle.raw)


def _told(said: dict[str, Any]) -> str:
    got = ", ".join(f"{stream} up to {seq}" for stream, seq in said["streams"].items()) or "no entries"
    text = f"{said['node']}: {got}"
    if not said["newest"]:
        text += "; this hub knows as much or more of it, its state is not taken"
    if said["refill"]:
        more = ", ".join(said["refill"])
        again = f"skerry bundle export {said['node']}, import that at the device, and export there again"
        text += f"\n  rows of {more} do not follow what is here: {again}"
    return text
