"""How an override begins (a part of `apply`) and ends: `release`, here or at a region below."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import output
from hub.cli.view.hubs import overridden

KINDS = ("service", "workflow", "policy")


def wished(is_wished: bool, life: str, reason: str) -> dict[str, Any]:
    """Return what an apply says of its override. Raises UsageError."""
    if not is_wished:
        if life or reason:
            raise client.UsageError("--for and --reason belong to --override")
        return {}
    if not life or not reason.strip():
        raise client.UsageError('an override has an end and a reason: --override --for 8h --reason "TEXT"')
    return {"override": {"for_s": options.seconds(life, "--for"), "reason": reason}}


def release(
    names: options.Keys,
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="REGION", help="End that of a region below.", autocompletion=options.complete_region
        ),
    ] = "",
    reason: options.Reason = "",
) -> None:
    """End overrides, so that what the hub above declares is in force again.

    Of this hub; or, with --at, of a region: the hub that owns a document asks for it back, with a --reason. That stands
    in the record of both, and reaches a region that is away at its next contact.
    """
    keys = [options.key(word, KINDS) for word in names]
    with client.Client() as hub:
        for kind, name in keys:
            path = f"/v1/resources/{kind}/{name}/override"
            answer = hub.send("DELETE", path, params={"at": at, "reason": reason})
            said = overridden.asked(answer, int(time.time() * 1000)) if at else "released"
            output.say(f"{kind}/{name}{':' if at else ''} {said}")
