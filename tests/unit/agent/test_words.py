"""What the person at the device reads."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from edge_agent.cli import commands, doctor, human, view
from edge_agent.cli.options import Output
from edge_agent.cli.person import happened, rows, tell

NOW = 1_700_000_000_000
HOUR_MS = 3_600_000


def answer(**link: Any) -> dict[str, Any]:
    """Return what the agent answers to `status`, its link like this."""
    held = {"term": 2, "generation": 12, "digest": ""}
    plain = {"parent": "cloud", "state": "live", "since_ms": NOW - HOUR_MS, "reason": "", "held": held}
    plain |= {"received_ms": NOW - HOUR_MS, "last_contact_ms": NOW}
    return {
        "node": "oslo-gw-1",
        "now_ms": NOW,
        "link": plain | link,
        "backlog": {"state": {"rows": 1, "bytes": 120}},
        "services": {},
        "workflows": {},
        "conditions": [],
        "lost": {},
        "gaps": {},
        "hold": None,
        "upgrade": None,
    }


def test_a_link_that_is_down_is_told_without_error_numbers() -> None:
    told = tell.link(answer(state="offline", reason="hub.example:8883: [Errno 111] Connection refused"))
    assert told.startswith("offline for 1 h (hub.example:8883: Connection refused). ")
    assert told.endswith("; 1 entry waits to sync (120 B).")
    sought = "127.0.0.1:8883: no route; cloud is not at 192.0.2.2:8883: no route; [FD00:0::2]:8883: no route"
    assert human.plain(f"offline ({sought}) now") == "offline (127.0.0.1:8883: no route, nor at 2 others) now"
    assert human.plain(sought.rpartition("; ")[0]).endswith("no route, nor at 1 other address")
    cut = "h:8883: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1006)"
    assert human.plain(cut) == "h:8883: the connection was cut off"


def test_what_the_first_line_said_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    text = "revoked: stolen; the work here goes on"
    tell.status(
        answer(state="refused", reason=text) | {"conditions": [{"what": "standing", "text": text}]}, Output.table
    )
    assert capsys.readouterr().out.count(text) == 1


def test_what_is_lost_is_told_with_its_range_and_the_room_that_there_was(capsys: pytest.CaptureFixture[str]) -> None:
    gap = {"first": 1, "last": 4_000, "count": 4_000, "reason": "the quota of the stream is full", "declared_ms": NOW}
    quota = {"metrics": {"bytes": 20_000_000, "share": 16_000_000}}
    tell.status(
        answer() | {"lost": {"metrics": 5_000, "logs": 3}, "gaps": {"metrics": gap}, "quota": quota}, Output.table
    )
    out = capsys.readouterr().out
    assert "5,000 entries of metrics are lost and declared so; the newest gap goes from number 1 to 4,000, " in out
    assert "(the quota of the stream is full; 20.0 MB here, 16.0 MB are its share)" in out
    assert "3 entries of logs are lost and declared so\n" in out


def test_why_says_when_each_thing_came_about_and_how_long_it_holds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = ["ada (uid 1001) stopped it here, until its life is over", "the hub wants it running (generation 4)"]
    until = NOW + 2 * HOUR_MS
    report = {"override": {"until_ms": until}}
    why = {"state": "stopped", "reasons": reasons, "at_ms": [NOW, 0], "next": "skerry-agent release x"}
    tell.why(why | {"report": report}, NOW, " --data ./a")
    assert capsys.readouterr().out.splitlines() == [
        f"stopped, because ada (uid 1001) stopped it here, until {human.clock(until, NOW)} "
        f"(at {human.clock(NOW, NOW)}).",
        "The hub wants it running (generation 4).",
        "Release it:  skerry-agent release x --data ./a",
    ]


def test_what_crashes_again_and_again_is_called_so_and_says_when_it_starts_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report: dict[str, Any] = {"state": "backoff", "restarts": 7}
    assert str(rows.state(report)) == "crash looping"
    assert str(rows.state(report | {"restarts": 1})) == "waits to start again"
    why = {"state": "backoff", "reasons": ["its last exit was code 3"], "at_ms": [0], "retry_s": 33.6}
    tell.why(why | {"report": report, "next": "skerry-agent logs x"}, NOW)
    assert capsys.readouterr().out.splitlines() == [
        "waits to start again, because its last exit was code 3.",
        "It starts again by itself in 34 s.",
        "Next:  skerry-agent logs x",
    ]


def test_a_hold_before_which_nothing_waits_says_so() -> None:
    held = {"user": "ada", "since_ms": NOW, "waiting": 0}
    assert ". No change waits yet; to let them come: skerry-agent unhold" in tell.held(held, NOW)


def test_a_decision_says_until_when_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x is to stop here, until the time you gave; the hub will see"
    tell.decided({"text": text, "until_ms": NOW + HOUR_MS}, NOW)
    assert capsys.readouterr().out == f"x is to stop here, until {human.clock(NOW + HOUR_MS, NOW)}; the hub will see\n"


def test_doctor_where_nothing_is_says_so_once(tmp_path: Path) -> None:
    found = doctor.examine(tmp_path / "nowhere")
    assert [(one.check, str(one.state)) for one in found] == [("enrolled", "problem"), ("tools", "ok"), ("clock", "ok")]
    assert "skerry-agent enroll" in found[0].next


def test_a_folder_that_only_its_owner_may_read_is_no_mistake_in_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no(path: object, mode: int) -> bool:
        return False

    monkeypatch.setattr("os.access", no)  # as another user than root would find it
    monkeypatch.setattr("sys.argv", ["skerry-agent", "status", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        commands.main()
    assert ended.value.code == commands.UNREACHABLE
    assert "not enrolled" in capsys.readouterr().err


def test_an_offline_device_says_when_it_tries_again() -> None:
    away = {"state": "offline", "since_ms": NOW, "reason": "no route", "parent": "cloud", "retry_s": 19.6}
    assert tell.link(answer() | {"link": away}).endswith(" Next try in 20 s.")
    assert "Next try" not in tell.link(answer() | {"link": away | {"retry_s": None}})


def test_a_metered_link_says_how_seldom_it_speaks() -> None:
    metered = {"metered_s": 3600.0, "last_contact_ms": NOW - 20 * 60_000}
    said = tell.link(answer(**metered))
    assert said.startswith("online for 1 h (hub cloud; metered: a contact every 1 h, the last 20 m ago); 1 entry waits")


def test_a_long_note_leaves_the_other_columns_their_room() -> None:
    narrow = Console(width=80, file=io.StringIO())
    narrow.print(view.made(rows.SERVICES, [["label-print", "stopped here by ada", "14:02", "x" * 200]]))
    heads, row = cast(io.StringIO, narrow.file).getvalue().splitlines()
    assert heads.split() == ["SERVICE", "STATE", "SINCE", "LAST", "EXIT"]
    assert row.startswith("label-print   stopped here by ada   14:02   xxxxx")
    assert row.rstrip().endswith("x…")


def test_a_service_that_a_person_stopped_says_who_when_and_until_when(capsys: pytest.CaptureFixture[str]) -> None:
    override = {"decision": "stop", "user": "ada", "uid": 7, "reason": "belt jammed", "since_ms": NOW - HOUR_MS}
    stopped = {"state": "stopped", "since_ms": NOW - HOUR_MS, "last_exit": "signal 15", "override": override}
    runs = {
        "state": "running",
        "healthy": True,
        "since_ms": NOW - 6 * 24 * HOUR_MS,
        "pid": 41,
        "digest": "sha256:" + "a" * 64,
    }
    tell.status(answer() | {"services": {"label-print": stopped, "line-vision": runs}}, Output.wide)
    wanted, heads, first, second = capsys.readouterr().out.splitlines()[1:]
    assert wanted.startswith("the hub wants term 2, generation 12, received ")
    assert heads.split() == ["SERVICE", "STATE", "SINCE", "LAST", "EXIT", "PID", "RESTARTS", "DIGEST"]
    said = 'signal 15; until released; "belt jammed"'
    assert [one.strip() for one in first.split("   ") if one][:4] == [
        "label-print",
        "stopped here by ada",
        human.clock(NOW - HOUR_MS, NOW),
        said,
    ]
    assert second.split("   ")[:2] == ["line-vision", "running (healthy)"]
    assert " 6 d " in second
    assert second.endswith("sha256:aaaaaaaaaaaa")


def test_a_hold_is_told_with_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    hold = {"user": "ada", "uid": 7, "reason": "night shift", "since_ms": NOW, "until_ms": NOW + HOUR_MS, "waiting": 2}
    tell.status(answer() | {"hold": hold})
    since, until = human.clock(NOW, NOW), human.clock(NOW + HOUR_MS, NOW)
    said = f'updates held here by ada since {since}, until {until}; "night shift"'
    assert f"{said}. 2 changes wait; to let them come: skerry-agent unhold" in capsys.readouterr().out


def test_a_version_on_its_way_is_told_and_one_that_runs_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    tell.status(answer() | {"upgrade": {"version": "0.2.0+deb12", "state": "trying"}})
    assert "the agent's version 0.2.0+deb12 is on trial; what runs here goes on" in capsys.readouterr().out
    tell.status(answer() | {"upgrade": {"version": "0.2.0+deb12", "state": "running"}})
    assert "0.2.0" not in capsys.readouterr().out


def test_what_others_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    override = {"decision": "stop", "user": "ada", "uid": 7, "reason": "x\x1b[2Jy", "since_ms": NOW}
    tell.status(answer() | {"services": {"web": {"state": "stopped", "override": override}}})
    view.say("z\x1b[2J")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "x\N{REPLACEMENT CHARACTER}[2Jy" in out


def test_yaml_says_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    view.exact({"name": "web", "steps": [{"name": "a", "ok": True}]}, Output.yaml)
    assert capsys.readouterr().out == "---\nname: web\nsteps:\n- name: a\n  ok: true\n"
    view.exact({"name": "web"}, Output.json)
    assert capsys.readouterr().out == '{"name":"web"}\n'


def test_an_entry_is_a_line_of_words_with_units() -> None:
    one: dict[str, Any] = {"time": NOW, "stream": "state", "kind": "run.ended", "key": "r-1"}
    body = {"id": "r-1", "state": "ok", "steps": [{"name": "a"}, {"name": "b"}], "why": "x" * 99 + "\n"}
    told = str(happened.line(one | {"body": body}))
    assert told.startswith(human.stamp(NOW) + "  run.ended          r-1  state=ok steps=2 why=xxx")
    assert told.endswith("x…")
    assert "{" not in told
    assert '"steps":[{"name":"a"}' in str(happened.line(one | {"body": body}, whole=True))
    vitals = {"cpu": 0.4, "disk_used": 1, "disk_total": 2}
    assert str(happened.line(one | {"kind": "vitals", "body": vitals})).endswith("cpu 40 %, disk 50 %")
    assert str(happened.line(one | {"body": [1]})).endswith("[1]")
