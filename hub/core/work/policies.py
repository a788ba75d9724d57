"""What policies allow at this hub: those that it inherited, met with its own (protocol.spec.policy).

A hub narrows what it inherited and never widens it: its operators' policies are judged when they are applied, and what
is in force is the meet, whatever came later. What may be done is asked of the operators of a region; as whom processes
run and how many services there are holds for what is delegated too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.core.registry import Refusal
from protocol import documents
from protocol.errors import Refused
from protocol.spec import policy

if TYPE_CHECKING:
    from hub.core.hub import HubCore
    from hub.core.work.declared import Compiled, Live


class Policies:
    """The policies that bind this hub; a pure view of its resources."""

    def __init__(self, core: HubCore) -> None:
        self._core = core

    def rules(self) -> policy.Rules:
        """Return what all of them come to."""
        return _met(self._core.resources.policies())

    def forwarded(self, stream: str) -> policy.Extent:
        """Return how much of `stream` goes up: `all`, `state` or `summary`; `audit` always goes whole."""
        return self.rules().forwarded(stream)

    def follow(self) -> None:
        """What is in force may be another than before: have the relay go by it."""
        self._core.relay.set_policy(self.rules().forward)

    # -------------------------------------------------------------------------------------------- asking

    def check_deed(self, deed: policy.Deed) -> None:
        """Raise Refusal (403) unless the hubs above let operators of this one `run`, `apply` or `override`."""
        for live in self._inherited():
            if live.rules is not None and live.rules.may is not None and deed not in live.rules.may:
                allowed = ", ".join(sorted(live.rules.may)) or "nothing"
                text = f"{_named(live)} does not let operators of {self._core.node} {deed} (it allows: {allowed})"
                raise Refusal(f"{text}: ask there", 403)

    def check_user(self, what: str, user: str) -> None:
        """Raise Refusal unless processes may run as `user` here; `what` is what asks for it."""
        for live in self._core.resources.policies():
            users = live.rules.users if live.rules is not None else None
            if users is not None and user not in users:
                asked = f"as {user}" if user else "as no user that it names"
                allowed = ", ".join(sorted(users))
                raise Refusal(f"{what} is to run {asked}, and {_named(live)} allows: {allowed}", 403)

    def check(self, all_of: list[Compiled]) -> None:
        """Raise Refusal unless all of these may be in force here."""
        for one in all_of:
            if one.policy is None:
                for user in _users(one.document):
                    self.check_user(one.key, user)
            else:
                self._check_narrow(one.policy)
        keys = {record.key for record in self._core.resources.records("service")} | {one.key for one in all_of}
        count = sum(1 for key in keys if key.startswith("service/"))
        if any(one.kind == "service" and self._core.resources.find(one.key) is None for one in all_of):
            self._check_count(count)

    def _check_count(self, count: int) -> None:
        for live in self._core.resources.policies():
            most = live.rules.services if live.rules is not None else None
            if most is not None and count > most:
                raise Refusal(f"{count} services, and {_named(live)} allows {most}: delete some first", 403)

    def _check_narrow(self, one: policy.Policy) -> None:
        inherited = self._inherited()
        try:
            policy.narrow(_met(inherited), one)
        except Refused as error:
            by = ", ".join(map(_named, inherited))
            raise Refusal(f"{error}; it was inherited from {by}") from error

    def _inherited(self) -> list[Live]:
        return [live for live in self._core.resources.policies() if live.record.origin is not None]


def _met(found: list[Live]) -> policy.Rules:
    met = policy.Rules()
    for live in found:
        if live.rules is not None:
            met = policy.meet(met, live.rules)
    return met


def _named(live: Live) -> str:
    owner = live.record.origin.owner if live.record.origin is not None else "this hub"
    return f"{live.record.key} of {owner}"


def _users(document: documents.AnyDocument | None) -> list[str]:
    """Return as whom `document` has processes run, each once; empty: as whom the device says."""
    match document:
        case documents.Assignment():
            return [document.process.user]
        case documents.Workflow():
            return sorted({step.user or document.user for step in document.steps if step.run})
        case _:
            return [""]
