"""When a region's CA is renewed, over the link or apart from it; what a parent makes of one that has expired."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hub.core import inputs
from hub.core.up.certificate import AnsweredApart, AskApart, CertificateStored, CsrMade, MakeCsr, StoreCertificate
from hub.core.up.papers import Answer, Papers
from protocol import limits, messages
from protocol.effects import Effects, Now, Send
from protocol.entropy import Entropy
from protocol.link.child import Child
from protocol.link.table import ChildState
from protocol.snapshot import Snapshot
from tests.support.link_world import FakeSigner
from tests.unit.hub import world as worlds

DAY_S = 86_400.0
FROM_S = 1_700_000_000.0
UNTIL_S = FROM_S + 100 * DAY_S


class Region:
    """The papers of a region over a real child's end, whose parent a test speaks for."""

    def __init__(self, wall: float, dates: tuple[float, float] = (FROM_S, UNTIL_S)) -> None:
        self.mono, self.wall = 0.0, wall
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.child = Child(Snapshot(node="eu-north"), node="eu-north", parent="cloud", trust=FakeSigner())
        self.papers = Papers(self.child, lambda kind, body, now, fx: self.noted.append((kind, body)))
        self.papers.start(Entropy(b"x"), int(dates[0] * 1000), int(dates[1] * 1000))
        self.fx = Effects()
        self.child.start(Entropy(b"y"), "1", ("hub",), {}, self.now, self.fx)

    @property
    def now(self) -> Now:
        return Now(self.mono, self.wall)

    def acts(self) -> list[object]:
        """What the shell was asked since the last look."""
        self.papers.tick(self.now, self.fx)
        found = [act for act in self.fx.act if isinstance(act, MakeCsr | StoreCertificate | AskApart)]
        self.fx.act.clear()
        return list(found)

    def later(self, seconds: float) -> list[object]:
        self.mono, self.wall = self.mono + seconds, self.wall + seconds
        self.child.tick(self.now, self.fx)
        return self.acts()

    def greeted(self, *, renew_only: bool = False, ahead_s: float = 0.0) -> None:
        """The parent lets it in; its clock is so far ahead."""
        while self.child.state is not ChildState.CONNECTING:
            self.later(1.0)
        self.child.opened(self.child.session, self.now, self.fx)
        hello = next(
            send.message
            for send in reversed(self.fx.send)
            if isinstance(send, Send) and isinstance(send.message, messages.Hello)
        )
        self.say(
            messages.Welcome(
                incarnation="i",
                session=hello.session,
                nonce=hello.nonce,
                parent="cloud",
                cursors={},
                time_ms=int((self.wall + ahead_s) * 1000),
                contact_s=60.0,
                chain="chain",
                renew_only=renew_only,
            )
        )

    def say(self, message: messages.AnyMessage) -> None:
        for event in self.child.got(message, self.now, self.fx):
            self.papers.told(event, self.now, self.fx)

    def cut(self, *, turned_away: bool = False) -> None:
        self.papers.closed(turned_away)
        for event in self.child.closed(self.child.session, "cut", self.now, self.fx):
            self.papers.told(event, self.now, self.fx)

    def answer(self, answer: Answer) -> list[object]:
        self.papers.answered(answer, self.now, self.fx)
        return self.acts()


def refused(region: Region) -> messages.Renewed:
    return messages.Renewed(incarnation="i", session=region.child.session, refused="busy")


def test_it_is_renewed_early_and_what_comes_is_stored_and_noted():
    region = Region(FROM_S + 50 * DAY_S)
    region.greeted()
    assert region.acts() == []
    assert region.papers.next_wake() <= region.mono + limits.RENEW_LOOK_S
    assert region.later(30 * DAY_S) == [MakeCsr()]
    assert region.answer(CsrMade(csr="CSR")) == []
    asked = region.fx.send[-1]
    assert isinstance(asked, Send)
    assert asked.message == messages.Renew(session=region.child.session, csr="CSR")
    region.say(messages.Renewed(incarnation="i", session=region.child.session, certificate="PEM"))
    assert region.acts() == [StoreCertificate(certificate="PEM")]
    until_ms = int((region.wall + 365 * DAY_S) * 1000)
    assert region.answer(CertificateStored(from_ms=int(region.wall * 1000), until_ms=until_ms)) == []
    assert region.noted == [("ca.renewed", {"from_ms": int(region.wall * 1000), "until_ms": until_ms})]
    assert region.later(DAY_S) == []


def test_it_goes_by_the_parents_time():
    region = Region(0.0)
    region.greeted(ahead_s=FROM_S + 90 * DAY_S)
    assert region.acts() == [MakeCsr()]


def test_a_refusal_is_shown_and_asked_again_later():
    region = Region(FROM_S + 90 * DAY_S)
    region.greeted()
    assert region.acts() == [MakeCsr()]
    region.say(refused(region))
    assert "no new certificate: busy" in region.papers.condition(region.now)
    assert region.later(limits.RENEW_RETRY_S / 2) == []
    assert region.later(limits.RENEW_RETRY_S / 2 + 1) == [MakeCsr()]


def test_one_that_expired_is_said_so_and_greets_again_once_it_is_renewed():
    region = Region(UNTIL_S + DAY_S)
    assert "has expired" in region.papers.condition(region.now)
    region.greeted(renew_only=True)
    session = region.child.session
    assert region.acts() == [MakeCsr()]
    region.answer(CertificateStored(from_ms=int(region.wall * 1000), until_ms=int((region.wall + DAY_S) * 1000)))
    assert region.child.session > session
    assert region.papers.condition(region.now) == ""


def test_dates_that_are_not_known_are_the_parents_to_judge():
    region = Region(UNTIL_S, dates=(0.0, 0.0))
    region.greeted()
    assert region.acts() == []
    region.cut()
    region.greeted(renew_only=True)
    assert region.acts() == [MakeCsr()]


def test_cut_off_nothing_is_asked_of_the_link():
    region = Region(FROM_S + 90 * DAY_S)
    region.greeted()
    region.cut()
    region.acts()
    assert [act for act in region.later(60.0) if act == MakeCsr()] == []


def fail(region: Region, seconds: float, *, turned_away: bool) -> list[object]:
    """Let each try to connect end at once for so long; return what was asked of the shell."""
    asked: list[object] = []
    until = region.mono + seconds
    while region.mono < until:
        if region.child.state is ChildState.CONNECTING:
            asked += region.acts()
            region.cut(turned_away=turned_away)
        asked += region.later(1.0)
    return asked


def test_an_expired_one_that_is_not_let_in_asks_apart_and_takes_what_it_gets():
    region = Region(UNTIL_S + DAY_S)
    assert fail(region, 20.0, turned_away=False) == [AskApart()]
    assert region.answer(AnsweredApart(certificate="PEM")) == [StoreCertificate(certificate="PEM")]


def test_one_that_is_turned_away_for_long_asks_apart_seldom_until_it_is_let_in():
    region = Region(FROM_S + DAY_S)
    assert fail(region, limits.RENEW_APART_AFTER_S / 2, turned_away=True) == []
    assert fail(region, 3 * limits.BACKOFF_S_MAX, turned_away=True) == [AskApart()]
    region.answer(AnsweredApart(refused="no node of this name"))
    assert "no node of this name" in region.papers.condition(region.now)
    assert region.papers.next_wake() >= region.mono + limits.RENEW_APART_S_MIN
    assert fail(region, 60.0, turned_away=True) == [AskApart()]
    region.greeted()
    region.answer(AnsweredApart())
    assert region.papers.condition(region.now) == ""
    assert region.later(1.0) == []


def test_one_that_reaches_nobody_does_not_ask_apart():
    region = Region(FROM_S + DAY_S)
    assert fail(region, 10 * limits.RENEW_APART_AFTER_S, turned_away=False) == []


# ------------------------------------------------------------------------------------------------ the parent's side


@pytest.mark.parametrize(("kind", "expired"), [("hub", True), ("agent", False)])
def test_a_parent_judges_a_hub_by_the_certificate_that_it_gave(kind: str, expired: bool):
    world = worlds.World()
    world.ask(inputs.CreateToken(id="t", secret_hash=worlds.SECRET_HASH, ttl_s=60.0, uses=1, kind=kind))
    ca = {"ca": "CA", "ca_key": "k" * 64} if kind == "hub" else {}
    asked = worlds.enroll("eu-north", token="t")
    fx = world.request(msgspec.structs.replace(asked, **ca))
    issue = worlds.only(fx, inputs.IssueCertificate)
    assert (issue.kind, issue.key) == (kind, "k" * 64 if kind == "hub" else asked.key)
    world.take(inputs.CertificateIssued(request=issue.request, node="eu-north", certificate="C", until_ms=5))
    assert world.core.registry.has_expired("eu-north", 10.0) is expired
    gate = world.core.registry.gate
    role = "node" if kind == "hub" else "hub"
    assert gate("eu-north", asked.key, {"node": "hub", "hub": "node"}[role]) == ""
    assert (
        gate("eu-north", asked.key, role)
        == f"eu-north is enrolled as {kind}, and came with the certificate of a {role}"
    )


def test_a_token_lets_in_what_it_is_for_and_a_key_stays_what_it_is():
    world = worlds.World()
    for kind in ("agent", "hub"):
        world.ask(inputs.CreateToken(id=kind, secret_hash=worlds.SECRET_HASH, ttl_s=60.0, uses=9, kind=kind))
    odd = inputs.CreateToken(id="x", secret_hash=worlds.SECRET_HASH, ttl_s=60.0, uses=9, kind="king")
    assert "not 'king'" in world.refused(odd).error
    hub = {"ca": "CA", "ca_key": "k" * 64}
    assert "no device" in world.refused(worlds.enroll("a", token="hub")).error
    assert "no hub:" in world.refused(msgspec.structs.replace(worlds.enroll("a", token="agent"), **hub)).error
    named = msgspec.structs.replace(worlds.enroll("broker", token="hub"), **hub)
    assert "no hub is called broker" in world.refused(named).error
    world.enroll("gw-1", token="agent")
    assert (
        "another kind of node"
        in world.refused(msgspec.structs.replace(worlds.enroll("gw-1", token="hub"), **hub)).error
    )
