"""A20. A region goes on deciding while its parent is away: its operators are answered, and devices are let in.

Demands, of every hub below another, while nobody above has welcomed it in its present session: what its operators and
devices ask for is answered within ANSWER_S, while it lives and its store takes what it writes; and a device that is
told that it is let in stands among its children by then.

Cannot see: whether the answer was wise; questions to nodes, which may wait for them; that what was placed runs, which
A20's other rule and A19 see.
"""

from __future__ import annotations

from hub.core import inputs
from protocol import messages
from protocol.link import parent
from tests.checkers import base
from tests.checkers.history import Acted, Born, Died, Fault, Took

ANSWER_S = 60.0
"""Of a busy hub on a slow disk, the certificate included."""


class RegionDecides(base.Checker):
    """See the module."""

    rule = "A20 region"

    def watch(self) -> None:
        """Ask for requests, answers, and how the link upward stands."""
        self._alone: set[str] = set()
        self._due: dict[tuple[str, int], tuple[float, inputs.Op]] = {}
        self.on(Born, self._born)
        self.on(Died, self._died)
        self.on(Fault, self._fault)
        self.on(Took, self._look)
        self.on_heard(messages.Welcome, self._welcome)
        self.on_took(inputs.UpClosed, self._closed)
        self.on_took(inputs.Request, self._ask)
        self.on_acted(inputs.Reply, self._reply)

    def _born(self, fact: Born) -> None:
        self._forget(fact.node)
        self._alone.add(fact.node)

    def _died(self, fact: Died) -> None:
        self._forget(fact.node)

    def _fault(self, fact: Fault) -> None:
        if fact.kind in ("full", "slow disk"):
            self._forget(fact.node)

    def _forget(self, node: str) -> None:
        self._due = {where: one for where, one in self._due.items() if where[0] != node}

    def _welcome(self, fact: Took, welcome: messages.Welcome) -> None:
        self._alone.discard(fact.node)

    def _closed(self, fact: Took, closed: inputs.UpClosed) -> None:
        self._alone.add(fact.node)

    def _ask(self, fact: Took, request: inputs.Request) -> None:
        is_region = self.machine(fact).get("link", "session") is not None
        if is_region and fact.node in self._alone and not isinstance(request.op, inputs.AskNode):
            self._due[fact.node, request.request] = fact.at + ANSWER_S, request.op

    def _reply(self, fact: Acted, reply: inputs.Reply) -> None:
        _, op = self._due.pop((fact.node, reply.request), (0.0, None))
        if op is None:
            return
        self.judged += 1
        if isinstance(op, inputs.Enroll) and op.name and not reply.error:
            known = self.machine(fact).get(parent.CHILD, op.name) is not None
            text = f"{fact.node} lets {op.name} in while nobody above is there, and has no record of it"
            self.demand(known or not self.machine(fact).sure, text)

    def _look(self, fact: Took) -> None:
        if self._due and fact.at > min(due for due, _ in self._due.values()):
            (node, _), (_, op) = min(self._due.items(), key=lambda one: one[1][0])
            raise self.broken(
                f"{node} has not answered {type(op).__name__} for {ANSWER_S:g} s, cut off from its parent"
            )
