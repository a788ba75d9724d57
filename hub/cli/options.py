"""The options that several commands share, one meaning each; and what the shell completes them to."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.client import UsageError
from hub.cli.view.output import Format


def _names(path: str, incomplete: str) -> list[str]:
    from hub.cli.listing import completing

    return completing.names(path, incomplete)


def complete_node(incomplete: str) -> list[str]:
    """Return the nodes of which the address, the name or the path begins so."""
    from hub.cli.listing import completing

    return completing.nodes(incomplete)


def complete_service(incomplete: str) -> list[str]:
    """Return the services whose names begin so."""
    return _names("/v1/services", incomplete)


def complete_workflow(incomplete: str) -> list[str]:
    """Return the workflows whose names begin so."""
    return _names("/v1/workflows", incomplete)


def complete_region(incomplete: str) -> list[str]:
    """Return the hubs below this one whose names begin so."""
    return _names("/v1/regions", incomplete)


_LISTS = {
    "node": "/v1/nodes",
    "region": "/v1/regions",
    "hub": "/v1/regions",
    "service": "/v1/services",
    "workflow": "/v1/workflows",
    "policy": "/v1/policies",
    "policie": "/v1/policies",
    "upgrade": "/v1/upgrades",
}


def complete_name(kind: str, incomplete: str) -> list[str]:
    """Return the names of what is of `kind` that begin so."""
    if kind.lower() in ("node", "nodes"):
        return complete_node(incomplete)
    path = _LISTS.get(kind.lower().removesuffix("s"))
    return [] if path is None else _names(path, incomplete)


def complete_key(incomplete: str) -> list[str]:
    """Return the resources, as KIND/NAME, whose names begin so."""
    kind, slash, name = incomplete.partition("/")
    if not slash:
        return [f"{one}/" for one in ("service", "workflow", "policy", "upgrade") if one.startswith(kind)]
    return [f"{kind}/{found}" for found in complete_name(kind, name)]


Output = Annotated[Format, typer.Option("-o", "--output", help="How to print it; json never changes shape.")]
Selector = Annotated[str, typer.Option("-l", "--selector", metavar="SELECTOR", help="Nodes by labels: site=oslo,gpu")]
Nodes = Annotated[
    list[str] | None,
    typer.Option(
        "--node", metavar="NODE", help="A node, by name or path; again for more.", autocompletion=complete_node
    ),
]
Node = Annotated[str, typer.Argument(metavar="NODE", autocompletion=complete_node)]
_KEYS = "service/NAME, workflow/NAME, policy/NAME, upgrade/NAME"
Keys = Annotated[list[str], typer.Argument(metavar="KIND/NAME", help=_KEYS, autocompletion=complete_key)]
Deletable = Annotated[
    list[str], typer.Argument(metavar="KIND/NAME", help=f"{_KEYS}, token/ID", autocompletion=complete_key)
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]


def seconds(text: str, option: str) -> float:
    """Return the seconds in `30s`, `5m`, `1h`. Raises UsageError, naming the option."""
    from protocol.spec.quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def key(word: str, kinds: tuple[str, ...]) -> tuple[str, str]:
    """Return (kind, name) of `KIND/NAME`. Raises UsageError."""
    kind, slash, name = word.partition("/")
    kind = kind.lower()
    kind = "policy" if kind == "policies" else kind.removesuffix("s")
    if not slash or not name or kind not in kinds:
        raise UsageError(f'"{word}": write KIND/NAME, as in service/line-vision')
    return kind, name


def labels(pairs: list[str], option: str) -> dict[str, str]:
    """Return the labels of `k=v` words. Raises UsageError, naming the option."""
    from protocol import selector
    from protocol.errors import BadSelector

    try:
        return dict(selector.parse_label(pair) for pair in pairs)
    except BadSelector as error:
        raise UsageError(f"{option}: {error}") from error


def confirm(question: str, yes: bool) -> None:
    """Ask a person before what cannot be undone. Raises UsageError where nobody can answer and `--yes` is not said."""
    import sys

    import typer

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is nobody here to ask: say --yes, with --reason, if you mean it")
    typer.confirm(question, abort=True)


def checked_selector(text: str) -> str:
    """Return `text` if it is a selector; said before the hub is asked. Raises UsageError."""
    from protocol import selector
    from protocol.errors import BadSelector

    try:
        selector.parse(text)
    except BadSelector as error:
        raise UsageError(f"-l: {error}") from error
    return text


def target(nodes: list[str] | None, chosen: str) -> dict[str, object]:
    """Return the part of a request that says which nodes. Raises UsageError unless one way was given."""
    if bool(nodes) == bool(chosen):
        raise UsageError("say on which nodes: either --node NODE, or -l SELECTOR (-l '*' is every node)")
    return {"nodes": nodes} if nodes else {"selector": checked_selector(chosen)}
