"""Cross-checks of a workflow's steps."""

import pytest

from protocol.spec import load
from protocol.spec.mistakes import Mistake
from tests.unit.spec.texts import loaded, mistakes, workflow


def only(steps: str, more: str = "") -> Mistake:
    """Return the only mistake of a workflow."""
    (found,) = mistakes(workflow(steps, more))
    return found


def test_a_cycle_is_named_by_its_steps() -> None:
    found = only("[{name: a, run: [x], needs: [c]}, {name: b, run: [x], needs: [a]}, {name: c, run: [x], needs: [b]}]")
    assert (found.line, found.path) == (6, "spec.steps[0].needs")
    assert found.text == "the steps need each other in a ring: a -> c -> b -> a"


def test_a_step_that_leads_into_a_cycle_is_not_part_of_it() -> None:
    found = only("[{name: a, run: [x], needs: [b]}, {name: b, run: [x], needs: [c]}, {name: c, run: [x], needs: [b]}]")
    assert "b -> c -> b" in found.text


def test_a_step_cannot_need_itself() -> None:
    assert "needs itself" in only("[{name: a, run: [x], needs: [a]}]").text


def test_names_of_steps_are_unique() -> None:
    found = only("[{name: a, run: [x]}, {name: a, run: [x]}]")
    assert found.path == "spec.steps[1].name"


def test_a_long_chain_is_checked_without_a_deep_stack() -> None:
    steps = [{"name": f"s{i}", "run": ["x"], "needs": [f"s{i - 1}"] if i else []} for i in range(600)]
    spec = {"placement": {"selector": "site=oslo", "count": "all"}, "steps": steps}
    assert load.from_json({"apiVersion": "skerry/v1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": spec})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${params.windo}", 'there is no parameter "windo"; did you mean "window"?'),
        ("${steps.on.outputs.x}", 'step "on" does not exist; did you mean "one"?'),
        ("${steps.two.outputs.x}", 'step "two" may not be over when "three" starts: add it to needs of "three"'),
        ("${steps.one.outputs.y}", 'step "one" sets no "y"'),
        ("${step.one.outputs.x}", '"${step.one.outputs.x}" refers to nothing'),
        ("${params.window.x}", "refers to nothing"),
    ],
)
def test_a_reference_must_refer_to_something_that_is_there_by_then(text: str, said: str) -> None:
    steps = "[{name: one, set: {x: a}}, {name: two, run: [x]}, {name: three, needs: [one], run: [echo, 'TEXT']}]"
    found = only(steps.replace("TEXT", text), "  params: {window: 5}\n")
    assert found.path == "spec.steps[2].run[1]"
    assert said in found.text


def test_good_references_and_the_shells_own_variables_pass() -> None:
    steps = """[
        {name: one, set: {x: "a ${params.window}"}},
        {name: two, needs: [one], run: [sh, -c, "echo ${HOME} ${x%.y} $1"], env: {A: "${steps.one.outputs.x}"}},
        {name: three, needs: [two], run: [echo, "${steps.one.outputs.x} ${steps.two.outputs.any}"]}]"""
    assert not loaded(workflow(steps, "  params: {window: 5}\n  env: {W: '${params.window}'}\n")).mistakes


def test_set_knows_no_shell() -> None:
    assert '"${HOME}" refers to nothing' in only("[{name: one, set: {x: '${HOME}'}}]").text


def test_the_environment_of_all_steps_refers_to_parameters_only() -> None:
    found = only("[{name: one, set: {x: a}}]", "  env: {A: '${steps.one.outputs.x}'}\n")
    assert found.path == "spec.env.A"
    assert "write it at the step" in found.text


def test_conditions_look_back_only() -> None:
    found = only("[{name: a, run: [x]}, {name: b, run: [x], when: [{step: a, is: ok}]}]")
    assert found.path == "spec.steps[1].when[0].step"
    assert 'step "c" does not exist' in only("[{name: b, run: [x], when: {step: c, is: ok}}]").text
    found = only("[{name: a, set: {x: y}}, {name: b, needs: [a], run: [x], when: {step: a, output: z, equals: y}}]")
    assert 'step "a" sets no "z"' in found.text
    assert not loaded(
        workflow("[{name: a, run: [x]}, {name: b, needs: [a], run: [x], when: {step: a, is: failed}}]")
    ).mistakes


def test_a_condition_and_a_step_do_one_thing() -> None:
    assert "write either is" in only("[{name: a, run: [x]}, {name: b, needs: [a], run: [x], when: [{step: a}]}]").text
    assert "write either run" in only("[{name: a}]").text
    assert "write either run" in only("[{name: a, run: [x], set: {b: c}}]").text


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ('{cron: "0 25 * * *"}', "bad hour; write five fields"),
        ('{cron: "* *"}', "wrong number of fields"),
        ('{cron: "0 0 30 2 *"}', "bad day-of-month"),
        ('{cron: "0 6 * * *", timezone: Europe/Olso}', 'did you mean "Europe/Oslo"?'),
        ('{cron: "0 6 * * *", timezone: qqq}', "write one like Europe/Oslo"),
        ('{cron: "0 6 * * *", catch_up: lst}', 'did you mean "last"?'),
    ],
)
def test_a_trigger_is_checked_where_it_is_written(trigger: str, said: str) -> None:
    found = only("[{name: a, run: [x]}]", f"  triggers: [{trigger}]\n")
    assert found.line == 7
    assert said in found.text


def test_six_fields_have_seconds_first() -> None:
    assert not loaded(workflow("[{name: a, run: [x]}]", '  triggers: [{cron: "*/5 * * * * *"}]\n')).mistakes
