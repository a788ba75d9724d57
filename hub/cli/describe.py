"""describe: all that is known of one thing, as of when, and what to do about what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.listing import asked, fetched
from hub.cli.listing.paths import Paths
from hub.cli.view import happened, human, nodes, output, words
from hub.cli.view.below import regions, spread
from hub.cli.view.hubs import copies, missing, overridden, policies, this, upgrades
from hub.cli.view.output import Format

KINDS = ("node", "region", "hub", "service", "workflow", "policy", "upgrade", "run")
_PATHS = {"region": "nodes", "policy": "policies"}
LAST_LINES = 5
RECENT_EVENTS = 8
LOOKED_AT_EVENTS = 500
RECENT_RUNS = 5

Section = tuple[str, list[tuple[str, str]]]


def _complete_kind(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _complete_name(context: typer.Context, incomplete: str) -> list[str]:
    return options.complete_name(str(context.params.get("kind") or ""), incomplete)


def describe(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS), autocompletion=_complete_kind)],
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_complete_name)] = "",
    form: options.Output = Format.TABLE,
) -> None:
    """Tell all about a node, region, service, workflow, policy, upgrade or run; `describe hub` alone: this hub."""
    wanted = _kind(kind)
    if not name and wanted != "hub":
        raise client.UsageError(f"which {wanted}? write: skerry describe {wanted} NAME")
    wanted = "region" if name and wanted == "hub" else wanted
    with client.Client() as hub:
        data = hub.get(f"/v1/{_PATHS.get(wanted, f'{wanted}s')}/{name}" if name else "/v1/hub")
        if wanted == "node":
            data = asked.fuller(hub, data)
        if form.is_exact:
            output.emit(fetched.everywhere(hub, data) if "on" in data else data, form)
            return
        for title, rows in _TELL[wanted](hub, data, int(time.time() * 1000)):
            _print(title, rows)


def _kind(word: str) -> str:
    wanted = "policy" if word.lower() == "policies" else word.lower().removesuffix("s")
    if wanted not in KINDS:
        raise client.UsageError(f'"{word}" is no kind: write {", ".join(KINDS)}')
    return wanted


def _print(title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    output.say(title, style="bold")
    width = max(len(left) for left, _ in rows)
    for left, right in rows:
        for at, line in enumerate(right.splitlines() or [""]):
            output.say(
                f"  {left if at == 0 else '':<{width}}  {output.clean(line)}".rstrip(), style=output.colour(line)
            )


# ------------------------------------------------------------------------------------------------ node


def _node(hub: client.Client, node: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield _what_it_is(hub, node, now_ms)
    if node["region"] is not None:
        yield from _region(node, now_ms)
    yield "asked of it", _asked(node)
    heard = f" (as of {human.clock(node.get('as_of_ms'), now_ms)})" if node["state"] != "online" else ""
    yield f"services{heard}", [(name, words.service_words(one, now_ms)) for name, one in node["services"].items()]
    for name, one in node["services"].items():
        if not nodes.is_good(one) and node["state"] == "online":
            yield f"last lines of {name}", _last_lines(hub, name, node["address"])
    yield f"workflows{heard}", [(name, words.flow_words(one, now_ms)) for name, one in node["workflows"].items()]
    yield (
        "to look at",
        [
            *((one["what"], one["text"]) for one in node["conditions"]),
            *((one["what"], _alarm(one, node, now_ms)) for one in node["alarms"]),
        ],
    )
    yield (
        "journal",
        [
            (stream, f"epoch {one['epoch']}, made {one['last']:,}, synced {one['seq']:,}{words.lost(node, stream)}")
            for stream, one in node["cursors"].items()
        ],
    )
    policies_here: list[dict[str, Any]] = hub.get("/v1/policies") if missing.is_held(node) else []
    yield "not here", missing.rows(node, policies_here)
    yield "declared lost", words.losses(node, now_ms)
    yield "lately", _recent(hub, {"node": node["address"]})


def _asked(node: dict[str, Any]) -> list[tuple[str, str]]:
    term = f"term {node['term']}, generation" if node["term"] else "generation"
    return [
        ("desired", f"{term} {node['desired_generation']}"),
        ("it holds", f"generation {node['observed_generation']}" + (", settled" if node.get("settled") else "")),
        *([] if node["through"] else [("placed", ", ".join(node.get("placed") or []) or "nothing")]),
    ]


def _region(node: dict[str, Any], now_ms: int) -> Iterator[Section]:
    """What all that is below a hub comes to, as it last said."""
    region = node["region"]
    heard = f" (as of {human.clock(node['as_of_ms'], now_ms)})" if node["state"] != "online" else ""
    yield f"below it{heard}", [("nodes", regions.nodes(region)), ("hubs", regions.hubs(region))]
    yield f"its resources{heard}", regions.tallies(region)
    yield "in trouble", regions.offenders(region, now_ms)
    yield "overridden there", regions.marks(region, now_ms)


def _alarm(one: dict[str, Any], node: dict[str, Any], now_ms: int) -> str:
    if node["through"]:
        return f"{one['text']}      (to be accepted at {node['address'].rpartition('/')[0]})"
    return f"{one['text']} (since {human.clock(one['since_ms'], now_ms)})      (skerry node accept {node['name']})"


def _what_it_is(hub: client.Client, node: dict[str, Any], now_ms: int) -> Section:
    title = f"{'hub' if node['kind'] == 'hub' else 'node'} {Paths(hub).of(node['address'])}"
    facts = {**node.get("facts", {}), **node.get("platform", {})}
    rows = [
        ("state", f"{nodes.state(node, now_ms)}, since {human.clock(node['since_ms'], now_ms)}{_then(node)}"),
        (
            "last contact",
            f"{human.clock(node['last_contact_ms'], now_ms)}, {words.ago(node['last_contact_ms'], now_ms)}",
        ),
        ("labels", nodes.labels(node)),
        ("path", node["path"]),
        ("version", node["version"] or "not known yet"),
        ("device", ", ".join(f"{key} {value}" for key, value in facts.items()) or "not known yet"),
        ("vitals", nodes.vitals(node) + words.as_of(node["vitals"], now_ms)),
        *([("updates", words.held(node, now_ms))] if node.get("hold") else []),
    ]
    if node["through"]:
        rows.append(("known through", node["address"].rpartition("/")[0]))
        return title, rows
    rows.append(("certificate", words.certificate(node.get("certificate_until_ms", 0), now_ms)))
    rows.append(("enrolled", human.clock(node.get("enrolled_ms"), now_ms)))
    if node.get("clock_offset_ms") is not None:
        rows.append(("clock", words.clock_off(node["clock_offset_ms"])))
    if node.get("revoked_reason"):
        rows.append(("revoked", node["revoked_reason"]))
    return title, rows


def _then(node: dict[str, Any]) -> str:
    """Return how a node was when it was last heard of, if it is not heard now."""
    return f"; it was {node['last_state']} then" if node["silent"] else ""


# ------------------------------------------------------------------------------------------------ the others


def _where(one: dict[str, Any]) -> str:
    return "in its regions, and on their nodes" if one["in"] else "on its nodes"


def _declared(hub: client.Client, one: dict[str, Any], now_ms: int) -> Section:
    count = "all" if one["count"] is None else f"{one['count']}{' per region' if one['per_region'] else ''}"
    changed = f"generation {one['generation']}, {human.clock(one['changed_ms'], now_ms)}, by {one['by']}"
    where = f'{count} of those that match "{one["selector"]}"' if one["selector"] else "nowhere: its selector is empty"
    rows = [("declared", changed), ("where", where), ("digest", one["digest"])]
    if one["owner"] != hub.context.hub:
        rows.insert(0, ("owner", f"{one['owner']}: it is changed there"))
    if one["override"] is not None:
        rows.insert(1, ("overridden", f"here {words.overridden(one['override'], now_ms)}"))
    return f"{one['kind']} {one['name']}", rows


def _service(hub: client.Client, one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield _declared(hub, one, now_ms)
    yield _where(one), spread.on(one, words.service_words, now_ms)
    yield "over cuts", copies.rows(one["copies"], now_ms)
    for on in one["on"]:
        if on["node_state"] == "online" and on["report"] and not nodes.is_good(on["report"]):
            yield f"last lines on {on['node']}", _last_lines(hub, one["name"], on["node"])
            break
    yield "its overrides", _overrides(hub, one, now_ms)
    yield "lately", _recent(hub, {"key": one["name"], "kind": "service.*"})


def _workflow(hub: client.Client, one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield _declared(hub, one, now_ms)
    spec = one["spec"]["spec"]
    yield "steps", [(step["name"], words.step_words(step)) for step in spec["steps"]]
    triggers = [(t["cron"], t.get("timezone", "UTC")) for t in spec.get("triggers", [])]
    yield "triggers", triggers or [("by hand", f"skerry workflow start {one['name']}")]
    yield _where(one), spread.on(one, words.flow_words, now_ms)
    yield "its overrides", _overrides(hub, one, now_ms)
    runs = hub.get("/v1/runs", workflow=one["name"], limit=RECENT_RUNS)
    yield (
        "last runs",
        [(run["id"], f"{run['state']}, {run['node']}, {human.age(run['started_ms'], now_ms)} ago") for run in runs],
    )


def _run(hub: client.Client, run: dict[str, Any], now_ms: int) -> Iterator[Section]:
    took = f", took {human.duration((run['ended_ms'] - run['started_ms']) / 1000)}" if run["ended_ms"] else ""
    yield (
        f"run {run['id']}",
        [
            ("state", run["state"] + took),
            ("workflow", run["workflow"]),
            ("node", run["node"]),
            ("started", f"{human.clock(run['started_ms'], now_ms)}, by {run['trigger'] or 'hand'}"),
            *((f"param {key}", value) for key, value in run["params"].items()),
        ],
    )
    yield "steps", [(step["name"], words.ran_words(step)) for step in run["steps"]]
    yield "lately", _recent(hub, {"key": run["id"]})


def _hub(hub: client.Client, one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield from this.tell(one, now_ms)
    yield "lately", _recent(hub, {"node": one["name"]})


def _policy(hub: client.Client, one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield from policies.tell(one, now_ms)
    yield "lately", _recent(hub, {"key": f"policy/{one['name']}"})


def _upgrade(hub: client.Client, one: dict[str, Any], now_ms: int) -> Iterator[Section]:
    yield from upgrades.tell(one, now_ms)
    yield "lately", _recent(hub, {"key": f"upgrade/{one['name']}"})


_TELL = {
    "node": _node,
    "region": _node,
    "hub": _hub,
    "service": _service,
    "workflow": _workflow,
    "policy": _policy,
    "upgrade": _upgrade,
    "run": _run,
}


def _last_lines(hub: client.Client, service: str, node: str) -> list[tuple[str, str]]:
    params: dict[str, object] = {"node": node, "tail": LAST_LINES}
    try:
        lines = list(hub.lines("GET", f"/v1/logs/{service}", params=params))
    except (client.UsageError, client.ApiRefused) as error:  # the name is what a device says
        return [("│", f"({error})")]
    return [("│", str(one.get("line", one.get("error", "")))) for one in lines] or [("│", "(it printed nothing)")]


def _overrides(hub: client.Client, one: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    """Return what was decided otherwise about a resource, and how that ended, wherever that was."""
    chosen: dict[str, object] = {"key": f"{one['kind']}/{one['name']}", "kind": "override.*", "limit": overridden.SHOWN}
    return overridden.rows(list(hub.lines("GET", "/v1/events", params=chosen)), now_ms)


def _recent(hub: client.Client, chosen: dict[str, object]) -> list[tuple[str, str]]:
    """Return the newest events, without those that workloads and the device's sensors tell all the time."""
    found = hub.lines("GET", "/v1/events", params={**chosen, "limit": LOOKED_AT_EVENTS})
    shown = [one for one in found if not one["kind"].startswith(("app.", "vitals"))][-RECENT_EVENTS:]
    kinds = max((len(one["kind"]) for one in shown), default=0)
    paths = Paths(hub)
    return [(human.stamp(one["time_ms"]), _event_words(one, chosen, kinds, paths)) for one in shown]


def _event_words(event: dict[str, Any], chosen: dict[str, object], width: int, paths: Paths) -> str:
    """Return an event without what all of those that were chosen have in common."""
    who = [paths.of_event(event) if "node" not in chosen else "", str(event["key"]) if "key" not in chosen else ""]
    return "  ".join([f"{event['kind']:<{width}}", *filter(None, who), happened.words(event)]).rstrip()
