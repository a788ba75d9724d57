"""What a person at the device decides and sees."""

from __future__ import annotations

import pytest

from edge_agent.core import inputs
from protocol import documents, limits, messages
from tests.unit.agent.world import WALL, World, acts, body, exited, only, running, sent, service


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    return world


def stop(**fields: int) -> inputs.LocalStop:
    return inputs.LocalStop(service="web", reason="belt jammed", **fields)


def test_a_stop_is_an_override_with_a_name_and_an_entry(world: World) -> None:
    fx = world.do(inputs.Local(request=1, user="ada", uid=1001, command=stop()))
    assert only(fx, inputs.Stop).instance == "s-web-1"
    assert body(world.entries("audit", "local.stop")[0]) == {"user": "ada", "uid": 1001, "reason": "belt jammed"}
    assert world.entries("audit", "local.stop")[0].key == "web"
    world.do(exited("s-web-1", None, 15))
    report = world.service("web")
    assert report["state"] == "stopped"
    assert report["override"]["user"] == "ada"


def test_it_survives_generations_restarts_and_reboots(world: World) -> None:
    world.local(stop())
    world.do(exited("s-web-1", None, 15))
    world.desire(service("web", "./other"))
    assert not acts(world.start(), inputs.Launch)
    assert not acts(world.start(reboot=True), inputs.Launch)
    assert world.service("web")["state"] == "stopped"


def test_release_ends_it(world: World) -> None:
    world.local(stop())
    world.do(exited("s-web-1", None, 15))
    fx = world.do(inputs.Local(request=1, user="bo", uid=7, command=inputs.LocalRelease(service="web")))
    assert only(fx, inputs.Launch).instance == "s-web-2"
    assert "override" not in world.service("web")
    assert "nothing to release" in world.local(inputs.LocalRelease(service="web"))


def test_it_ends_at_its_life(world: World) -> None:
    world.local(stop(until_ms=int((world.wall + 600) * 1000)))
    world.do(exited("s-web-1", None, 15))
    world.wait(599)
    assert world.service("web")["state"] == "stopped"
    world.wait(2)
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"
    assert world.last("override.ended", "audit")["why"] == "its life is over"


def test_a_life_that_is_over_already_is_refused(world: World) -> None:
    assert "has passed already" in world.local(stop(until_ms=5))


def test_the_same_decision_once_more_keeps_what_is_not_given_anew_and_another_says_what_it_replaces(
    world: World,
) -> None:
    until_ms = int((world.wall + 7_200) * 1000)
    world.local(stop(until_ms=until_ms))
    said = world.local(inputs.LocalStop(service="web"))["text"]
    assert "until the time you gave (its end and reason stay; release it to begin anew)" in said
    kept = world.service("web")["override"]
    assert (kept["reason"], kept["until_ms"]) == ("belt jammed", until_ms)

    world.local(inputs.LocalStop(service="web", reason="belt torn"))
    kept = world.service("web")["override"]
    assert (kept["reason"], kept["until_ms"]) == ("belt torn", until_ms)
    said = world.local(inputs.LocalStart(service="web"))["text"]
    assert ", in place of the stop by ada" in said
    assert '("belt torn")' in said


def test_a_clock_that_was_set_ends_it_soon(world: World) -> None:
    world.local(stop(until_ms=int((world.wall + 9_000) * 1000)))
    world.do(exited("s-web-1", None, 15))
    world.wall += 10_000
    world.wait(61)
    assert "override" not in world.service("web")


def test_it_dies_with_the_service(world: World) -> None:
    world.local(stop())
    world.desire()
    assert world.last("override.ended", "audit")["why"] == "the service was deleted"
    world.do(exited("s-web-1", None, 15))
    assert only(world.desire(service("web")), inputs.Launch).instance == "s-web-2"


def test_start_runs_what_had_ended_for_good(world: World) -> None:
    world.desire(service("job", restart="never"))
    running(world, "s-job-2")
    world.do(exited("s-job-2"))
    fx = world.do(inputs.Local(request=1, user="ada", uid=1, command=inputs.LocalStart(service="job")))
    assert only(fx, inputs.Launch).instance == "s-job-3"
    world.local(inputs.LocalRelease(service="job"))
    assert world.service("job")["state"] == "starting"


def test_restart_stops_and_starts_at_once(world: World) -> None:
    fx = world.do(inputs.Local(request=1, user="ada", uid=1, command=inputs.LocalRestart(service="web")))
    assert only(fx, inputs.Stop).instance == "s-web-1"
    assert only(world.do(exited("s-web-1", None, 9)), inputs.Launch).instance == "s-web-2"
    world.do(inputs.LaunchFailed(instance="s-web-2", error="no space"))
    fx = world.do(inputs.Local(request=1, user="ada", uid=1, command=inputs.LocalRestart(service="web")))
    assert only(fx, inputs.Launch).instance == "s-web-3"
    world.local(stop())
    assert "release it first" in world.local(inputs.LocalRestart(service="web"))


def test_a_reason_is_a_sentence(world: World) -> None:
    said = world.local(inputs.LocalStop(service="web", reason="x" * (limits.WORD_CHARS_MAX + 1)))
    assert "at most 256 characters" in said
    assert world.service("web")["state"] == "running"


def test_a_name_that_is_not_here_is_an_error_that_says_what_is(world: World) -> None:
    assert world.local(inputs.LocalStop(service="wbe")) == "no service 'wbe' is on this device; there are: web"
    assert "does not know that command" in world.local(inputs.LocalCommand())


def test_the_hub_may_ask_for_an_override_back(world: World) -> None:
    request = documents.ReleaseRequest(service="web", by="olga", reason="needed today")
    world.desire(service("web"), request)
    assert not world.local(inputs.LocalStatus())["conditions"]
    world.local(stop())
    (condition,) = world.local(inputs.LocalStatus())["conditions"]
    assert condition["text"] == "olga asks to release the override here: needed today      (skerry-agent release web)"
    reasons = world.local(inputs.LocalWhy(service="web"))["reasons"]
    assert reasons[1] == "at the hub olga asks to release that: needed today"


# ------------------------------------------------------------------------------------------------ views


def test_status_tells_the_whole_local_truth_offline(world: World) -> None:
    world.wait(60)
    world.offline("hub.example:8443: no route")
    since = int(world.wall * 1000)
    world.wait(3 * 3_600)
    world.do(inputs.Closed(session=world.session(), reason="hub.example:8443: no route"))
    status = world.local(inputs.LocalStatus())
    assert (status["node"], status["version"]) == ("gw-1", "0.1.0")
    assert status["link"]["state"] == "offline"
    assert status["link"]["since_ms"] == since
    assert status["link"]["reason"] == "hub.example:8443: no route"
    assert status["link"]["held"]["generation"] == 1
    assert status["backlog"]["state"]["rows"] == len(world.entries())
    assert status["services"]["web"]["state"] == "running"
    world.start()
    assert world.local(inputs.LocalStatus())["link"]["since_ms"] == since
    assert world.local(inputs.LocalStatus())["link"]["state"] == "connecting"


def test_why_tells_the_chain_of_reasons(world: World) -> None:
    world.local(stop())
    world.do(exited("s-web-1", None, 15))
    world.offline()
    why = world.local(inputs.LocalWhy(service="web"))
    assert why["state"] == "stopped"
    assert why["next"] == "skerry-agent release web"
    assert why["at_ms"] == [int(WALL * 1000)] * 4
    assert why["reasons"] == [
        'ada (uid 1001) stopped it here with the reason "belt jammed", until released',
        "its last exit was signal 15; 0 restarts so far",
        "the hub wants it running (generation 1), restart always",
        "the hub has not heard of what happened here since: the link is offline (no route)",
    ]
    world.local(inputs.LocalStart(service="web"))
    assert world.local(inputs.LocalWhy(service="web"))["reasons"][0] == "ada (uid 1001) started it here, until released"
    world.do(inputs.LaunchFailed(instance="s-web-2", error="no such command: ./serve"))
    assert "no such command: ./serve" in world.local(inputs.LocalWhy(service="web"))["reasons"]


def test_why_of_what_crashes_says_when_it_starts_again_and_where_to_look(world: World) -> None:
    assert world.local(inputs.LocalWhy(service="web"))["retry_s"] is None
    world.do(exited("s-web-1", 3, 0))
    why = world.local(inputs.LocalWhy(service="web"))
    assert (why["state"], why["next"]) == ("backoff", "skerry-agent logs web")
    assert 0 < why["retry_s"] <= limits.RESTART_BACKOFF_S_MAX
    world.wait(why["retry_s"] / 2)
    assert world.local(inputs.LocalWhy(service="web"))["retry_s"] == pytest.approx(why["retry_s"] / 2)


def test_why_of_what_the_hub_deleted_or_did_not_say_yet(world: World) -> None:
    world.desire()
    assert world.local(inputs.LocalWhy(service="web"))["reasons"][-1] == "the hub has deleted it"
    del world.store.spaces["manifest"]
    world.start(inputs.Found(instance="s-web-1", pid=4))
    reasons = world.local(inputs.LocalWhy(service="web"))["reasons"]
    assert "what the hub wants is not known yet in this life" in reasons


# ------------------------------------------------------------------------------------------------ the parent asks


def ask(world: World, what: str, **params: str) -> list[messages.Answer]:
    fx = world.got(messages.Ask, id="q1", deadline_ms=int((world.wall + 30) * 1000), what=what, params=params)
    return sent(fx, messages.Answer)


def test_the_parent_asks_for_logs_and_gets_them_part_by_part(world: World) -> None:
    assert not ask(world, "logs", service="web", tail="5", follow="true")
    read = world.all(inputs.ReadLogs)[0]
    assert (read.service, read.tail, read.follow) == ("web", 5, True)
    for part in range(2):
        fx = world.do(inputs.LogRead(ask="q1", part=part, last=part == 1, lines=["one", "two"]))
        (answer,) = sent(fx, messages.Answer)
        assert (answer.part, answer.last, bytes(answer.data)) == (part, part == 1, b'["one","two"]')
    assert not world.do(inputs.LogRead(ask="q1", part=2, last=True, lines=["late"])).send


def test_a_question_for_more_lines_than_there_are_numbers_for_is_bounded(world: World) -> None:
    ask(world, "logs", service="web", tail="9" * 5_000)
    assert world.all(inputs.ReadLogs)[0].tail == limits.TAIL_LINES_MAX


def test_a_part_that_is_too_large_is_said_to_be(world: World) -> None:
    ask(world, "logs", service="web", tail="x")
    (answer,) = sent(world.do(inputs.LogRead(ask="q1", part=0, last=True, lines=["x" * 200_000])), messages.Answer)
    assert b"too large" in bytes(answer.data)


def test_questions_that_cannot_be_answered_are_answered_so(world: World) -> None:
    assert b"no service 'x'" in bytes(ask(world, "logs", service="x")[0].data)
    assert b"cannot answer" in bytes(ask(world, "secrets")[0].data)
    for n in range(70):
        world.got(messages.Ask, id=f"q{n}", deadline_ms=0, what="logs", params={"service": "web"})
    assert b"too many questions" in bytes(ask(world, "logs", service="web")[0].data)
    world.wait(31)
    assert not ask(world, "logs", service="web")


def test_the_parent_may_look_at_status_and_runs(world: World) -> None:
    assert b'"node":"gw-1"' in bytes(ask(world, "status")[0].data)
    assert bytes(ask(world, "runs")[0].data) == b"[]"
    steps = [documents.Step(name=f"{'s' * 50}{n}", set={"x": "1"}) for n in range(30)]
    world.desire(documents.Workflow(workflow="flow", steps=steps))
    for _ in range(50):
        world.local(inputs.LocalWorkflowStart(workflow="flow"))
    assert b"too large" in bytes(ask(world, "runs")[0].data)


def test_a_service_runs_because_the_hub_wants_it_not_because_it_ended_once(world: World) -> None:
    world.local(stop())
    world.do(exited("s-web-1", None, 15))
    world.local(inputs.LocalRelease(service="web"))
    world.do(inputs.Launched(instance="s-web-2", pid=5))
    why = world.local(inputs.LocalWhy(service="web"))
    assert why["state"] == "running"
    assert why["reasons"] == [
        "the hub wants it running (generation 1), restart always",
        "its last exit was signal 15; 1 restart so far",
    ]
