"""Lists of thousands: read by the page, written as they come, as wide as the terminal and no wider."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live

from hub.cli.view.table.table import PAGE_ROWS, Table
from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, node
from tests.unit.cli.test_looks import SPEC, applied, on, service


@pytest.fixture
def fleet(api: FakeApi) -> FakeApi:
    """Ten nodes in pages of four; the seventh has an alarm."""
    api.page_rows = 4
    alarm = [{"what": "clone", "text": "two say they are it", "since_ms": 1}]
    api.says("GET", "/v1/nodes", [node(f"gw-{at}", alarms=alarm if at == 6 else []) for at in range(10)])
    return api


def pages(api: FakeApi) -> list[str]:
    return [path for _, path, _ in api.asked if path.partition("?")[0] == "/v1/nodes"]


def test_all_pages_are_one_table_with_one_afterword(skerry: Skerry, fleet: FakeApi) -> None:
    code, out, err = skerry("get", "nodes", "-l", "site=oslo")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NODE", *(f"gw-{at}" for at in range(10))]
    assert err == "gw-6 has an alarm: see `skerry describe node gw-6`\n"
    first = "/v1/nodes?selector=site%3Doslo"
    assert pages(fleet) == [first, f"{first}&start=4", f"{first}&start=8"]


@pytest.mark.parametrize(("limit", "asked"), [(3, ["limit=3"]), (4, ["limit=4"]), (6, ["limit=6", "limit=6&start=4"])])
def test_a_limit_ends_it_and_says_that_there_are_more(
    skerry: Skerry, fleet: FakeApi, limit: int, asked: list[str]
) -> None:
    code, out, err = skerry("get", "nodes", "--limit", str(limit))
    assert (code, len(out.splitlines())) == (0, 1 + limit)
    assert err == "there are more: -l SELECTOR says which, --limit how many\n"
    assert pages(fleet) == [f"/v1/nodes?{query}" for query in asked]
    _, _, err = skerry("get", "nodes", "--limit", "10")
    assert "there are more" not in err


@pytest.mark.parametrize(
    ("words", "shown", "more"),
    [((), 50, True), (("--limit", "59"), 59, True), (("--limit", "60"), 60, False), (("--limit", "99"), 60, False)],
)
def test_of_more_runs_than_are_shown_it_says_so(
    skerry: Skerry, api: FakeApi, words: tuple[str, ...], shown: int, more: bool
) -> None:
    api.page_rows = 1_000
    one: dict[str, Any] = {"workflow": "w", "node": "a", "state": "ok", "trigger": "cron", "params": {}, "steps": []}
    one |= {"started_ms": 1_700_000_000_000, "ended_ms": 1_700_000_001_000}
    api.says("GET", "/v1/runs", [one | {"id": f"r{at}"} for at in range(60)])
    code, out, err = skerry("get", "runs", *words)
    assert (code, len(out.splitlines())) == (0, 1 + shown)
    assert err == ("there are more: --limit says how many\n" if more else "")
    code, out, err = skerry("get", "runs", "-o", "json", *words)
    assert (code, len(json.loads(out))) == (0, shown)
    assert err == ("there are more: --limit says how many\n" if more and not words else "")


@pytest.mark.parametrize("words", [("services",), ("regions",), ("nodes", "a")])
def test_a_limit_is_for_long_lists_alone(skerry: Skerry, api: FakeApi, words: tuple[str, ...]) -> None:
    code, _, err = skerry("get", *words, "--limit", "3")
    assert (code, "--limit is for lists of nodes and of runs" in err, api.asked) == (2, True, [])


def test_json_and_yaml_of_many_pages_are_one_document(skerry: Skerry, fleet: FakeApi) -> None:
    _, out, _ = skerry("get", "nodes", "-o", "json")
    found = json.loads(out)
    assert [one["name"] for one in found] == [f"gw-{at}" for at in range(10)]
    assert out == json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    _, out, _ = skerry("get", "nodes", "-o", "yaml")
    assert [line for line in out.splitlines() if line.startswith("- name:")] == [f"- name: gw-{at}" for at in range(10)]
    fleet.says("GET", "/v1/nodes", [])
    assert skerry("get", "nodes", "-o", "json")[1] == "[]\n"
    assert skerry("get", "nodes", "-o", "yaml")[1] == "[]\n"


def test_the_doctor_looks_at_every_page(skerry: Skerry, fleet: FakeApi) -> None:
    fleet.says("GET", "/v1/nodes", [node(f"gw-{at}", clock_offset_ms=0, aside={}) for at in range(10)])
    skerry("doctor", "-o", "json")
    assert len(pages(fleet)) == 3


@pytest.fixture
def wide(api: FakeApi) -> FakeApi:
    """A service on five nodes, of which one answer tells two: the one in trouble first."""
    api.page_rows = 2
    every = [on(f"gw-{at}", report={"state": "failed" if at == 3 else "running"}) for at in range(5)]
    api.says("GET", "/v1/services/vision", service(on=[every[3], every[0]], has_more=True))
    api.says("GET", "/v1/services/vision/on", every)
    api.says("GET", "/v1/logs/vision", ({"node": "gw-3", "line": "x"},))
    api.says("GET", "/v1/events", ())
    return api


def test_a_service_on_many_nodes_is_told_in_short_and_whole_for_programs(skerry: Skerry, wide: FakeApi) -> None:
    out = skerry("describe", "service", "vision")[1]
    rows = out.partition("on its nodes\n")[2].splitlines()[:3]
    assert [row.split()[0] for row in rows] == ["gw-3", "gw-0", "…"]
    assert "see them all with -o json" in rows[2]
    found = json.loads(skerry("describe", "service", "vision", "-o", "json")[1])
    assert ([one["node"] for one in found["on"]], found["has_more"]) == ([f"gw-{at}" for at in range(5)], False)


def test_apply_waits_for_each_of_many(skerry: Skerry, wide: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    wide.says("POST", "/v1/apply", applied([f"gw-{at}" for at in range(5)]))
    code, out, _ = skerry("apply", "-f", str(tmp_path / "a.yaml"), "--wait", "--timeout", "30s")
    assert (code, "4 of 5 done, 1 failed" in out) == (1, True), out


ROWS = [["eu-north/oslo-gw-7", "online", "a label that is long=yes", "gen 1"], ["日本", "away 3 h", "x", "gen 22"]]


def lines(table: Table, width: int = 200, *, coloured: bool = False) -> list[str]:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=coloured, color_system="standard" if coloured else None
    )
    with console.capture() as capture:
        for page in table.pages(console):
            console.print(page)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_table_is_never_wider_than_the_terminal_and_names_are_cut_last() -> None:
    table = Table(["NODE", "STATE", "LABELS", "DESIRED"], ROWS)
    assert lines(table)[1:] == [
        "eu-north/oslo-gw-7  online    a label that is long=yes  gen 1",
        "日本                away 3 h  x                         gen 22",
    ]
    for width in (45, 50, 55):
        head, first, second = lines(table, width)
        assert head.split()[:2] == ["NODE", "STATE"]
        assert first.startswith("eu-north/oslo-gw-7  online    a l")
        assert "…" in first
        assert second.startswith("日本                away 3 h  x")
    for width in range(4, 80):
        assert all(cell_len(line) <= width for line in lines(table, width))


def test_what_can_be_spared_makes_room_for_the_rest() -> None:
    table = Table(["NODE", "STATE", "LABELS", "DESIRED"], ROWS, spare="LABELS")
    assert lines(table) == lines(Table(["NODE", "STATE", "LABELS", "DESIRED"], ROWS))
    assert lines(table, 40) == [
        "NODE                STATE     DESIRED",
        "eu-north/oslo-gw-7  online    gen 1",
        "日本                away 3 h  gen 22",
    ]


def test_colours_take_no_room_and_follow_what_a_cell_says() -> None:
    plain, coloured = (lines(Table(["NODE", "STATE"], [["a", "online"]]), coloured=one) for one in (False, True))
    assert plain == ["NODE  STATE", "a     online"]
    assert "\x1b[32monline" in coloured[1]


def test_the_pages_of_a_table_are_one_table() -> None:
    rows = [[f"gw-{at}", "online" if at else "quarantined"] for at in range(2 * PAGE_ROWS + 1)]
    shown = lines(Table(["NODE", "STATE"], rows))
    assert [line.split() for line in shown] == [["NODE", "STATE"], *rows]
    assert {line.index(line.split()[1]) for line in shown} == {len("gw-500  ")}
    assert lines(Table(["NODE", "STATE"], [])) == ["NODE  STATE"]


def test_a_list_that_is_shown_live_is_laid_out_as_any_other() -> None:
    table = Table(["NODE", "STATE", "LABELS", "DESIRED"], ROWS)
    console = Console(file=io.StringIO(), width=50, height=10, force_terminal=True, color_system=None)
    with Live(console=console, auto_refresh=False, screen=True):
        widths = [[column.width for column in page.columns] for page in table.pages(console)]
    assert widths == [[column.width for column in page.columns] for page in table.pages(console)]
