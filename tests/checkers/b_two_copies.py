"""B. Two copies where one was asked for.

Demands, of what the machine itself saw run: no process of a service begins while another one of it runs there.

Cannot see: a device whose disk came from elsewhere while it ran (it meets processes that it knows nothing of, and ends
them); at_most_one over several devices.
"""

from __future__ import annotations

from tests.checkers import base
from tests.checkers.history import Ran


class TwoCopies(base.Checker):
    """See the module."""

    rule = "B two copies"

    def watch(self) -> None:
        """Ask for what runs."""
        self.on(Ran, self._ran)

    def _ran(self, fact: Ran) -> None:
        machine, service = self.machine(fact), service_of(fact.instance)
        if service and not machine.foreign:
            others = [one for one in machine.running if service_of(one) == service and one != fact.instance]
            self.demand(not others, f"{fact.instance} begins on {fact.node} while {', '.join(others)} runs")


def service_of(instance: str) -> str:
    """Return the service that `instance` runs, or an empty text for a task or a step."""
    return instance[2:].rpartition("-")[0] if instance.startswith("s-") else ""
