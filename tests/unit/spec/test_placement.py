"""Where something is to be, and what being cut off means: as people write it, and as it is kept."""

from typing import Any

import pytest

from protocol import documents
from protocol.spec import compile as compiler
from protocol.spec import load
from protocol.spec.placement import Count
from tests.unit.spec.texts import WORKFLOW, loaded, mistakes, service


def spec(placement: str, more: str = "") -> str:
    return service(f"{{process: {{command: [a]}}, placement: {placement}{more}}}")


def only(text: str) -> Any:
    found = loaded(text)
    assert not found.mistakes, found.mistakes
    return found.documents[0]


@pytest.mark.parametrize(
    ("written", "number", "per_region"),
    [
        ("all", None, False),
        ("7", 7, False),
        ("total 7", 7, False),
        ('"total 7"', 7, False),
        ("2 per region", 2, True),
    ],
)
def test_a_count_reads_as_people_say_it(written: str, number: int | None, per_region: bool) -> None:
    found = only(spec(f"{{selector: a, count: {written}}}"))
    assert found.spec.placement.count == Count(number, per_region)
    assert Count.read(found.spec.placement.count.written()) == found.spec.placement.count
    again = load.from_json(found.to_json())
    assert compiler.placement(again) == compiler.placement(found)


@pytest.mark.parametrize("bad", ["none", "0", "-1", "1.5", "2 per site", "total", "true", "[1]", "0 per region"])
def test_what_is_no_count_says_what_to_write(bad: str) -> None:
    (found,) = mistakes(spec(f"{{selector: a, count: {bad}}}"))
    assert found.path == "spec.placement.count"
    assert "2 per region" in found.text


def test_regions_and_spread_arrive_in_the_hubs_words() -> None:
    found = only(spec('{regions: "continent=eu", selector: gpu, count: total 7, spread: [site]}'))
    assert compiler.placement(found) == compiler.Placement(
        selector="gpu", count=7, regions="continent=eu", spread=("site",)
    )
    plain = compiler.placement(only(spec("{selector: gpu}")))
    assert (plain.regions, plain.spread) == (None, ("region", "site"))


def test_a_spread_names_each_key_once() -> None:
    (found,) = mistakes(spec("{selector: a, spread: [site, site]}"))
    assert "stands twice" in found.text


def test_what_being_cut_off_means_is_parted_between_device_and_hub() -> None:
    more = (
        ", disconnect: {device: {stop_after: 24h}, hub: {replace_after: 10m},"
        " on_return: keep_newest, at_most_one: true}"
    )
    found = only(spec("{selector: a, count: 1}", more))
    assert compiler.assignment(found).lease == documents.Lease(stop_after_s=86_400.0, at_most_one=True)
    assert compiler.disconnect(found) == documents.Disconnect(
        replace_after_s=600.0, on_return="keep_newest", at_most_one=True
    )
    again = load.from_json(found.to_json())
    assert again == found
    brief = only(spec("{selector: a}", ', disconnect: {device: "stop_after: 1d", hub: wait}'))
    assert brief.spec.disconnect.device == 86_400.0
    assert compiler.disconnect(only(spec("{selector: a}"))) == documents.Disconnect()
    kept = only(spec("{selector: a}", ", disconnect: {device: keep, hub: wait}"))
    assert compiler.assignment(kept).lease == documents.Lease()


@pytest.mark.parametrize(
    ("bad", "path", "said"),
    [
        ("{device: stop}", "spec.disconnect.device", "write keep, or {stop_after: 24h}"),
        ("{device: {stop_after: 3}}", "spec.disconnect.device", "is no duration"),
        ("{hub: {replace_after: 1s}}", "spec.disconnect.hub", "out of bounds"),
        ("{hub: {replace: 10m}}", "spec.disconnect.hub", "write wait, or {replace_after: 24h}"),
        ("{on_return: keep_newst}", "spec.disconnect.on_return", 'did you mean "keep_newest"'),
        ("{at_most_one: true, on_return: keep_both}", "spec.disconnect", "contradict each other"),
    ],
)
def test_what_cannot_be_meant_is_named(bad: str, path: str, said: str) -> None:
    (found,) = mistakes(spec("{selector: a}", f", disconnect: {bad}"))
    assert found.path == path
    assert said in found.text


def test_a_workflow_is_never_replaced() -> None:
    assert compiler.disconnect(only(WORKFLOW)) == documents.Disconnect()
