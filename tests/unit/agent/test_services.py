"""Services: state in, one input, effects out."""

from __future__ import annotations

import pytest

from edge_agent.core import inputs
from protocol import documents, limits, messages
from tests.unit.agent.world import World, acts, exited, only, running, sent, service

FAST = documents.Backoff(min_s=1.0, max_s=8.0)
ART = "sha256:" + "a" * 64
ART2 = "sha256:" + "b" * 64


@pytest.fixture
def world() -> World:
    world = World()
    world.start()
    world.online()
    return world


def test_a_wanted_service_is_stored_as_started_and_launched(world: World) -> None:
    fx = world.desire(service("web"))
    launch = only(fx, inputs.Launch)
    assert launch.instance == "s-web-1"
    assert launch.process.command == ["./serve"]
    assert b'"starting"' in world.store.spaces["service"]["web"]
    running(world, "s-web-1", pid=77)
    assert world.kinds()[-2:] == ["service.starting", "service.started"]
    assert world.service("web")["pid"] == 77


def test_the_same_manifest_again_changes_nothing(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    assert acts(world.desire(service("web"), service("db")), inputs.Launch)[0].instance == "s-db-2"
    assert not world.all(inputs.Stop)


def test_a_changed_label_does_not_restart_and_a_changed_command_does(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    assert not acts(world.desire(service("web", labels={"team": "qa"})), inputs.Stop)
    stop = only(world.desire(service("web", "./serve", "-v")), inputs.Stop)
    assert stop == inputs.Stop(instance="s-web-1", grace_s=limits.STOP_GRACE_S)
    fx = world.do(exited("s-web-1", None, 15))
    assert only(fx, inputs.Forget).instance == "s-web-1"
    assert only(fx, inputs.Launch).process.command == ["./serve", "-v"]
    assert world.last("service.stopped")["cause"] == "changed"


def test_a_crash_waits_longer_each_time_until_it_ran_long_enough(world: World) -> None:
    world.desire(service("web", backoff=FAST))
    waits: list[float] = []
    for n in range(1, 6):
        running(world, f"s-web-{n}")
        world.do(exited(f"s-web-{n}", 1))
        assert world.service("web")["state"] == "backoff"
        before = world.mono
        while not any(launch.instance == f"s-web-{n + 1}" for launch in world.all(inputs.Launch)):
            world.wait(0.05)
        waits.append(world.mono - before)
    assert all(0.5 * want - 0.1 <= got <= want + 0.1 for want, got in zip([1, 2, 4, 8, 8], waits, strict=True))
    running(world, "s-web-6")
    world.wait(limits.RESTART_RESET_S)
    world.do(exited("s-web-6", 1))
    world.wait(1.1)
    assert world.all(inputs.Launch)[-1].instance == "s-web-7"
    assert world.service("web")["restarts"] == 6


@pytest.mark.parametrize(
    ("policy", "code", "state"),
    [("never", 0, "exited"), ("never", 3, "failed"), ("on-failure", 0, "exited"), ("on-failure", 1, "backoff")],
)
def test_the_restart_policy_decides_what_follows_an_exit(world: World, policy: str, code: int, state: str) -> None:
    world.desire(service("web", restart=policy))
    running(world, "s-web-1")
    world.do(exited("s-web-1", code))
    report = world.service("web")
    assert report["state"] == state
    assert report["last_exit"] == f"code {code}"


def test_a_new_version_starts_what_had_ended_for_good(world: World) -> None:
    world.desire(service("web", restart="never"))
    running(world, "s-web-1")
    world.do(exited("s-web-1", 1))
    assert only(world.desire(service("web", "./new", restart="never")), inputs.Launch).instance == "s-web-2"


@pytest.mark.parametrize(
    ("policy", "code", "now", "starts"),
    [
        ("never", 0, "always", True),
        ("on-failure", 0, "always", True),
        ("never", 3, "on-failure", True),
        ("never", 0, "on-failure", False),
        ("on-failure", 0, "never", False),
    ],
)
def test_a_new_restart_policy_starts_what_does_not_stay_ended_under_it(
    world: World, policy: str, code: int, now: str, starts: bool
) -> None:
    world.desire(service("web", restart=policy))
    running(world, "s-web-1")
    world.do(exited("s-web-1", code))
    world.desire(service("web", restart=now))
    assert [launch.instance for launch in world.all(inputs.Launch)] == ["s-web-1", *(["s-web-2"] if starts else [])]


def test_a_command_that_does_not_exist_is_tried_again_and_said(world: World) -> None:
    world.desire(service("web", backoff=FAST))
    fx = world.do(inputs.LaunchFailed(instance="s-web-1", error="no such command: ./serve"))
    assert only(fx, inputs.Forget).instance == "s-web-1"
    report = world.service("web")
    assert (report["state"], report["reason"]) == ("backoff", "no such command: ./serve")
    assert [launch.instance for launch in world.all(inputs.Launch)] == ["s-web-1"]
    world.wait(1.1)
    assert [launch.instance for launch in world.all(inputs.Launch)] == ["s-web-1", "s-web-2"]
    running(world, "s-web-2")
    assert "reason" not in world.service("web")


def test_a_deleted_service_is_stopped_and_forgotten_and_its_number_never_comes_again(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    assert only(world.desire(), inputs.Stop).instance == "s-web-1"
    world.do(exited("s-web-1", None, 15))
    assert world.last("service.stopped")["cause"] == "deleted"
    assert "web" not in world.store.spaces["service"]
    assert "web" not in world.store.spaces["assignment"]
    assert only(world.desire(service("web")), inputs.Launch).instance == "s-web-2"


def test_a_service_that_is_deleted_while_it_starts_is_stopped_as_soon_as_it_runs(world: World) -> None:
    world.desire(service("web"))
    assert not acts(world.desire(), inputs.Stop)
    assert only(running(world, "s-web-1"), inputs.Stop).instance == "s-web-1"


def test_a_late_word_of_an_older_instance_changes_nothing(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    assert only(world.do(exited("s-web-0")), inputs.Forget).instance == "s-web-0"
    assert only(running(world, "s-web-0"), inputs.Stop).instance == "s-web-0"
    world.do(inputs.LaunchFailed(instance="s-web-0", error="?"))
    world.do(inputs.Probed(service="web", instance="s-web-0", ok=False))
    running(world, "s-web-1")
    assert world.service("web")["state"] == "running"


# ------------------------------------------------------------------------------------------------ a new life


def test_a_restarted_agent_adopts_what_runs(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1", pid=77)
    fx = world.start(inputs.Found(instance="s-web-1", pid=77))
    assert not acts(fx, inputs.Launch)
    assert not acts(fx, inputs.Stop)
    assert world.service("web")["state"] == "running"
    assert world.kinds().count("service.started") == 1


def test_an_exit_while_the_agent_was_down_is_journaled_once(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    fx = world.start(inputs.Found(instance="s-web-1", pid=77, exit=inputs.Exit(code=3, time_ms=5)))
    assert only(fx, inputs.Forget).instance == "s-web-1"
    assert world.last("service.exited")["code"] == 3
    fx = world.start(inputs.Found(instance="s-web-1", pid=77, exit=inputs.Exit(code=3)))
    assert (
        only(fx, inputs.Forget).instance == "s-web-1"
    )  # the crash came before Forget: forgotten again, not told again
    assert world.kinds().count("service.exited") == 1


def test_a_launch_that_may_never_have_happened_is_repeated_under_the_same_id(world: World) -> None:
    world.desire(service("web"))
    assert only(world.start(), inputs.Launch).instance == "s-web-1"
    running(world, "s-web-1")
    assert only(world.start(), inputs.Launch).instance == "s-web-1"


def test_what_was_stored_and_started_is_taken_over_although_nobody_heard_that_it_runs(world: World) -> None:
    world.desire(service("web"))
    fx = world.start(inputs.Found(instance="s-web-1", pid=77))
    assert not acts(fx, inputs.Launch)
    assert world.kinds()[-1] == "service.started"


def test_after_a_reboot_without_a_network_everything_runs_again(world: World) -> None:
    world.desire(service("web"), service("job", restart="never"), service("new"))
    running(world, "s-web-1")
    running(world, "s-job-2")
    fx = world.start(inputs.Found(instance="s-job-2", pid=5, exit=inputs.Exit()), reboot=True)
    assert [launch.instance for launch in acts(fx, inputs.Launch)] == ["s-web-4", "s-new-5"]
    assert world.service("job")["state"] == "failed"
    assert [entry.key for entry in world.entries(kind="service.exited")] == ["web", "job", "new"]


def test_a_stop_in_progress_is_repeated(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    world.desire()
    assert only(world.start(inputs.Found(instance="s-web-1", pid=77)), inputs.Stop).instance == "s-web-1"


def test_a_stop_whose_launch_may_never_have_happened_launches_and_stops(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    world.desire()
    assert only(world.start(), inputs.Launch).instance == "s-web-1"
    assert only(running(world, "s-web-1"), inputs.Stop).instance == "s-web-1"


def test_what_was_deleted_and_ended_while_the_agent_was_down_is_not_started_again(world: World) -> None:
    world.desire(service("web"))
    running(world, "s-web-1")
    world.desire()
    fx = world.start(inputs.Found(instance="s-web-1", pid=77, exit=inputs.Exit(signal=15)))
    assert not acts(fx, inputs.Launch)
    assert "web" not in world.store.spaces["service"]


def test_an_outcome_that_is_lost_without_a_boot_counts_as_a_failure(world: World) -> None:
    world.desire(service("web", backoff=FAST))
    running(world, "s-web-1")
    assert not acts(world.do(exited("s-web-1", None)), inputs.Launch)
    assert world.service("web")["state"] == "backoff"
    assert world.last("service.exited")["lost"] is True


def test_what_ended_before_the_power_went_starts_at_once_if_its_policy_says_so(world: World) -> None:
    world.desire(service("web"), service("job", restart="on-failure"))
    running(world, "s-web-1")
    running(world, "s-job-2")
    found = [inputs.Found(instance=f"s-{name}", pid=7, exit=inputs.Exit(code=0)) for name in ("web-1", "job-2")]
    assert only(world.start(*found, reboot=True), inputs.Launch).instance == "s-web-3"
    assert world.service("job")["state"] == "exited"


def test_a_backoff_begins_again_after_a_restart_but_not_after_a_reboot(world: World) -> None:
    world.desire(service("web", backoff=FAST))
    running(world, "s-web-1")
    world.do(exited("s-web-1", 1))
    assert not acts(world.start(), inputs.Launch)
    world.wait(1.1)
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"
    world.do(exited("s-web-2", 1))
    assert only(world.start(reboot=True), inputs.Launch).instance == "s-web-3"


def test_orphans_are_stopped_and_forgotten(world: World) -> None:
    fx = world.start(
        inputs.Found(instance="s-old-9", pid=9), inputs.Found(instance="t-x", pid=8, exit=inputs.Exit(code=0))
    )
    assert only(fx, inputs.Stop).instance == "s-old-9"
    assert only(fx, inputs.Forget).instance == "t-x"
    for instance in ("s-old-9", "r-x-y-1", "t-old"):
        assert only(world.do(exited(instance)), inputs.Forget).instance == instance


def test_nothing_is_deleted_before_a_complete_manifest_was_seen() -> None:
    world = World()
    world.start()
    world.online()
    world.desire(service("web"))
    running(world, "s-web-1")
    del world.store.spaces["manifest"]
    fx = world.start(inputs.Found(instance="s-web-1", pid=77))
    assert not acts(fx, inputs.Stop)
    world.do(exited("s-web-1", 1))
    world.wait(2)
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"


# ------------------------------------------------------------------------------------------------ artifacts


def test_an_artifact_is_asked_for_and_fetched_before_the_launch(world: World) -> None:
    fx = world.desire(service("web", artifact=ART))
    assert sent(fx, messages.Need)[0].tickets == [ART]
    assert world.service("web")["state"] == "fetching"
    fx = world.got(messages.Documents, tickets={ART: "tick"})
    assert only(fx, inputs.Fetch) == inputs.Fetch(digest=ART, ticket="tick")
    fx = world.do(inputs.Fetched(digest=ART))
    assert only(fx, inputs.Launch).process.artifact == ART


def test_a_failed_fetch_is_tried_again_later_and_a_refused_ticket_at_once(world: World) -> None:
    world.desire(service("web", artifact=ART))
    world.got(messages.Documents, tickets={ART: "one"})
    fx = world.do(inputs.Fetched(digest=ART, error="the ticket is over", ticket_refused=True))
    assert sent(fx, messages.Need)[0].tickets == [ART]
    world.got(messages.Documents, tickets={ART: "two", ART2: "unasked"})
    fx = world.do(inputs.Fetched(digest=ART, error="connection reset"))
    assert not sent(fx, messages.Need)
    assert world.service("web")["reason"] == "the artifact is not here yet: connection reset"
    world.mono += 3.0
    assert sent(world.do(inputs.Tick()), messages.Need)
    world.got(messages.Documents, tickets={ART: "three"})
    assert world.all(inputs.Fetch)[-1].ticket == "three"
    world.do(inputs.Fetched(digest=ART2, error="nobody asked"))


def test_offline_the_question_waits_for_the_link(world: World) -> None:
    world.desire(service("web", artifact=ART))
    world.offline()
    world.wait(200)
    assert sent(world.online(), messages.Need)[0].tickets == [ART]


def test_what_nobody_needs_any_more_is_not_fetched(world: World) -> None:
    world.desire(service("web", artifact=ART))
    world.desire(service("web", artifact=ART2))
    assert not world.got(messages.Documents, tickets={ART: "late"}).act
    world.got(messages.Documents, tickets={ART2: "tick"})
    world.offline()
    assert not [need for need in sent(world.online(), messages.Need) if need.tickets]  # one fetch is enough


def test_the_old_version_runs_and_is_restarted_until_the_new_artifact_is_here(world: World) -> None:
    world.start(artifacts=(ART,))
    world.online()
    world.desire(service("web", artifact=ART))
    running(world, "s-web-1")
    assert not acts(world.desire(service("web", artifact=ART2)), inputs.Stop)
    world.do(exited("s-web-1", 1))
    world.wait(1.1)
    assert world.all(inputs.Launch)[-1].process.artifact == ART
    running(world, "s-web-2")
    assert only(world.do(inputs.Fetched(digest=ART2)), inputs.Stop).instance == "s-web-2"


def test_the_last_artifacts_of_a_service_stay_and_the_others_go(world: World) -> None:
    digests = [f"sha256:{n:064x}" for n in range(4)]
    for digest in digests:
        world.desire(service("web", artifact=digest))
        world.do(inputs.Fetched(digest=digest))
    assert world.all(inputs.Collect)[-1].keep == [digests[3], digests[2], digests[1]]
    running(world, "s-web-1")
    world.do(exited("s-web-1", None, 15))
    running(world, "s-web-2")
    world.desire()
    world.do(exited("s-web-2", None, 15))
    world.desire(service("db"))
    assert world.all(inputs.Collect)[-1].keep == []


def test_an_artifact_that_is_lost_from_the_disk_is_fetched_again(world: World) -> None:
    world.start(artifacts=(ART,))
    world.online()
    world.desire(service("web", artifact=ART))
    running(world, "s-web-1")
    world.start(reboot=True)
    assert world.service("web")["state"] == "fetching"
    assert world.do(inputs.Fetched(digest=ART)).act[0] == world.all(inputs.Launch)[-1]


# ------------------------------------------------------------------------------------------------ health

PROBE = documents.Probe(exec=["./probe"], interval_s=10, failures=2, successes=1, delay_s=5)


def probe(world: World, ok: bool, instance: str = "s-web-1") -> None:
    world.do(inputs.Probed(service="web", instance=instance, ok=ok, text="" if ok else "no answer"))


def test_probes_begin_after_the_delay_and_go_on_by_the_interval(world: World) -> None:
    world.desire(service("web", health=PROBE))
    running(world, "s-web-1")
    assert not world.wait(4)
    (run,) = world.wait(1.1)
    assert isinstance(run, inputs.RunProbe)
    assert run.probe == PROBE
    probe(world, True)
    assert world.service("web")["healthy"] is True
    assert not [act for act in world.wait(9.5) if isinstance(act, inputs.RunProbe)]
    assert [act for act in world.wait(0.6) if isinstance(act, inputs.RunProbe)]
    assert [act for act in world.wait(20) if isinstance(act, inputs.RunProbe)]  # its answer was lost


def test_it_is_unhealthy_after_as_many_failures_as_it_says_and_healthy_again(world: World) -> None:
    world.desire(service("web", health=PROBE))
    running(world, "s-web-1")
    for ok in (True, False, False, False, True):
        probe(world, ok)
    assert [kind for kind in world.kinds() if kind.endswith("healthy")] == [
        "service.healthy",
        "service.unhealthy",
        "service.healthy",
    ]
    probe(world, False)
    probe(world, False)
    assert world.service("web")["reason"] == "no answer"


def test_an_unhealthy_service_is_restarted_with_backoff_if_it_says_so(world: World) -> None:
    world.desire(service("web", health=PROBE, restart_unhealthy=True, backoff=FAST))
    running(world, "s-web-1")
    probe(world, False)
    probe(world, False)
    assert world.acts[-1] == inputs.Stop(instance="s-web-1", grace_s=limits.STOP_GRACE_S)
    probe(world, True)
    assert not acts(world.do(exited("s-web-1", None, 15)), inputs.Launch)
    world.wait(1.1)
    assert world.all(inputs.Launch)[-1].instance == "s-web-2"


def test_health_survives_a_restart_of_the_agent_without_being_told_again(world: World) -> None:
    world.desire(service("web", health=PROBE))
    running(world, "s-web-1")
    probe(world, True)
    world.start(inputs.Found(instance="s-web-1", pid=77))
    probe(world, True)
    assert world.kinds().count("service.healthy") == 1
    world.online()
    world.desire(service("web"))
    probe(world, False)
    assert world.service("web").get("healthy") is True


# ------------------------------------------------------------------------------------------------ odd documents


def test_a_document_that_makes_no_sense_is_shown_and_what_runs_runs_on(world: World) -> None:
    world.desire(service("web"), service("db"))
    running(world, "s-web-1")
    running(world, "s-db-2")
    fx = world.desire(service("db"), raw={"assignment/web": b'{"is":"assignment","service":5}', "policy/x": b"{}"})
    assert not acts(fx, inputs.Stop)
    conditions = world.local(inputs.LocalStatus())["conditions"]
    assert [condition["what"] for condition in conditions] == ["document/assignment/web", "document/policy/x"]
    world.do(exited("s-web-1", 1))
    world.wait(2)
    assert world.all(inputs.Launch)[-1].instance == "s-web-3"


def test_a_document_under_another_name_or_with_a_name_that_climbs_is_refused(world: World) -> None:
    climbing = documents.encode(service("../etc"))
    fx = world.desire(raw={"assignment/web": documents.encode(service("db")), "assignment/../etc": climbing})
    assert not acts(fx, inputs.Launch)
    assert len(world.local(inputs.LocalStatus())["conditions"]) == 2


def test_a_device_runs_a_bounded_number_of_services(world: World) -> None:
    fx = world.desire(*(service(f"s{n}") for n in range(limits.SERVICES_MAX + 2)))
    assert len(acts(fx, inputs.Launch)) == limits.SERVICES_MAX
    assert len(world.local(inputs.LocalStatus())["conditions"]) == 2
