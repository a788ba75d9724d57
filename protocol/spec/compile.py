"""From the operator's language to the agent's: every choice made, nothing left to interpret."""

from __future__ import annotations

import msgspec

from protocol import documents
from protocol.spec.fleet.upgrade import Upgrade
from protocol.spec.parts.isolation import over
from protocol.spec.policy import Policy
from protocol.spec.service import Health, Service, ServiceSpec
from protocol.spec.workflow import Step, Workflow, WorkflowSpec


class Placement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which nodes: those that `selector` selects, `count` of them (None: all), in each region if `per_region`.

    `regions` None: every region and the hub's own nodes. `spread`: `region` and keys of labels, the first first.
    """

    selector: str
    count: int | None = None
    per_region: bool = False
    regions: str | None = None
    spread: tuple[str, ...] = ("region", "site")


AnyResource = Service | Workflow | Policy | Upgrade


def placement(resource: AnyResource) -> Placement:
    """Return where `resource` is to be; a policy runs nowhere, and is for regions."""
    if isinstance(resource, Policy):
        return Placement(selector="", regions=resource.spec.regions)
    if isinstance(resource, Upgrade):
        return Placement(selector=resource.spec.placement.selector, regions=resource.spec.placement.regions)
    wished = resource.spec.placement
    return Placement(
        selector=wished.selector,
        count=wished.count.number,
        per_region=wished.count.per_region,
        regions=wished.regions,
        spread=tuple(wished.spread),
    )


def disconnect(resource: AnyResource) -> documents.Disconnect:
    """Return what being cut off means for `resource`, at a hub that does not hear its node."""
    if not isinstance(resource, Service):
        return documents.Disconnect()
    wished = resource.spec.disconnect
    return documents.Disconnect(replace_after_s=wished.hub, on_return=wished.on_return, at_most_one=wished.at_most_one)


def document(resource: AnyResource) -> documents.Assignment | documents.Workflow | documents.Upgrade | None:
    """Return the agent's document of `resource`, of whichever kind it is; None for a policy, which is for hubs.

    An Upgrade is no one's word yet: the root hub signs it (protocol.trust.releases).
    """
    if isinstance(resource, Policy):
        return None
    if isinstance(resource, Upgrade):
        return resource.document()
    return assignment(resource) if isinstance(resource, Service) else workflow(resource)


def assignment(wished: Service) -> documents.Assignment:
    """Return what one agent is asked to do with this service; its artifact is taken as it stands."""
    spec = wished.spec
    return documents.Assignment(
        service=wished.name,
        process=_process(spec),
        restart=spec.restart.policy,
        backoff=documents.Backoff(min_s=spec.restart.backoff[0], max_s=spec.restart.backoff[1]),
        health=_probe(spec.health) if spec.health is not None else None,
        restart_unhealthy=spec.health is not None and spec.health.restart,
        stop_grace_s=spec.stop.grace,
        ship_logs=spec.logs.ship,
        labels=wished.metadata.labels,
        lease=documents.Lease(stop_after_s=spec.disconnect.device, at_most_one=spec.disconnect.at_most_one),
    )


def workflow(wished: Workflow) -> documents.Workflow:
    """Return the graph of steps as an agent runs it."""
    spec = wished.spec
    return documents.Workflow(
        workflow=wished.name,
        steps=[_step(step, spec) for step in spec.steps],
        triggers=[
            documents.Cron(cron=trigger.cron, timezone=trigger.timezone, catch_up=trigger.catch_up)
            for trigger in spec.triggers
        ],
        params=spec.params,
        artifact=spec.artifact or "",
        env=spec.env,
        user=spec.user,
        limits=spec.resources.document(),
        isolation=spec.isolation.document(),
        concurrency=spec.concurrency,
        labels=wished.metadata.labels,
    )


def _process(spec: ServiceSpec) -> documents.Process:
    return documents.Process(
        command=spec.process.command,
        artifact=spec.artifact or "",
        env=spec.process.env,
        cwd=spec.process.cwd,
        user=spec.process.user,
        files=[documents.InlineFile(path=file.path, text=file.text, mode=file.mode) for file in spec.files],
        isolation=spec.isolation.document(),
        limits=spec.resources.document(),
    )


def _probe(health: Health) -> documents.Probe:
    return documents.Probe(
        exec=health.exec or [],
        http=health.http or "",
        interval_s=health.interval,
        timeout_s=health.timeout,
        delay_s=health.delay,
        failures=health.failures,
        successes=health.successes,
    )


def _step(step: Step, of_all: WorkflowSpec) -> documents.Step:
    return documents.Step(
        name=step.name,
        needs=step.needs,
        run=step.run or [],
        set=step.set or {},
        env=step.env,
        timeout_s=step.timeout,
        retry=documents.Retry(attempts=step.retry.attempts, min_s=step.retry.backoff[0], max_s=step.retry.backoff[1]),
        interrupted=step.interrupted,
        when=[
            documents.Condition(step=when.step, is_=when.is_ or "", output=when.output or "", equals=when.equals or "")
            for when in step.when
        ],
        user=step.user,
        limits=over(step.resources, of_all.resources).document() if step.resources is not None else None,
        isolation=over(step.isolation, of_all.isolation).document() if step.isolation is not None else None,
    )
