"""apply, diff, delete: what an operator declares, sent up whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import client, options
from hub.cli import sources as given
from hub.cli.overriding import release
from hub.cli.view import applied, output
from hub.cli.view.hubs import placed
from hub.cli.view.output import Format
from protocol.aio.terminal import written

if TYPE_CHECKING:
    from protocol.spec.load import Source

KINDS = ("service", "workflow", "policy", "upgrade")
Files = Annotated[list[str], typer.Option("-f", "--file", metavar="FILE|DIR|-", help="May be given again.")]


def apply(
    files: Files,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch until it runs on all nodes that are online.")] = False,
    wait_all: Annotated[bool, typer.Option("--wait-all", help="As --wait (or --wait=all), also for the away.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait at most.")] = "5m",
    override: Annotated[bool, typer.Option("--override", help="Put them for a time over what is delegated.")] = False,
    life: Annotated[str, typer.Option("--for", metavar="TIME", help="How long an override holds: 8h.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; shown at the hubs above.")] = "",
    form: options.Output = Format.TABLE,
) -> None:
    """Declare services, workflows, policies and upgrades.

    -f takes a FILE, a DIR (its *.yaml) or - (stdin). Folders that they name as artifacts are packed and go along. What
    a hub above delegated to this one is that hub's: --override puts a file over it for a time, with a reason.
    """
    wait_s = options.seconds(timeout, "--timeout")
    more = {"dry_run": dry_run} | release.wished(override, life, reason)
    with client.Client() as hub, tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        body = _prepared(hub, given.read_sources(files), Path(scratch), dry_run=dry_run)
        answer = hub.post("/v1/apply", body | more)
        results: list[dict[str, Any]] = answer["results"]
        if form.is_exact:
            output.emit(results, form)
        elif dry_run or not (wait or wait_all):
            for one in results:
                output.say(applied.line(one, dry_run))
            placed.tell(hub, [] if dry_run else results)
        if not dry_run and (wait or wait_all):
            from hub.cli import wait as waiting

            awaited = [one for one in results if one["kind"] != "upgrade"]
            if awaited != results:
                output.note("an upgrade goes on by itself, wave by wave: skerry get upgrades -w")
            raise typer.Exit(waiting.until_true(hub, awaited, wait_s, patient=wait_all, quiet=form.is_exact))


def diff(
    files: Files,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 when something differs.")] = False,
) -> None:
    """Show how files differ from what is declared at the hub."""
    import difflib

    differs = False
    with client.Client() as hub, tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        resources, _ = given.loaded(given.read_sources(files), Path(scratch))
        for resource in resources:
            key = f"{resource.kind.lower()}/{resource.name}"
            lines = list(
                difflib.unified_diff(
                    _stored(hub, key).splitlines(),
                    _ordered(resource.to_json()).splitlines(),
                    f"{key} at the hub",
                    f"{key} in the files",
                    lineterm="",
                )
            )
            differs = differs or bool(lines)
            for line in lines:
                output.say(line, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))
            if not lines:
                output.note(f"{key} is the same")
    raise typer.Exit(1 if differs and exit_code else 0)


def delete(
    names: options.Deletable,
) -> None:
    """Take services, workflows, policies and upgrades away.

    They stop everywhere; where a node is away, once it returns.
    """
    keys = [options.key(word, (*KINDS, "token")) for word in names]
    with client.Client() as hub:
        for kind, name in keys:
            hub.send("DELETE", f"/v1/tokens/{name}" if kind == "token" else f"/v1/resources/{kind}/{name}")
            output.say(f"{kind}/{name} deleted")


def _prepared(hub: client.Client, sources: list[Source], scratch: Path, *, dry_run: bool) -> dict[str, Any]:
    """Return the body of an apply; what it needs is at the hub by then."""
    _, packed = given.loaded(sources, scratch)
    for name, one in packed.items():
        if not dry_run:
            given.upload(hub, name.rpartition(":")[2], one)
    return {
        "sources": [{"name": one.name, "text": one.text} for one in sources],
        "artifacts": {name: one.written or one.digest for name, one in packed.items()},
    }


def _stored(hub: client.Client, key: str) -> str:
    try:
        return _ordered(hub.get(f"/v1/resources/{key}")["spec"])
    except client.ApiRefused as error:
        if error.status == 404:
            return ""
        raise


def _ordered(document: dict[str, Any]) -> str:
    """Return a document as YAML in the one order: fields as they are declared, free keys by name."""
    import json

    from protocol.spec import load

    return written.as_yaml(load.from_json(json.loads(json.dumps(document, sort_keys=True))).to_json())
