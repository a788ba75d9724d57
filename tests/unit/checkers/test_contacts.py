"""The checker of metered devices."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.core import inputs as agent
from hub.core import inputs as hub
from protocol import effects, messages
from tests.checkers.b_contacts import Contacts
from tests.unit.checkers import telling
from tests.unit.checkers.telling import HUB, NODE, Tale, manifest, rows

HOUR_S = 3_600.0


class Metered(Tale):
    """A device that speaks once an hour has been welcomed, and a minute has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent(msgspec.structs.replace(telling.hello(), contact_s=HOUR_S))
        self.took(agent.Got(message=telling.welcome()))
        self.says(1)
        self.took(hub.Got(node=NODE, connection=1, message=_status(1)), node=HUB)
        self.at += 60.0

    def says(self, count: int, generation: int = 0) -> None:
        """It sends a status."""
        self.sent(_status(count, generation))

    def called_away(self, reason: str) -> None:
        """Its hub says so."""
        raw = msgspec.json.encode([1, 0, "node.away", NODE, {"reason": reason}])
        self.stored(effects.Rows("state", "e", [(1, raw, b"")]), node=HUB)


def _status(count: int, generation: int = 0) -> messages.Status:
    held = messages.Held(term=1, generation=generation, digest="d")
    return messages.Status(session=1, count=count, held=held, heads={}, time_ms=0, body=msgspec.Raw(b"{}"))


@pytest.fixture
def tale() -> Metered:
    return Metered()


def test_an_hour_apart_and_what_is_asked_at_once(tale: Metered) -> None:
    tale.stored(rows(1))
    tale.at += HOUR_S - 60.0
    tale.says(2)
    tale.sent(telling.entries(rows(1)))
    tale.at += 100.0
    tale.took(agent.Got(message=messages.Desired(incarnation="", session=1, signed=telling.signed(1), put={})))
    tale.stored(manifest(1))
    tale.says(3, 1)
    assert tale.judged(Contacts) == 5


def test_a_status_between_two_contacts(tale: Metered) -> None:
    tale.says(2)
    tale.breaks(Contacts, "oslo has a contact each 3600 s, and says how it is .* s after it last did")


def test_a_row_between_two_contacts(tale: Metered) -> None:
    tale.stored(rows(1))
    tale.sent(telling.entries(rows(1)))
    tale.breaks(Contacts, "oslo sends row 1 of state before its next contact")


def test_a_manifest_that_is_not_confirmed(tale: Metered) -> None:
    tale.took(agent.Got(message=messages.Desired(incarnation="", session=1, signed=telling.signed(1), put={})))
    tale.stored(manifest(1))
    tale.at += 20.0
    tale.took(agent.Tick())
    tale.breaks(Contacts, "oslo took generation 1 15 s ago, and has not said so")


def test_a_lost_connection_is_no_absence(tale: Metered) -> None:
    tale.called_away("the connection broke")
    tale.breaks(Contacts, "calls oslo away after .* s; it has a contact each 3600 s")


def test_three_hours_are_and_so_is_a_goodbye(tale: Metered) -> None:
    tale.took(hub.Got(node=NODE, connection=1, message=messages.Bye(session=1, nonce="n1", reason="stopped")), node=HUB)
    tale.called_away("stopped")
    tale.at += 3 * HOUR_S
    tale.called_away("nothing heard for too long")
    assert tale.judged(Contacts) == 3
