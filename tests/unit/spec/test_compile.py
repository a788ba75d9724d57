"""From the operator's language to the agent's."""

import json
from pathlib import Path

from protocol import documents, limits
from protocol.spec import compile as compiler
from protocol.spec import load, schema
from protocol.spec.service import Service
from protocol.spec.workflow import Workflow
from tests.unit.spec.texts import SERVICE, WORKFLOW, loaded, service, workflow

ROOT = Path(__file__).parents[3]


def a_service(text: str) -> Service:
    """Return the only service of `text`."""
    (found,) = loaded(text).documents
    assert isinstance(found, Service)
    return found


def test_a_service_becomes_an_assignment() -> None:
    found = a_service(SERVICE)
    assert compiler.placement(found) == compiler.Placement(selector="site=oslo,gpu", count=None)
    assert compiler.document(found) == documents.Assignment(
        service="line-vision",
        process=documents.Process(
            command=["python3", "-u", "watch.py"],
            artifact="./line-vision",
            env={"RATE": "5"},
            user="nobody",
            limits=documents.Limits(memory_bytes=256 * limits.MIB, cpu=0.5),
        ),
        health=documents.Probe(exec=["./probe"]),
        labels={"team": "qa"},
    )


def test_every_field_of_a_service_arrives() -> None:
    spec = """{
      process: {command: [run, 5], env: {A: 1.10, B: true}, cwd: sub},
      placement: {selector: a, count: 2},
      restart: {policy: on-failure, backoff: 2s},
      health: {http: "http://127.0.0.1:8080/ok", interval: 1m, timeout: 2s, delay: 3s, failures: 4, successes: 5,
               restart: true},
      files: [{path: a/b, text: hi, mode: 0755}],
      resources: {open_files: 64, processes: 8},
      stop: {grace: 1m}, logs: {ship: true}}"""
    found = compiler.assignment(a_service(service(spec)))
    assert found == documents.Assignment(
        service="x",
        process=documents.Process(
            command=["run", "5"],
            env={"A": "1.10", "B": "true"},
            cwd="sub",
            files=[documents.InlineFile(path="a/b", text="hi", mode=0o755)],
            limits=documents.Limits(open_files=64, processes=8),
        ),
        restart="on-failure",
        backoff=documents.Backoff(min_s=2.0, max_s=2.0),
        health=documents.Probe(
            http="http://127.0.0.1:8080/ok", interval_s=60.0, timeout_s=2.0, delay_s=3.0, failures=4, successes=5
        ),
        restart_unhealthy=True,
        stop_grace_s=60.0,
        ship_logs=True,
    )
    assert compiler.placement(a_service(service(spec))).count == 2


def test_a_workflow_becomes_the_agents_graph() -> None:
    (found,) = loaded(WORKFLOW).documents
    assert compiler.document(found) == documents.Workflow(
        workflow="shift-report",
        artifact="./shift-report",
        triggers=[documents.Cron(cron="0 6,14,22 * * *", timezone="Europe/Oslo")],
        steps=[
            documents.Step(
                name="collect",
                run=["./collect.sh"],
                timeout_s=120.0,
                retry=documents.Retry(attempts=3, min_s=5.0, max_s=60.0),
            ),
            documents.Step(name="summarise", needs=["collect"], run=["python3", "summarise.py"]),
            documents.Step(name="publish", needs=["summarise"], run=["./publish"], interrupted="retry"),
        ],
    )


def test_conditions_outputs_and_parameters_arrive() -> None:
    steps = """[{name: a, set: {x: y}},
      {name: b, needs: [a], run: [z], env: {E: e}, when: [{step: a, is: ok}, {step: a, output: x, equals: 5}]}]"""
    (found,) = loaded(workflow(steps, "  params: {p: 1}\n  env: {G: g}\n  user: nobody\n  concurrency: 3\n")).documents
    assert isinstance(found, Workflow)
    made = compiler.workflow(found)
    assert made.steps[0].set == {"x": "y"}
    assert made.steps[1].when == [
        documents.Condition(step="a", is_="ok"),
        documents.Condition(step="a", output="x", equals="5"),
    ]
    assert (made.params, made.env, made.user, made.concurrency) == ({"p": "1"}, {"G": "g"}, "nobody", 3)


def test_what_is_compiled_is_a_document_that_reads_back() -> None:
    for found in loaded(SERVICE, WORKFLOW).documents:
        made = compiler.document(found)
        assert made is not None
        assert documents.decode(documents.encode(made)) == made


def test_only_what_runs_is_in_the_runtime_part() -> None:
    moved = a_service(SERVICE.replace("site=oslo,gpu", "site=bergen").replace("team: qa", "team: ops"))
    assert compiler.assignment(moved).process == compiler.assignment(a_service(SERVICE)).process


def test_the_examples_load() -> None:
    for path in sorted((ROOT / "config/examples").rglob("*.yaml")):
        found = load.load([load.Source(name=path.name, text=path.read_text())])
        assert not found.mistakes
        assert found.documents


def test_the_schema_for_editors_is_written_down() -> None:
    written = json.loads((ROOT / "config/schema.json").read_text())
    assert written == schema.schema(), "write it anew: skerry schema > config/schema.json"


def test_what_is_read_for_the_device_where_it_is_need_not_say_where_it_is_placed() -> None:
    text = "apiVersion: skerry/v1\nkind: Service\nmetadata: {name: own}\nspec: {process: {command: [x]}}\n"
    source = load.Source(name="own.yaml", text=text)
    assert [one.text for one in load.load([source]).mistakes] == ['"placement" is missing']
    (own,) = load.load([source], is_local=True).documents
    assert (own.name, compiler.placement(own).selector) == ("own", "*")
    wrong = load.Source(name="own.yaml", text="kind: Service\nspec: 1\n")
    assert load.load([wrong], is_local=True).mistakes
