"""B. A version of the agent that takes a fleet down: all at once, for ever, or though somebody said stop.

Demands, of a device: a version that has never said of itself that all is well runs on trial only; who went back has the
version that it had before. Of a hub: before the last wave no more of its nodes are at an Upgrade, or through with it,
than the wave names; the next one begins when one of the one before runs, and no more of them are at it than may fail;
when more than `stop_after` went back nobody gets it any more; and no node is asked for one that its wave has not
reached. What a node says of itself counts as the hub has committed it.

Cannot see: shares of a selection, which are judged as shares of all; who fell silent; what root keeps, and does not
tell.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from edge_agent.core import inputs
from hub.core.upgrade import rollouts, waves
from hub.core.work import declared, resources
from protocol import effects, messages, status
from protocol.link import parent, parent_desired
from protocol.upgrade.words import Outcome, Stage
from tests.checkers import base
from tests.checkers.history import Acted, Stored, Took
from tests.checkers.world import Machine

_AT_IT = ("asked", "trying")
_THROUGH = ("running", "back")
_decode_rollout = msgspec.json.Decoder(waves.Rollout).decode
_decode_status = msgspec.json.Decoder(messages.Status).decode
_decode_asked = msgspec.json.Decoder(parent_desired.Record).decode
_decode_resource = msgspec.json.Decoder(declared.Resource).decode


class Upgrades(base.Checker):
    """See the module."""

    rule = "B upgrades"

    def watch(self) -> None:
        """Ask for versions that begin, what they say, and who is given one."""
        self._good: dict[str, str] = {}
        """Device -> the version that ran before its last trial, or runs."""
        self._runs: dict[str, str] = {}
        self._said: dict[str, str] = {}
        """Device -> the version that has said since that all is well."""
        self.on_took(inputs.Started, self._started)
        self.on_took(inputs.Installed, self._installed)
        self.on_acted(inputs.Vouch, self._vouched)
        self.on_op(effects.Put, self._put)

    # ---------------------------------------------------------------------------------------- a device

    def _started(self, fact: Took, started: inputs.Started) -> None:
        slots = started.slots
        if slots is None:
            return
        self._runs[fact.node] = version = slots.version
        good = self._good.setdefault(fact.node, version)
        kept = slots.kept
        if kept.version == version and kept.stage in (Stage.TRIAL, Stage.FAILED):
            return  # on trial, or root is about to take it back
        if version == self._said.get(fact.node) and (kept.version != version or kept.outcome is not Outcome.BACK):
            good = self._proven(fact.node, version)
        text = f"{fact.node} runs {version}, which never said that all is well; {good} was the last that did"
        self.demand(version == good, text)

    def _installed(self, fact: Took, installed: inputs.Installed) -> None:
        kept = installed.kept
        if kept.outcome is Outcome.DONE and kept.version == self._said.get(fact.node):
            self._proven(fact.node, kept.version)

    def _proven(self, node: str, version: str) -> str:
        self._good[node] = self._said.pop(node)
        return version

    def _vouched(self, fact: Acted, vouch: inputs.Vouch) -> None:
        if not vouch.fault:
            self._said[fact.node] = self._runs[fact.node]

    # ---------------------------------------------------------------------------------------- a hub

    def _put(self, fact: Stored, op: effects.Put) -> None:
        if op.space == rollouts.SPACE:
            self._rolled(fact, op)
        elif op.space == parent_desired.ASKED:
            self._asked(fact, op)

    def _asked(self, fact: Stored, op: effects.Put) -> None:
        hub, now = self.machine(fact), _decode_asked(op.value)
        stored = hub.get(op.space, op.key)
        before = _decode_asked(stored).items if stored is not None else {}
        for key in now.items:
            if not key.startswith("upgrade/") or key in before or not hub.is_sure(rollouts.SPACE, key):
                continue
            rollout = hub.get(rollouts.SPACE, key)
            given = _decode_rollout(rollout).given if rollout is not None else []
            self.demand(op.key in given, f"{fact.node} asks {op.key} for {key}, and no wave has reached it")

    def _rolled(self, fact: Stored, op: effects.Put) -> None:
        hub, after = self.machine(fact), _decode_rollout(op.value)
        stored, record = hub.get(op.space, op.key), hub.get(resources.SPACE, op.key)
        if record is None or not hub.sure:
            return
        spec = msgspec.json.decode(_decode_resource(record).spec)["spec"]
        sizes, may_fail = spec.get("waves", ["all"]), spec.get("stop_after", 0)
        before = _decode_rollout(stored) if stored is not None else waves.Rollout(number=after.number)
        if before.number != after.number:
            before = waves.Rollout(number=after.number)
        had = [self._state(hub, node, after.number) for node in before.given]
        new = set(after.given) - set(before.given)
        text = f"{fact.node} gives {op.key} to {', '.join(sorted(new))}"
        self.demand(not new or had.count("back") <= may_fail, f"{text}, and {had.count('back')} went back before")
        if after.wave > before.wave:
            at_it = sum(one in _AT_IT for one in had)
            self.demand("running" in had, f"{text} as wave {after.wave + 1}, and it runs nowhere yet")
            self.demand(at_it <= may_fail, f"{text} as wave {after.wave + 1}, and {at_it} are at it still")
        if after.wave + 1 < len(sizes):
            busy = sum(self._state(hub, node, after.number) in (*_AT_IT, *_THROUGH) for node in after.given)
            bound = _size(str(sizes[after.wave]), len(hub.values(parent.CHILD)))
            self.demand(
                busy <= bound, f"{busy} nodes of {fact.node} are at {op.key}; wave {after.wave + 1} has {bound}"
            )

    def _state(self, hub: Machine, node: str, number: int) -> str:
        """Return how a node said it stands to an Upgrade; "" when it has not."""
        raw = hub.get(parent.STATUS, node)
        report: Any = status.decode(bytes(_decode_status(raw).body)) if raw is not None else None
        said = report.upgrade if report is not None else None
        return said.state if said is not None and said.number == number else ""


def _size(wave: str, count: int) -> float:
    if wave == "all":
        return math.inf
    return math.ceil(count * int(wave.removesuffix("%")) / 100) if wave.endswith("%") else int(wave)
