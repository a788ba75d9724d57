"""A device below another hub: as it answers now, and else as it was last known."""

from __future__ import annotations

from typing import Any

from tests.unit.cli.conftest import Skerry
from tests.unit.cli.fake_api import FakeApi, node

PATH = "/v1/nodes/eu/gw-1"
VITALS = {"cpu": 0.4, "memory_used": 410_000_000, "memory_total": 2_000_000_000, "time_ms": 1_700_000_000_000}


def below(**more: Any) -> dict[str, Any]:
    far: dict[str, Any] = {
        "address": "eu/gw-1",
        "path": "cloud/eu/gw-1",
        "through": "eu",
        "vitals": None,
        "platform": {},
    }
    return node("gw-1", **far, **more)


def test_a_device_below_a_region_is_asked_how_it_is(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", PATH, below())
    services = {"vision": {"state": "backoff", "last_exit": "code 3", "restarts": 4}}
    api.says("GET", "/v1/status/eu/gw-1", {"vitals": VITALS, "platform": {"arch": "arm64"}, "services": services})
    api.says("GET", "/v1/logs/vision", ())
    api.says("GET", "/v1/events", ())
    _, out, _ = skerry("describe", "node", "eu/gw-1")
    assert "cpu 40 %, memory 410 MB of 2.0 GB (last known, as of 14 Nov 2023 22:13)\n" in out
    assert "arch arm64" in out
    assert "last exit code 3" in out


def test_what_a_device_calls_its_services_hides_nothing_else_of_it(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", PATH, below())
    odd = {"state": "backoff", "last_exit": "\x1b[2J"}
    api.says("GET", "/v1/status/eu/gw-1", {"vitals": VITALS, "services": {"../../tokens": odd, "a/b\x1b[2J": odd}})
    api.says("GET", "/v1/events", ())
    code, out, err = skerry("describe", "node", "eu/gw-1")
    assert code == 0, err
    assert "memory 410 MB of 2.0 GB" in out
    assert "is no name" in out
    assert "\x1b" not in out
    assert not [path for _, path, _ in api.asked if "tokens" in path]


def test_one_that_cannot_be_asked_shows_what_it_told_last_and_as_of_when(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", PATH, below())
    api.says("GET", "/v1/status/eu/gw-1", {"error": "it did not answer within 3 s"}, 504)
    api.says("GET", "/v1/events", ({"body": VITALS, "kind": "vitals", "time_ms": 1, "key": ""},))
    code, out, _ = skerry("describe", "node", "eu/gw-1")
    assert code == 0
    assert "memory 410 MB of 2.0 GB (last known, as of 14 Nov 2023 22:13)\n" in out
    api.says("GET", PATH, below(state="unheard", silent="eu"))
    api.asked.clear()
    assert skerry("describe", "node", "eu/gw-1")[1].count("memory 410 MB of 2.0 GB (last known") == 1
    assert not [path for _, path, _ in api.asked if path.startswith("/v1/status")]


def test_vitals_that_cannot_be_read_are_left_out(skerry: Skerry, api: FakeApi) -> None:
    api.says("GET", PATH, below(state="away"))
    for told in ((), ({"body": {"cpu": "hot"}, "kind": "vitals", "time_ms": 1, "key": ""},)):
        api.says("GET", "/v1/events", told)
        code, out, _ = skerry("describe", "node", "eu/gw-1")
        assert code == 0
        assert "vitals         –\n" in out


def test_events_tell_vitals_in_units(skerry: Skerry, api: FakeApi) -> None:
    one = {
        "id": "1",
        "time_ms": 1,
        "node": "gw-1",
        "stream": "metrics",
        "kind": "vitals",
        "key": "",
        "path": "cloud/gw-1",
    }
    odd = one | {"body": {"cpu": "hot"}}
    api.says("GET", "/v1/events", (one | {"body": VITALS}, odd))
    code, out, err = skerry("events")
    assert code == 0, err
    assert "cpu 40 %, memory 410 MB of 2.0 GB" in out
    assert "cpu=hot" in out
