"""The hub's own streams, and the runs it keeps an account of."""

import base64
import hashlib

import pytest

from hub.core import inputs, views
from hub.core.hub import HubCore
from protocol import limits, messages
from protocol.link import cursor
from protocol.trust import gaps
from tests.unit.hub.world import World


@pytest.fixture
def world() -> World:
    return World()


def test_the_hubs_own_entries_are_chained_over_restarts(world: World) -> None:
    chain = cursor.genesis("cloud", world.core.streams.heads()["audit"][0], "audit")
    for act in (lambda: world.token("a"), world.restart, lambda: world.token("b")):
        act()
    raws = world.store.raws["audit"]
    for raw in raws:
        chain = cursor.chain(chain, raw)
    assert chain == world.store.streams["audit"].hash
    assert world.core.streams.heads()["audit"][1] == len(raws) == 4


def test_over_its_quota_a_stream_lets_its_oldest_segment_go_under_a_gap_that_the_hub_signs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_ROWS", 2)
    for name in ("audit", "state"):
        monkeypatch.setitem(limits.QUOTA_BYTES, name, 800)
    world = World()
    some = messages.GapBody(first=1, last=1, count=1, reason="", hash="")
    signed = world.config.signer.sign_gap("cloud", "e", "audit", some)
    key = hashlib.sha256(base64.b64decode(signed.key)).hexdigest()
    for number in range(40):
        world.request(inputs.CreateToken(id=f"t{number:02d}", secret_hash="0" * 64, ttl_s=60.0, uses=1))
    stream, gap = world.store.streams["audit"], world.store.gaps["audit"]
    body = cursor.decode_gap(gap.raw)
    assert body is not None
    gaps.check("cloud", key, stream.epoch, "audit", body)
    assert (body.first, body.last) == (1, gap.last)
    assert stream.first == gap.last > 20
    assert world.core.streams.lost == {"audit": gap.last}
    chain = gap.hash
    for raw in world.store.raws["audit"][gap.last :]:
        chain = cursor.chain(chain, raw)
    assert chain == stream.hash, "what is left proves itself"
    assert HubCore(world.store.snapshot(), world.config).streams.lost == {"audit": gap.last}, "it is remembered"


def test_only_the_newest_runs_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RUNS_KEPT_AT_HUB_MAX", 2)
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    for number in range(4):
        device.entries(("run.started", f"r{number}", {"id": f"r{number}", "workflow": "w", "started_ms": number + 1}))
    assert [run["id"] for run in views.runs(world.core)] == ["r3", "r2"]
    assert [run["id"] for run in views.runs(world.core, limit=1)] == ["r3"]
    with pytest.raises(Exception, match="no run 'r0'"):
        views.run(world.core, "r0")
    assert views.run(world.core, "oslo-1/r3")["state"] == "running"


def test_a_run_whose_start_was_lost_is_told_from_its_steps(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]
    device.entries(
        ("step.started", "r1", {"run": "r1", "step": "collect", "attempt": 1}),
        ("step.ended", "r1", {"run": "r1", "step": "collect", "state": "ok", "attempt": 1, "exit_code": 0}),
        ("step.started", "r1", {"run": "r1", "step": "publish", "attempt": 1}),
        ("app.noise", "", {}),
    )
    run = views.run(world.core, "r1")
    assert [(step["name"], step["state"]) for step in run["steps"]] == [("collect", "ok"), ("publish", "running")]
    device.entries(("run.ended", "r1", {"workflow": "report", "state": "ok"}))
    run = views.run(world.core, "r1")
    assert (run["workflow"], run["state"], run["ended_ms"], len(run["steps"])) == ("report", "ok", 1_000, 2)
    assert views.runs(world.core, workflow="report")


def test_a_run_that_asks_and_one_that_tries_again_are_shown_as_such(world: World) -> None:
    device = world.fleet(oslo_1={"site": "oslo"})["oslo-1"]

    def told(kind: str, **said: object) -> tuple[str, str]:
        device.entries((kind, "r1", {"run": "r1", "step": "collect", "attempt": 1} | said))
        run = views.run(world.core, "r1")
        return run["state"], run["steps"][0]["state"]

    assert told("step.started") == ("running", "running")
    assert told("step.retrying", exit_code=1) == ("running", "waiting")
    assert told("step.asking") == ("asking", "interrupted")
    assert told("step.started", attempt=2) == ("running", "running")
    assert told("step.ended", state="ok", attempt=2, exit_code=0) == ("running", "ok")
