"""The hub above in a doctor's eyes: away is a fact, what it turned away or asks in vain is a finding."""

from __future__ import annotations

from msgspec.structs import replace

from hub.core.doctor import fleet, folder, parent
from hub.core.doctor.facts import Above
from protocol.doctor import findings
from protocol.doctor.findings import Finding, State, Unseen
from tests.unit.doctor import facts

UP = Above(parent="cloud", state="live", since_ms=facts.NOW_MS, last_contact_ms=facts.NOW_MS)
AWAY = replace(UP, state="offline", reason="no route to host", waiting=1_204)


def said(seen: Above | Unseen) -> dict[str, Finding]:
    return {one.check: one for one in parent.parent(seen)}


def test_a_root_has_none_and_a_live_one_is_well():
    assert said(Above())["parent"].says == "none: this hub is the root"
    assert "live since 2026-11-18" in said(UP)["parent"].says


def test_a_parent_that_is_away_is_told_and_is_no_problem():
    (found,) = parent.parent(AWAY)
    assert found.state is State.OK
    assert "(no route to host): all here goes on; 1,204 entries to go up" in found.says
    assert findings.code(fleet.fleet(replace(facts.FLEET, above=AWAY))) == 0
    assert "never reached" in said(replace(AWAY, last_contact_ms=0))["parent"].says


def test_from_the_store_alone_it_says_as_of_when():
    seen = replace(AWAY, state="")
    assert said(seen)["parent"].says == "cloud: last heard 2026-11-18 11:06 UTC, as the store says"
    found = folder.folder(replace(facts.HUB, above=seen))
    assert next(one for one in found if one.check == "parent").state is State.OK


def test_what_it_refuses_and_what_cannot_be_followed_are_findings():
    whats = ("restored", "manifest-refused", "ca", "delegation-refused", "artifact-missing")
    found = said(replace(AWAY, conditions=[(what, f"it is {what}") for what in whats]))
    assert {check: one.state for check, one in found.items()} == {
        "parent": State.OK,
        "manifest-refused": State.PROBLEM,
        "ca": State.PROBLEM,
        "delegation-refused": State.WARNING,
        "artifact-missing": State.WARNING,
    }
    assert all(one.next for check, one in found.items() if check != "parent")
    turned = said(replace(AWAY, state="refused", conditions=[("turned-away", "revoked: stolen")]))
    assert turned["parent"].state is State.PROBLEM
    assert "token create --hub" in turned["parent"].next, "nobody takes a revocation back"
    turned = said(replace(AWAY, state="refused", conditions=[("turned-away", "quarantined: two say they are eu")]))
    assert "node accept" in turned["parent"].next
    assert said(Unseen(why="no", next="do"))["parent"].next == "do"
