"""The checker of A19: disks that agree, and disks that do not."""

from __future__ import annotations

from hub.core import inputs
from hub.core.work import tasks
from protocol import documents, effects
from tests.checkers import history
from tests.checkers.a19_convergence import CONVERGE_S, Convergence
from tests.unit.checkers import telling
from tests.unit.checkers.telling import HUB, NODE, Tale, at_cursor

KNOWN = (telling.greeted(), at_cursor(2), telling.asked(3))


def ending(*ops: effects.Put, child: tuple[effects.Put, ...] = (telling.manifest(3),), at: float = 0.0) -> Tale:
    """A calm end, with a hub that also keeps `ops`, and a child that keeps `child`."""
    tale = Tale()
    tale.tell(history.Calm(at=tale.at))
    tale.tell(telling.disk(HUB, *KNOWN, *ops, at=at or tale.at))
    tale.tell(telling.disk(NODE, *child, at=at or tale.at, state=2))
    return tale


def task(state: str) -> tuple[effects.Put, ...]:
    """A task of the child's, and its result if it has one."""
    group = tasks.Group(
        id="t1", number=1, by="me", created_ms=0, until_ms=9, document=documents.Task(id="t1"), nodes=[NODE]
    )
    asked = telling.put(tasks.GROUPS, "t1", group)
    if not state:
        return (asked,)
    return asked, telling.put(tasks.RESULTS, f"t1/{NODE}", tasks.Result(state=state, time_ms=0))


def test_all_agree() -> None:
    assert ending(*task("unknown")).judged(Convergence) == 7


def test_a_cursor_stands_elsewhere() -> None:
    ending(at_cursor(1)).breaks(Convergence, "state of oslo: hub stands at a*/1, its head is a*/2")


def test_a_cursor_with_another_hash() -> None:
    ending(at_cursor(2, tip=b"x" * 32)).breaks(Convergence, "hub stands at")


def test_who_was_revoked_and_can_prove_it_is_promised_nothing_though_its_parent_has_forgotten() -> None:
    held = (telling.manifest(3), effects.Put("link", "revoked", b"stolen"))
    revoke = inputs.Request(request=7, who="me", op=inputs.RevokeNode(node=f"north/{NODE}"))
    tale = ending(at_cursor(1), child=held)
    tale.took(revoke, HUB)
    tale.judged(Convergence)
    tale.acted(inputs.Reply(request=7, error="nobody of that name"), HUB)
    tale.breaks(Convergence, "oslo holds that it was revoked, and nobody did that")


def test_who_holds_to_be_revoked_and_is_not_is_served_nowhere() -> None:
    held = (telling.manifest(3), effects.Put("link", "revoked", b"stolen"))
    ending(child=held).breaks(Convergence, "oslo holds that it was revoked, and nobody did that")


def test_another_manifest_is_held() -> None:
    ending(child=(telling.manifest(2),)).breaks(Convergence, "asks oslo for generation 3 of term 1; it holds 2 of 1")
    ending(child=()).breaks(Convergence, "it holds nothing")


def test_another_assignment_is_in_force() -> None:
    old, new = (documents.Assignment(service="eye", process=documents.Process(command=[word])) for word in ("a", "b"))
    digest = documents.digest_of(documents.encode(new))
    held = (
        telling.manifest(3, {"assignment/eye": digest}),
        effects.Put("document", digest, documents.encode(new)),
        effects.Put("assignment", "eye", documents.encode(old)),
    )
    ending(child=held).breaks(Convergence, "oslo runs eye by another assignment")


def test_an_orphan_runs() -> None:
    tale = ending()
    tale.facts.insert(2, history.Ran(at=2, node=NODE, instance="s-eye-1", proof="eye"))
    tale.breaks(Convergence, "runs s-eye-1, which nobody wants")


def test_a_deleted_service_is_kept() -> None:
    held = (telling.manifest(3), effects.Put("service", "eye", b"{}"))
    ending(child=held).breaks(Convergence, "still keeps eye, which was deleted")


def test_a_task_never_ended() -> None:
    ending(*task("")).breaks(Convergence, "task t1 of hub on oslo is still pending")
    ending(*task("running")).breaks(Convergence, "task t1 of hub on oslo is still running")


def test_it_took_too_long() -> None:
    tale = ending(at=CONVERGE_S + 9)
    tale.facts.pop()
    tale.breaks(Convergence, "is read 7200 s after calm")


def test_before_calm_nothing_is_demanded() -> None:
    tale = Tale()
    tale.tell(telling.disk(NODE, state=2))
    assert tale.judged(Convergence) == 0
