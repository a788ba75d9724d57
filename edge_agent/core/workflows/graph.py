"""A workflow's steps as a graph, and what their results mean for the next ones. Pure.

A step waits for its `needs`, for the steps its conditions name, and for those whose outputs it refers to. It runs when
every need ended ok; one named in `when` may have ended in any way, the condition decides. Otherwise it is skipped.
"""

from __future__ import annotations

import enum
import re

from edge_agent.core import isolation
from protocol import documents, ids, limits
from protocol.errors import Refused

_REFERENCE = re.compile(r"\$\{(?:params\.([\w-]+)|steps\.([\w-]+)\.outputs\.([\w-]+))\}", re.ASCII)


class State(enum.StrEnum):
    """Where a step of a run stands; the first three are not its end."""

    WAITING = "waiting"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


ENDINGS = (State.OK, State.FAILED, State.SKIPPED, State.CANCELLED)


class Graph:
    """The steps of one definition. Raises Refused when they are no graph (a cycle, an unknown need, too many)."""

    def __init__(self, definition: documents.Workflow) -> None:
        self.definition = definition
        self.steps = {step.name: step for step in definition.steps}
        if len(self.steps) != len(definition.steps):
            raise Refused(f"workflow {definition.workflow!r} names a step twice")
        if len(self.steps) > limits.STEPS_MAX:
            raise Refused(f"workflow {definition.workflow!r} has over {limits.STEPS_MAX} steps")
        self.needs = {name: self._needs_of(step) for name, step in self.steps.items()}
        self.followers: dict[str, list[str]] = {name: [] for name in self.steps}
        for name, needs in self.needs.items():
            for need in needs:
                self.followers[need].append(name)
        self._check_acyclic()
        self._confined = [one.name for one in definition.steps if one.run and _confines(self.process(one.name))]

    def process(self, name: str) -> documents.Process:
        """Return the process of a step as it is written, with its references."""
        of_all, step = self.definition, self.steps[name]
        return documents.Process(
            command=step.run,
            artifact=of_all.artifact,
            env=of_all.env | step.env,
            user=step.user or of_all.user,
            limits=of_all.limits if step.limits is None else step.limits,
            isolation=of_all.isolation if step.isolation is None else step.isolation,
        )

    def unconfined(self, able: isolation.Able) -> str:
        """Return what is to be known of the first step that declares what the device cannot enforce; empty: nothing."""
        for name in self._confined:
            process = self.process(name)
            found = isolation.refusal(process, able) or isolation.told(process, able)
            if found:
                return f"step {name!r}: {found}"
        return ""

    def _needs_of(self, step: documents.Step) -> list[str]:
        if not ids.is_name(step.name):
            raise Refused(f"{step.name[:80]!r} cannot name a step: write {ids.NAME_RULE}")
        texts = [*step.run, *step.env.values(), *step.set.values()]
        referred = [found[1] for text in texts for found in _REFERENCE.findall(text) if found[1]]
        needs = list(dict.fromkeys([*step.needs, *(c.step for c in step.when), *referred]))
        for need in needs:
            if need not in self.steps:
                raise Refused(
                    f"step {step.name!r} of workflow {self.definition.workflow!r} needs {need!r}: no such step"
                )
        return needs

    def _check_acyclic(self) -> None:
        open_needs = {name: len(needs) for name, needs in self.needs.items()}
        ready = [name for name, count in open_needs.items() if count == 0]
        done = 0
        while ready:
            done += 1
            for follower in self.followers[ready.pop()]:
                open_needs[follower] -= 1
                if open_needs[follower] == 0:
                    ready.append(follower)
        if done != len(self.steps):
            stuck = next(name for name, count in open_needs.items() if count)
            raise Refused(
                f"the steps of workflow {self.definition.workflow!r} wait for each other, {stuck!r} among them"
            )


def _confines(process: documents.Process) -> bool:
    return (process.limits, process.isolation) != (documents.Limits(), documents.Isolation())


def should_run(step: documents.Step, endings: dict[str, State], outputs: dict[str, dict[str, str]]) -> bool:
    """Tell whether `step` runs (else it is skipped), all it waits for having ended."""
    conditioned = {condition.step for condition in step.when}
    if any(endings[need] is not State.OK for need in step.needs if need not in conditioned):
        return False
    return all(_holds(condition, endings, outputs) for condition in step.when)


def _holds(condition: documents.Condition, endings: dict[str, State], outputs: dict[str, dict[str, str]]) -> bool:
    ending = endings[condition.step]
    if condition.output:
        return outputs.get(condition.step, {}).get(condition.output) == condition.equals
    return condition.is_ == "any" or ending.value == condition.is_


def substitute(text: str, params: dict[str, str], outputs: dict[str, dict[str, str]]) -> str:
    """Return `text` with its references replaced. Raises Refused when one of them has no value."""

    def value(match: re.Match[str]) -> str:
        param, step, name = match.groups()
        found = params.get(param) if param else outputs.get(step, {}).get(name)
        if found is None:
            raise Refused(f"{match[0]} has no value")
        return found

    return _REFERENCE.sub(value, text) if "${" in text else text
