"""What people do in a simulated world: operators at a hub, and somebody at a device."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from tests.sim import plan
from tests.sim.plan import AnyItem

SERVICES = ("web", "worker", "flaky", "job")
WORKFLOWS = ("collect", "nightly")
_APART_S = 90.0
_ALL = "fleet=sim"


def beginning(chance: Random) -> list[AnyItem]:
    """Return what is applied before anything happens."""
    documents = [service("web", "steady", _ALL, health=_HEALTH), workflow("collect", chance)]
    return [plan.Operate(at=5.0, op=hub.Apply(documents=documents))]


def moments(chance: Random, first_s: float, last_s: float, agents: int) -> Iterator[float]:
    """Yield when people do something."""
    at, apart_s = first_s, _APART_S / max(1.0, agents / 3)
    while (at := at + chance.expovariate(1 / apart_s)) < last_s:
        yield round(at, 3)


def deed(chance: Random, at: float, node: str, nodes: list[str]) -> AnyItem:
    """Return one thing that somebody does: at `node`, or at the hub of `nodes`."""
    if chance.random() < 0.25:
        return plan.AtDevice(at=at, node=node, command=_local(chance))
    return plan.Operate(at=at, op=_operation(chance, node, nodes))


def _operation(chance: Random, node: str, nodes: list[str]) -> hub.AnyOp:
    kind = chance.choices(
        (
            "apply",
            "delete",
            "task",
            "start",
            "label",
            "cordon",
            "drain",
            "accept",
            "restored",
            "ask",
            "release",
            "revoke",
        ),
        (8, 2, 6, 2, 3, 2, 0.5, 2, 2, 2, 1, 0.15),
    )[0]
    match kind:
        case "apply":
            return hub.Apply(documents=[document(chance)])
        case "delete":
            what = chance.choice(("service", "workflow"))
            return hub.DeleteResource(kind=what, name=chance.choice(SERVICES if what == "service" else WORKFLOWS))
        case "task":
            return task(chance, nodes)
        case "start":
            return hub.CreateTasks(
                nodes=[node], workflow=chance.choice(WORKFLOWS), deadline_s=chance.choice((30.0, None))
            )
        case "label":
            return hub.LabelNode(node=node, set={"ring": chance.choice(("one", "two"))})
        case "cordon":
            return hub.CordonNode(node=node, cordoned=chance.random() < 0.5)
        case "drain":
            return hub.DrainNode(node=node)
        case "accept":
            return hub.AcceptNode(node=node)
        case "restored":
            return hub.AcceptRestore(reason="seen")
        case "ask":
            what = chance.choice(("status", "runs"))
            return hub.AskNode(id=f"ask-{chance.randrange(1 << 32)}", node=node, what=what)
        case "release":
            return hub.RequestRelease(node=node, service=chance.choice(SERVICES), reason="please")
        case _:
            return hub.RevokeNode(node=node, reason="stolen")


def task(chance: Random, nodes: list[str]) -> hub.AnyOp:
    """Return what some of `nodes` are asked to do once."""
    chosen = chance.sample(nodes, chance.randint(1, len(nodes)))
    verb, seconds = chance.choice((("ok", "5"), ("ok", "40"), ("fail", "5"), ("hang", "9"), ("steady", "1")))
    return hub.CreateTasks(
        nodes=chosen,
        command=["sim", verb, seconds] if chance.random() < 0.95 else ["no-such-command"],
        timeout_s=chance.choice((5.0, 30.0, 120.0)),
        deadline_s=chance.choice((30.0, 600.0, None)),
        repeatable=chance.random() < 0.4,
    )


def _local(chance: Random) -> agent.AnyLocalCommand:
    name = chance.choice(SERVICES)
    match chance.randrange(7):
        case 0:
            return agent.LocalStop(service=name, reason="noise")
        case 1:
            return agent.LocalStart(service=name, reason="quiet again")
        case 2 | 3:
            return agent.LocalRestart(service=name, reason="looks odd")
        case 4:
            return agent.LocalRelease(service=name)
        case 5:
            return agent.LocalWorkflowStart(workflow=chance.choice(WORKFLOWS))
        case _:
            return agent.LocalStatus()


# ------------------------------------------------------------------------------------------------ documents

_HEALTH: dict[str, Any] = {"exec": ["sim", "probe"], "interval": "20s", "failures": 2, "restart": True}


def document(chance: Random) -> dict[str, Any]:
    """Return what an operator declares."""
    if chance.random() < 0.25:
        return workflow(chance.choice(WORKFLOWS), chance)
    name = chance.choice(SERVICES)
    verb = {"web": "steady", "worker": chance.choice(("steady", "hang")), "flaky": "crash", "job": "exit"}[name]
    more: dict[str, Any] = {"health": _HEALTH} if chance.random() < 0.5 else {}
    policy = chance.choice(("always", "on-failure", "never"))
    selector = chance.choice((_ALL, _ALL, "site=oslo", "site=bergen", "ring=one"))
    count = chance.choice(("all", "all", 1, 2))
    env = {"RATE": str(chance.randrange(4))}
    return service(name, verb, selector, count=count, env=env, restart={"policy": policy}, **more)


def service(
    name: str, verb: str, selector: str, *, count: str | int = "all", env: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return a service as an operator writes it; its process does what `verb` says (tests.sim.machine)."""
    seconds = "20" if verb in ("crash", "exit") else "0"
    process = {"command": ["sim", verb, seconds], "env": env or {}}
    return {
        "apiVersion": "skerry/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"process": process, "placement": {"selector": selector, "count": count}, **spec},
    }


def workflow(name: str, chance: Random) -> dict[str, Any]:
    """Return a workflow: two steps beside each other, one after them, on a schedule or by hand."""
    interrupted = chance.choice(("retry", "fail", "ask"))
    steps: list[dict[str, Any]] = [
        {"name": "read", "run": ["sim", "ok", str(chance.choice((1, 30)))], "interrupted": interrupted},
        {"name": "try", "run": ["sim", chance.choice(("ok", "fail")), "5"], "retry": {"attempts": 3}},
        {"name": "send", "needs": ["read", "try"], "run": ["sim", "ok", "5"], "interrupted": interrupted},
    ]
    triggers = [{"cron": "*/5 * * * *", "catch_up": chance.choice(("none", "last", "all"))}]
    return {
        "apiVersion": "skerry/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "placement": {"selector": _ALL},
            "steps": steps,
            "triggers": triggers if chance.random() < 0.7 else [],
        },
    }
