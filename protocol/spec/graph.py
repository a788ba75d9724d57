"""Cross-checks of a workflow's steps: names, needs, cycles, conditions and references.

They read the tree as it was written, tolerant of anything that the types reject, so that one look shows both kinds of
mistake. References are `${params.NAME}` and `${steps.STEP.outputs.NAME}`; any other `${…}` belongs to the shell that a
step runs, but a dotted one is taken for a slip of the pen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from protocol.spec.mistakes import Finding, Path, suggestion

_REFERENCE = re.compile(r"\$\{([^{}]{0,256})\}")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[\w-]+)+", re.ASCII)
_PARAM = re.compile(r"params\.([\w-]+)", re.ASCII)
_OUTPUT = re.compile(r"steps\.([\w-]+)\.outputs\.([\w-]+)", re.ASCII)
_FORMS = "write ${params.NAME} or ${steps.STEP.outputs.NAME}"


@dataclass
class _Step:
    index: int
    tree: Mapping[str, Any]
    needs: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    @property
    def path(self) -> Path:
        return ("spec", "steps", self.index)

    @property
    def outputs(self) -> list[str] | None:
        """The outputs that `set` makes; None for a command, whose outputs only show when it runs."""
        return None if "set" not in self.tree else list(_mapping(self.tree["set"]))


def check(tree: object) -> Iterator[Finding]:
    """Yield what is wrong across the steps of the workflow in `tree`."""
    spec = _mapping(_mapping(tree).get("spec"))
    steps: dict[str, _Step] = {}
    for index, raw in enumerate(_sequence(spec.get("steps"))):
        step = _Step(index, _mapping(raw))
        name = str(step.tree.get("name", ""))
        if name in steps:
            yield Finding((*step.path, "name"), f'there is a step "{name}" already: every step needs its own name')
        elif name:
            step.needs = [(at, str(need)) for at, need in enumerate(_sequence(step.tree.get("needs")))]
            steps[name] = step
    yield from _unknown_needs(steps)
    yield from _cycle(steps)
    params = [str(key) for key in _mapping(spec.get("params"))]
    before = _Before(steps)
    for name, step in steps.items():
        yield from _conditions(step, steps, before.of(name), name)
        for path, text in _texts(step):
            yield from _references(path, text, params, steps, before.of(name), name)
    for key, value in _mapping(spec.get("env")).items():
        yield from _references(("spec", "env", key), value, params, {}, frozenset(), "")


def _unknown_needs(steps: Mapping[str, _Step]) -> Iterator[Finding]:
    for name, step in steps.items():
        for at, need in step.needs:
            path = (*step.path, "needs", at)
            if need == name:
                yield Finding(path, f'step "{name}" needs itself: take it out')
            elif need not in steps:
                yield Finding(path, f'step "{need}" does not exist{suggestion(need, steps)}')


def _cycle(steps: Mapping[str, _Step]) -> Iterator[Finding]:
    """Name one cycle; Kahn's algorithm, so that no depth of graph exhausts a stack."""
    waiting = {name: [n for _, n in step.needs if n in steps and n != name] for name, step in steps.items()}
    while ready := [name for name, needs in waiting.items() if not any(need in waiting for need in needs)]:
        for name in ready:
            del waiting[name]
    if not waiting:
        return
    trail = [next(iter(waiting))]
    while (following := next(n for n in waiting[trail[-1]] if n in waiting)) not in trail:
        trail.append(following)
    ring = [*trail[trail.index(following) :], following]
    yield Finding((*steps[ring[0]].path, "needs"), f"the steps need each other in a ring: {' -> '.join(ring)}")


class _Before:
    """Which steps are over for sure before a step starts: its needs and all of theirs."""

    def __init__(self, steps: Mapping[str, _Step]) -> None:
        self._steps = steps
        self._known: dict[str, frozenset[str]] = {}

    def of(self, name: str) -> frozenset[str]:
        """Return all of what `name` needs, near and far."""
        if name not in self._known:
            found: set[str] = set()
            pending = [name]
            while pending:
                for _, need in self._steps[pending.pop()].needs:
                    if need in self._steps and need not in found:
                        found.add(need)
                        pending.append(need)
            self._known[name] = frozenset(found)
        return self._known[name]


def _conditions(step: _Step, steps: Mapping[str, _Step], before: frozenset[str], name: str) -> Iterator[Finding]:
    raw = step.tree.get("when")
    single = isinstance(raw, dict)
    for at, condition in enumerate([_mapping(cast("object", raw))] if single else map(_mapping, _sequence(raw))):
        base: Path = (*step.path, "when") if single else (*step.path, "when", at)
        other = str(condition.get("step", ""))
        if other:
            yield from _earlier((*base, "step"), other, steps, before, name)
        if other in steps and "output" in condition:
            yield from _has_output((*base, "output"), other, str(condition["output"]), steps)


def _references(
    path: Path, text: object, params: Sequence[str], steps: Mapping[str, _Step], before: frozenset[str], name: str
) -> Iterator[Finding]:
    for inner in _REFERENCE.findall(text) if isinstance(text, str) else ():
        param, output = _PARAM.fullmatch(inner), _OUTPUT.fullmatch(inner)
        if param is not None:
            if param[1] not in params:
                yield Finding(path, f'there is no parameter "{param[1]}"{suggestion(param[1], params)}')
        elif output is not None:
            missing = list(_earlier(path, output[1], steps, before, name))
            yield from missing or _has_output(path, output[1], output[2], steps)
        elif _DOTTED.fullmatch(inner) or "set" in path:
            yield Finding(path, f'"${{{inner[:80]}}}" refers to nothing: {_FORMS}')


def _earlier(
    path: Path, other: str, steps: Mapping[str, _Step], before: frozenset[str], name: str
) -> Iterator[Finding]:
    if not name:
        yield Finding(path, "env of a whole workflow can refer to ${params.NAME} only: write it at the step")
    elif other not in steps:
        yield Finding(path, f'step "{other}" does not exist{suggestion(other, steps)}')
    elif other not in before:
        yield Finding(path, f'step "{other}" may not be over when "{name}" starts: add it to needs of "{name}"')


def _has_output(path: Path, other: str, output: str, steps: Mapping[str, _Step]) -> Iterator[Finding]:
    known = steps[other].outputs
    if known is not None and output not in known:
        yield Finding(path, f'step "{other}" sets no "{output}"{suggestion(output, known)}')


def _texts(step: _Step) -> Iterator[tuple[Path, object]]:
    for at, text in enumerate(_sequence(step.tree.get("run"))):
        yield (*step.path, "run", at), text
    for field_name in ("env", "set"):
        for key, text in _mapping(step.tree.get(field_name)).items():
            yield (*step.path, field_name, key), text


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()
