"""Services and workflows of this device's own: read from the files that a hub would read, and checked here.

What reads and checks them is large; only these commands load it, never the daemon, which gets decided documents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli import client, options, view
from edge_agent.cli.options import As, Data, Output, Reason
from protocol.errors import SpecError

_KINDS = ("service", "workflow")


def apply(
    files: Annotated[list[str], typer.Option("-f", "--file", metavar="FILE|DIR|-", help="What to declare.")],
    reason: Reason = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Declare services and workflows here, if this device's owner lets you; all of them or none.

    They stay until they are deleted here. What the hub asks already keeps its name; where they are placed need not be
    said, and is not looked at.
    """
    import msgspec

    raws = [msgspec.Raw(raw) for raw in _compiled(files)]
    _decide(data, output, {"do": "apply", "documents": raws, "reason": reason})


def delete(
    what: Annotated[str, typer.Argument(metavar="KIND/NAME", autocompletion=options.complete_own)],
    reason: Reason = "",
    data: Data = None,
    output: As = Output.table,
) -> None:
    """Let go of a service or workflow that was declared here."""
    kind, _, name = what.partition("/")
    if kind.removesuffix("s") not in _KINDS or not name:
        raise typer.BadParameter(f"{what!r}: write service/NAME or workflow/NAME")
    _decide(data, output, {"do": "delete", "kind": kind.removesuffix("s"), "name": name, "reason": reason})


def _decide(data: Path | None, output: Output, request: dict[str, object]) -> None:
    answer: dict[str, Any] = client.ask(data, request)
    if output.is_exact:
        view.exact(answer, output)
        return
    for key, became in answer["documents"].items():
        view.say(f"{key}   {became}")


def _compiled(files: list[str]) -> list[bytes]:
    """Return the documents of these files, as agents read them. Raises SpecError, with every mistake told."""
    from protocol import documents
    from protocol.aio.terminal import sources
    from protocol.spec import compile as compiler
    from protocol.spec.load import Source, load

    found = load([Source(name=name, text=text) for name, text in sources.named(files)], is_local=True)
    if found.mistakes:
        rows: list[view.Row] = [[_place(one), one.path, one.text] for one in found.mistakes]
        view.table(("WHERE", "WHAT", "MISTAKE"), rows)
        raise SpecError(f"{len(rows)} mistake{'' if len(rows) == 1 else 's'}, nothing applied")
    made = [compiler.document(one) for one in found.documents]
    if None in made:
        raise SpecError("a policy is for hubs; what people may do here is said in /etc/skerry/agent.toml")
    return [documents.encode(one) for one in made if one is not None]


def _place(one: Any) -> str:
    return f"{one.file}:{one.line}:{one.column}"


def add(app: typer.Typer) -> None:
    """Put the commands into `app`."""
    app.command(epilog="Example:  skerry-agent apply -f label-print.yaml --reason 'a spare printer'")(apply)
    app.command(epilog="Example:  skerry-agent delete service/label-print")(delete)
