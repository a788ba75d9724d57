"""What an operator sees from where they are: the context of this user, the hub that it names, the fleet in short."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from hub.cli import client
from hub.cli.listing.paths import Paths
from hub.cli.view import nodes as views
from hub.core.doctor.facts import Above, Context, Fleet, Node, Waiting
from protocol.aio import tls
from protocol.aio.checkup import files, look, ways
from protocol.aio.checkup.look import Look
from protocol.doctor.facts import Answer
from protocol.doctor.findings import Unseen

_PORT = 8443
_MAKE = "make a hub (skerry hub init), or set SKERRY_CONTEXT to the context.json of one"
_RIGHT = "take the context.json of the hub that runs there; a hub that was made anew knows no token of the former one"


def fleet() -> Fleet:
    """Return the facts about this user's context, within limits.DOCTOR_WAIT_S or a little more."""
    began = look.clocks()
    found = context()
    answer = Look("the hub", _answer)
    nodes = Look("the list of nodes", _nodes, _RIGHT)
    waits = Look("what waits for an operator", _waiting, _RIGHT)
    up = Look("the hub above", _above, _RIGHT)
    return Fleet(
        version=importlib.metadata.version("skerry"),
        user=os.geteuid(),
        context=found,
        answer=answer.seen(),
        nodes=nodes.seen(),
        waiting=waits.seen(),
        above=up.seen(),
        clock=look.clock(began),
    )


def context() -> Context | Unseen:
    """Return what there is to know of this user's context."""
    return Look("the context", _context, _MAKE).seen()


def _context() -> Context:
    known = client.context()
    path = client.context_path()
    return Context(file=files.file(path), url=known.url, hub=known.hub, root=files.public_of_root(_pem(known)))


def _pem(known: client.Context) -> str:
    pem = known.root_pem
    return pem if "-----BEGIN" in pem else Path(pem).expanduser().read_text()


def _answer() -> Answer:
    known = client.context()
    parts = urlsplit(known.url)
    context = tls.api_context(_pem(known), known.name) if parts.scheme == "https" else None
    return ways.ask(parts.hostname or "", parts.port or _PORT, context)


def _nodes() -> list[Node]:
    with client.Client(quiet=True) as asking:
        listed = [one for page in asking.pages("/v1/nodes") for one in page]
        spell = Paths(asking).of
        return [_node(one, spell) for one in listed]


def waiting() -> Waiting | Unseen:
    """Return what waits for an operator at the hub of this user's context."""
    return Look("what waits for an operator", _waiting, _RIGHT).seen()


def _waiting() -> Waiting:
    with client.Client(quiet=True) as asking:
        knocks = views.knocks(cast("list[dict[str, Any]]", asking.get("/v1/nodes/-/knocks")))
        return Waiting(alarm=asking.alarm, knocks=knocks)


def above() -> Above | Unseen:
    """Return how the hub of this user's context stands to the one above it."""
    return Look("the hub above", _above, _RIGHT).seen()


def _above() -> Above:
    with client.Client(quiet=True) as asking:
        one = cast("dict[str, Any]", asking.get("/v1/hub"))
    up: dict[str, Any] | None = one["parent"]
    if up is None:
        return Above()
    return Above(
        parent=up["name"],
        state=up["state"],
        since_ms=up["since_ms"],
        last_contact_ms=up["last_contact_ms"],
        reason=up["reason"],
        waiting=sum(up["waiting"].values()),
        conditions=[(found["what"], found["text"]) for found in one["conditions"]],
    )


def _node(one: dict[str, Any], spell: Callable[[str], str]) -> Node:
    return Node(
        name=spell(one["address"]),
        state=one["state"],
        kind=one["kind"],
        last_contact_ms=one["last_contact_ms"],
        silent=spell(one["silent"]) if one["silent"] else "",
        version=one["version"],
        alarms=[alarm["text"] for alarm in one["alarms"]],
        offset_s=one["clock_offset_ms"] / 1000,
        lost=sum(one["lost"].values()),
        aside=one["aside"],
        certificate_until_ms=one["certificate_until_ms"],
    )
