"""What a workload is kept from, as it is written, and each way of writing what cannot be meant."""

from __future__ import annotations

import pytest

from protocol import documents
from protocol.spec import compile as compiler
from protocol.spec import load
from tests.unit.spec.test_placement import only, spec
from tests.unit.spec.texts import mistakes, workflow


def test_every_word_arrives_at_the_device_and_is_written_back() -> None:
    more = (
        ", isolation: {required: true, groups: [video], new_privileges: true, read_only: [/etc], private_tmp: true,"
        " network: none, paths: {read: [/srv/a], write: [/srv/b]}, rlimits: {core: 0, stack: 1048576}}"
    )
    found = only(spec("{selector: a}", more))

    assert compiler.assignment(found).process.isolation == documents.Isolation(
        required=True,
        groups=["video"],
        new_privileges=True,
        read_only=["/etc"],
        private_tmp=True,
        no_network=True,
        reads=["/srv/a"],
        writes=["/srv/b"],
        rlimits={"core": 0, "stack": 1_048_576},
    )
    assert load.from_json(found.to_json()) == found
    assert compiler.assignment(only(spec("{selector: a}"))).process.isolation == documents.Isolation()


@pytest.mark.parametrize(
    ("bad", "path", "said"),
    [
        ("{read_only: [etc]}", "spec.isolation.read_only[0]", "is no absolute path"),
        ("{paths: {read: [/a/../b]}}", "spec.isolation.paths.read[0]", "is no absolute path"),
        ("{paths: {write: [//a]}}", "spec.isolation.paths.write[0]", "is no absolute path"),
        ("{groups: [-x]}", "spec.isolation.groups[0]", "is no group"),
        ("{rlimits: {cores: 0}}", "spec.isolation.rlimits.cores", "is no limit: write one of as, core"),
        ("{network: off}", "spec.isolation.network", ""),
        ("{privatetmp: true}", "spec.isolation.privatetmp", 'did you mean "private_tmp"'),
    ],
)
def test_what_cannot_be_meant_is_named(bad: str, path: str, said: str) -> None:
    (found,) = mistakes(spec("{selector: a}", f", isolation: {bad}"))

    assert found.path.startswith(path)
    assert said in found.text


def test_what_has_no_network_cannot_be_asked_over_one() -> None:
    more = ', isolation: {network: none}, health: {http: "http://127.0.0.1:80/"}'
    (found,) = mistakes(spec("{selector: a}", more))

    assert "probe it by exec" in found.text


def test_a_step_s_own_words_stand_before_those_of_its_workflow_each_for_itself() -> None:
    steps = """[
      {name: a, run: [a]},
      {name: b, run: [b], user: bob, isolation: {network: host, groups: [video]}, resources: {memory: 1Mi}},
      {name: c, needs: [a], set: {x: "1"}}]"""
    more = "  isolation: {network: none, private_tmp: true, required: true}\n  resources: {cpu: 2}\n  user: amy\n"
    found = only(workflow(steps, more))

    made = compiler.workflow(found)

    assert (made.user, made.limits) == ("amy", documents.Limits(cpu=2.0))
    assert made.isolation == documents.Isolation(no_network=True, private_tmp=True, required=True)
    first, second, third = made.steps
    assert (
        (first.user, first.limits, first.isolation) == (third.user, third.limits, third.isolation) == ("", None, None)
    )
    assert (second.user, second.limits) == ("bob", documents.Limits(cpu=2.0, memory_bytes=1_048_576))
    assert second.isolation == documents.Isolation(private_tmp=True, required=True, groups=["video"])
    assert compiler.document(load.from_json(found.to_json())) == made, "a default that was written is kept"
    assert documents.decode(documents.encode(made)) == made


@pytest.mark.parametrize(
    ("steps", "line", "path", "said"),
    [
        ("[{name: a, run: [a], isolation: {netwrok: none}}]", 6, "isolation.netwrok", 'did you mean "network"'),
        ("[{name: a, run: [a], isolation: {read_only: [etc]}}]", 6, "isolation.read_only[0]", "is no absolute path"),
        ("[{name: a, run: [a], resources: {memory: much}}]", 6, "resources.memory", ""),
        ("[{name: a, run: [a], user: -x}]", 6, "user", "is no user"),
        ("[{name: a, set: {x: y}, isolation: {}}]", 6, "", "only sets values runs nothing"),
    ],
)
def test_what_a_step_cannot_mean_is_named_where_it_stands(steps: str, line: int, path: str, said: str) -> None:
    (found,) = mistakes(workflow(steps))

    assert found.path.startswith(f"spec.steps[0]{'.' if path else ''}{path}")
    assert found.line == line
    assert said in found.text
