"""token and node: who may come in, and what an operator does with one device."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import examples, invitation, output
from hub.cli.view.output import Format

tokens = typer.Typer(help="Invite devices and hubs: one-time tokens.", no_args_is_help=True, rich_markup_mode=None)
nodes = typer.Typer(
    help="Label, cordon, drain, move, accept or revoke a node; ask it to release a service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@tokens.command(epilog=examples.TOKEN)
def create(
    ttl: Annotated[str, typer.Option("--ttl", metavar="TIME", help="How long it is good.")] = "1h",
    uses: Annotated[int, typer.Option("--uses", min=1, help="For how many devices.")] = 1,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="K=V", help="Their labels; again for more.")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="Let in a hub, to be a region below this one.")] = False,
    form: options.Output = Format.TABLE,
) -> None:
    """Make a token that lets devices enroll, or a hub. It also pins the root's CA."""
    labels = options.labels(label or [], "--label")
    body = {"ttl_s": options.seconds(ttl, "--ttl"), "uses": uses, "labels": labels, "kind": "hub" if hub else "agent"}
    with client.Client() as api:
        made = api.post("/v1/tokens", body)
        url = api.context.url
    if form.is_exact:
        output.emit(made, form)
        return
    invitation.say(made, url, label or [])


@tokens.command("list", epilog=examples.TOKENS)
def list_tokens(form: options.Output = Format.TABLE) -> None:
    """List the tokens that were made, without their secrets."""
    from hub.cli import get

    get.get("tokens", form=form)


@tokens.command("delete", epilog=examples.TOKEN_DELETE)
def delete_token(token: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Withdraw a token: nobody enrolls with it any more."""
    with client.Client() as hub:
        hub.send("DELETE", f"/v1/tokens/{token}")
    output.say(f"token/{token} deleted")


@nodes.command(epilog=examples.LABEL)
def label(
    node: options.Node,
    words: Annotated[list[str], typer.Argument(metavar="K=V ... K-", help="Set k=v; k- takes it away.")],
) -> None:
    """Set and remove labels; what is placed by them moves."""
    removed = [word[:-1] for word in words if word.endswith("-") and "=" not in word]
    put = options.labels([word for word in words if not (word.endswith("-") and "=" not in word)], "label")
    done = _post(node, "labels", {"set": put, "remove": removed})
    from hub.cli.view import nodes as views

    output.say(f"{node} has {views.labels(done)}")


@nodes.command(epilog=examples.CORDON)
def cordon(node: options.Node) -> None:
    """Keep new work away from it; what runs there runs on."""
    _post(node, "cordon", {"cordoned": True})
    output.say(f"{node} cordoned: nothing new is placed there      (skerry node uncordon {node})")


@nodes.command(epilog=examples.UNCORDON)
def uncordon(node: options.Node) -> None:
    """Let work in again."""
    _post(node, "cordon", {"cordoned": False})
    output.say(f"{node} takes work again")


@nodes.command(epilog=examples.DRAIN)
def drain(node: options.Node) -> None:
    """Cordon it, and take its placed work away."""
    _post(node, "drain", {})
    output.say(f"{node} drained: its work is taken away      (skerry node uncordon {node})")


@nodes.command(epilog=examples.REVOKE)
def revoke(
    node: options.Node,
    reason: options.Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Cut it off at once, for ever: its certificate is good for nothing from now on."""
    text = f"Revoke {node}? It is cut off at once and must enroll anew under another name."
    options.confirm(f"{text} Below a hub all goes on, unseen from here.", yes)
    _post(node, "revoke", {"reason": reason})
    output.say(f"{node} revoked")


@nodes.command(epilog=examples.MOVE)
def move(
    node: options.Node,
    to: Annotated[
        str,
        typer.Option("--to", metavar="HUB", help="One below this hub, or it.", autocompletion=options.complete_region),
    ],
) -> None:
    """Let it belong to another hub; asked of a hub above both. Its work runs on, and no entry is lost."""
    with client.Client() as hub:
        done = hub.post("/v1/nodes/-/move", {"node": node, "to": to})
    output.say(f"{done['node']} belongs to {done['to']} now; it turns there when {done['from']} has told it")


@nodes.command(epilog=examples.ACCEPT)
def accept(node: options.Node, reason: options.Reason = "") -> None:
    """Clear its alarms and take it back from quarantine, having looked at it: this node alone, at once."""
    with client.Client() as hub:
        before = hub.get(f"/v1/nodes/{node}")
        hub.post(f"/v1/nodes/{node}/accept", {"reason": reason})
    if before["alarms"] or before["state"] == "quarantined":
        output.say(f"{node} accepted: its alarms are cleared")
    else:
        output.say(f"{node} had no alarm and is not quarantined: there was nothing to accept")


@nodes.command(epilog=examples.NODE_RELEASE)
def release(
    node: options.Node,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", autocompletion=options.complete_service)] = "",
    reason: options.Reason = "",
) -> None:
    """Ask the person at the device to give back an override, or (without SERVICE) to end a hold; they decide."""
    done = _post(node, "release", {"service": service, "reason": reason})
    what = f"release {service}" if service else "let updates come again"
    shows = "it shows there" if done["state"] == "online" else "it shows there once it is back, or by the next stick"
    output.say(f"asked {node} to {what}; {shows}, and the person there decides")


def _post(node: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    with client.Client() as hub:
        return hub.post(f"/v1/nodes/{node}/{what}", body)
