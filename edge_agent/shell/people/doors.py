"""What is let through: looking for those who may read, deciding for those who may act, all else for nobody (C1)."""

from __future__ import annotations

from edge_agent.core import inputs
from edge_agent.shell.people.callers import Caller
from edge_agent.shell.people.rights import Rights
from protocol.errors import Refused

_LOOKS = (inputs.LocalStatus, inputs.LocalWhy, inputs.LocalRuns)
_RUNS = (inputs.LocalWorkflowStart, inputs.LocalRunCancel, inputs.LocalRunAnswer)
_OWN = (inputs.LocalApply, inputs.LocalDelete)
_ROOT = "or use sudo"


def enter(caller: Caller) -> None:
    """Raise Refused unless `caller` may ask anything at all."""
    if caller.rights is Rights.NOTHING:
        raise Refused(_sentence(caller, "may not ask this agent", caller.people.read or caller.people.act))


def look(caller: Caller, command: inputs.LocalCommand, looks: tuple[type[inputs.LocalCommand], ...]) -> None:
    """Raise Refused unless `caller` may have `command` done; `looks` only look, besides the core's own."""
    enter(caller)
    if isinstance(command, (*_LOOKS, *looks)):
        return
    if caller.rights is not Rights.ACT:
        raise Refused(_sentence(caller, "may look here, and decide nothing", caller.people.act))
    if isinstance(command, _RUNS) and not caller.people.start:
        raise Refused("this device's owner lets nobody here start or cancel runs (people.start in its agent.toml)")
    if isinstance(command, _OWN) and not caller.people.apply:
        raise Refused("this device's owner lets nobody declare work here (people.apply in its agent.toml is not true)")


def _sentence(caller: Caller, may: str, group: str) -> str:
    if caller.error:
        return f"{caller.user} {may}: {caller.error}; mend it, {_ROOT}"
    if not group:
        return f"{caller.user} {may}: {_ROOT.removeprefix('or ')}"
    return f"{caller.user} {may}: become a member of the group {group} (sudo usermod -aG {group} NAME), {_ROOT}"
