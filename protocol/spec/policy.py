"""`kind: Policy`: what may be done in a region, by whom, and how much of what happens there goes up.

    spec:
      regions: "continent=eu"
      forward: {metrics: summary, logs: state}
      allow: {users: [nobody, app], services: 20}
      may: [run, apply, override]

A policy binds what is below the hub where it is declared: the regions that `regions` selects, or all and that hub
itself. Policies are inherited, and a hub below may only narrow them: what is in force is the meet of all of them.
"""

# ruff: noqa: RUF012 (pydantic copies defaults)
from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from protocol import limits
from protocol.errors import Refused
from protocol.spec import common

Stream = Literal["state", "metrics", "logs"]
Extent = Literal["all", "state", "summary"]
Deed = Literal["run", "apply", "override"]

EXTENTS: tuple[Extent, ...] = ("summary", "state", "all")
"""What of a stream goes up, from the least on: only counts of what is held back; its rows, if they say what happened
(`state`, not `metrics` or `logs`); its rows, whichever it is."""


class Allow(common.Model):
    """`users`: as whom processes may run, each of which must name one of them; `services`: how many, at most."""

    users: Annotated[list[common.UserText], Field(min_length=1, max_length=limits.POLICY_USERS_MAX)] | None = None
    services: Annotated[int, Field(ge=0, le=limits.SERVICES_MAX)] | None = None


class PolicySpec(common.Model):
    """What is not written is left as it was inherited. `audit` is always forwarded whole."""

    regions: Annotated[common.SelectorText | None, Field(description="Which child hubs; absent: all, and here.")] = None
    forward: dict[Stream, Extent] = {}
    allow: Allow = Allow()
    may: Annotated[list[Deed] | None, Field(description="What operators of the regions may do.")] = None


class Policy(common.Resource):
    """A policy: it narrows."""

    kind: Literal["Policy"] = "Policy"  # pyright: ignore[reportIncompatibleVariableOverride]
    spec: PolicySpec


# ------------------------------------------------------------------------------------------------ what it comes to


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What policies come to. None, and a stream that is absent from `forward`, is no bound at all."""

    forward: dict[str, Extent] = {}
    users: frozenset[str] | None = None
    services: int | None = None
    may: frozenset[str] | None = None

    def forwarded(self, stream: str) -> Extent:
        """Return how much of `stream` goes up."""
        return self.forward.get(stream, "all")


def rules(policy: Policy) -> Rules:
    """Return what `policy` comes to by itself."""
    spec = policy.spec
    return Rules(
        forward={stream: extent for stream, extent in spec.forward.items() if extent != "all"},
        users=None if spec.allow.users is None else frozenset(spec.allow.users),
        services=spec.allow.services,
        may=None if spec.may is None else frozenset(spec.may),
    )


def meet(one: Rules, other: Rules) -> Rules:
    """Return what both allow: never wider than either."""
    streams = sorted(one.forward.keys() | other.forward.keys())
    least: dict[str, Extent] = {stream: _least(one.forwarded(stream), other.forwarded(stream)) for stream in streams}
    bounds = [bound for bound in (one.services, other.services) if bound is not None]
    return Rules(
        forward=least,
        users=_both(one.users, other.users),
        services=min(bounds, default=None),
        may=_both(one.may, other.may),
    )


def narrow(parent: Rules, child: Policy) -> Rules:
    """Return what is in force where `parent` holds and `child` is declared. Raises Refused if `child` widens."""
    more = widened(parent, child)
    if more:
        raise Refused(f"policy/{child.name} allows more than it inherited: {'; '.join(more)}: a policy only narrows")
    return meet(parent, rules(child))


def widened(parent: Rules, child: Policy) -> list[str]:
    """Return in words what `child` asks for beyond what `parent` allows; what it does not write, it inherits."""
    spec, found = child.spec, list[str]()
    for stream, extent in spec.forward.items():
        if EXTENTS.index(extent) > EXTENTS.index(parent.forwarded(stream)):
            found.append(f"forward.{stream}: {extent} (allowed: {parent.forwarded(stream)})")
    if spec.allow.services is not None and parent.services is not None and spec.allow.services > parent.services:
        found.append(f"allow.services: {spec.allow.services} (allowed: {parent.services})")
    for field, asked, allowed in (("allow.users", spec.allow.users, parent.users), ("may", spec.may, parent.may)):
        more = sorted(set(asked or ()) - allowed) if allowed is not None else []
        if more:
            found.append(f"{field}: {', '.join(more)} (allowed: {', '.join(sorted(allowed or ())) or 'nothing'})")
    return found


def _least(one: Extent, other: Extent) -> Extent:
    return EXTENTS[min(EXTENTS.index(one), EXTENTS.index(other))]


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
