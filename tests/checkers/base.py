"""What a checker is: handlers for the facts, messages, inputs and store operations that its rule concerns.

A history is read once. Each fact goes to those who asked for its kind, so that a rule costs nothing where it has
nothing to say. A handler judges against `world`, which is what was true before this fact (of a transaction: before this
op), counts what it judged, and raises `self.broken(...)` when the rule does not hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from protocol.effects import Action, Store
from protocol.messages import AnyMessage
from tests.checkers.history import Acted, AnyFact, Broken, Sent, Stored, Took
from tests.checkers.world import Machine, World

FactT = TypeVar("FactT", bound=AnyFact)
OpT = TypeVar("OpT", bound=Store)
MessageT = TypeVar("MessageT", bound=AnyMessage)
ActionT = TypeVar("ActionT", bound=Action)
InputT = TypeVar("InputT")

_Table = defaultdict[type, list[Callable[[Any, Any], None]]]


class Checker:
    """The base of all. `rule` is its name, `judged` counts the facts that it could have found at fault."""

    rule = ""

    def __init__(self, world: World) -> None:
        self.world = world
        self.judged = 0
        self.facts: defaultdict[type, list[Callable[[Any], None]]] = defaultdict(list)
        self.ops: _Table = defaultdict(list)
        self.sent: _Table = defaultdict(list)
        self.heard: _Table = defaultdict(list)
        self.took: _Table = defaultdict(list)
        self.acted: _Table = defaultdict(list)
        self.watch()

    def watch(self) -> None:
        """Ask for what the rule concerns, with the `on` methods."""

    def end(self) -> None:
        """The history is over."""

    def on(self, kind: type[FactT], do: Callable[[FactT], None]) -> None:
        """Ask for each fact of a kind; a Stored comes before its ops."""
        self.facts[kind].append(do)

    def on_op(self, kind: type[OpT], do: Callable[[Stored, OpT], None]) -> None:
        """Ask for each committed op of a kind."""
        self.ops[kind].append(do)

    def on_sent(self, kind: type[MessageT], do: Callable[[Sent, MessageT], None]) -> None:
        """Ask for each message of a kind that is given to a transport."""
        self.sent[kind].append(do)

    def on_heard(self, kind: type[MessageT], do: Callable[[Took, MessageT], None]) -> None:
        """Ask for each message of a kind that a core has handled."""
        self.heard[kind].append(do)

    def on_took(self, kind: type[InputT], do: Callable[[Took, InputT], None]) -> None:
        """Ask for each input of a kind that a core has handled; messages have `on_heard`."""
        self.took[kind].append(do)

    def on_acted(self, kind: type[ActionT], do: Callable[[Acted, ActionT], None]) -> None:
        """Ask for each action of a kind."""
        self.acted[kind].append(do)

    def machine(self, fact: AnyFact) -> Machine:
        """Return the machine where `fact` happened."""
        return self.world.machine(fact.node)

    def broken(self, text: str) -> Broken:
        """Return what to raise: `text` is one sentence on the fact that is judged now."""
        return Broken(self.rule, text, self.world.index)

    def demand(self, holds: bool, text: str) -> None:
        """Count one judgement, and raise Broken with `text` unless it holds. Hot paths do without."""
        self.judged += 1
        if not holds:
            raise self.broken(text)
