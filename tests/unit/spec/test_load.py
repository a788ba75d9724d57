"""From files to resources, or to every mistake with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import errors, limits
from protocol.spec import load
from protocol.spec.mistakes import Mistake
from tests.unit.spec.texts import SERVICE, WORKFLOW, loaded, mistakes, service

FIVE = """\
apiVersion: skerry/v1
kind: Workflow
metadata: {name: Shift_Report}
spec:
  placement:
    selector: "site=oslo and gpu"
  restrat: always
  triggers: [{cron: "0 6 * * *", timezone: Europe/Olso}]
  steps:
    - {name: summarise, run: [./sum]}
    - {name: publish, needs: [sumarise], run: [./publish]}
"""


def places(found: list[Mistake]) -> list[tuple[int, int, str]]:
    """Return where mistakes are."""
    return [(one.line, one.column, one.path) for one in found]


def test_both_kinds_load_from_one_file() -> None:
    found = loaded(SERVICE + "---\n" + WORKFLOW)
    assert not found.mistakes
    assert [(one.kind, one.name) for one in found.documents] == [
        ("Service", "line-vision"),
        ("Workflow", "shift-report"),
    ]
    assert found.files == ["a.yaml", "a.yaml"]


def test_five_mistakes_are_all_named_with_line_and_column() -> None:
    found = mistakes(FIVE)
    assert places(found) == [
        (3, 18, "metadata.name"),
        (6, 15, "spec.placement.selector"),
        (7, 3, "spec.restrat"),
        (8, 44, "spec.triggers[0].timezone"),
        (11, 31, "spec.steps[1].needs[0]"),
    ]
    texts = [one.text for one in found]
    assert "lower-case" in texts[0]
    assert 'write "site=oslo,gpu"' in texts[1]
    assert "no such field" in texts[2]
    assert 'did you mean "Europe/Oslo"?' in texts[3]
    assert texts[4] == 'step "sumarise" does not exist; did you mean "summarise"?'


def test_an_unknown_field_gets_the_closest_known_one() -> None:
    found = mistakes(SERVICE.replace("restart:", "restrat:").replace("cpu:", "cpus:"))
    assert [(one.path, one.text) for one in found] == [
        ("spec.restrat", 'no such field; did you mean "restart"?'),
        ("spec.resources.cpus", 'no such field; did you mean "cpu"?'),
    ]


def test_an_unknown_field_that_is_like_nothing_lists_what_there_is() -> None:
    (found,) = mistakes(SERVICE.replace("cpu: 0.5", "zzz: 1"))
    assert found.text == "no such field; there are memory, cpu, open_files, processes"


@pytest.mark.parametrize(
    ("spec", "path", "text"),
    [
        (
            "{process: {command: ls -l}, placement: {selector: a}}",
            "spec.process.command",
            "write the command as a list",
        ),
        ("{process: {command: []}, placement: {selector: a}}", "spec.process.command", "is empty"),
        (
            "{process: {command: [1, [2]]}, placement: {selector: a}}",
            "spec.process.command[1]",
            "write a text, not a list",
        ),
        (
            "{process: {command: [a], env: {a-b: 1}}, placement: {selector: a}}",
            "spec.process.env.a-b",
            "no name of a var",
        ),
        ("{process: {command: [a], cwd: ../b}, placement: {selector: a}}", "spec.process.cwd", "leaves the working"),
        ("{process: {command: [a], user: 'a b'}, placement: {selector: a}}", "spec.process.user", "is no user"),
        ('{process: {command: ["a\\0"]}, placement: {selector: a}}', "spec.process.command[0]", "NUL"),
        ("{process: {command: [a]}}", "spec.placement", '"placement" is missing'),
        ("{process: {command: [a]}, placement: 3}", "spec.placement", 'write a mapping, not "3"'),
        ("{process: {command: [a]}, placement: {selector: a, count: 0}}", "spec.placement.count", "is no count"),
        ("{process: {command: [a]}, placement: {selector: a, count: no}}", "spec.placement.count", "is no count"),
        ("{process: {command: [a]}, placement: {selector: a}, health: {}}", "spec.health", "write either exec"),
        (
            "{process: {command: [a]}, placement: {selector: a}, health: {http: 'http://example.com/'}}",
            "spec.health.http",
            "asks the device itself",
        ),
        ("{process: {command: [a]}, placement: {selector: a}, stop: {grace: 1y}}", "spec.stop.grace", "is no duration"),
        ("{process: {command: [a]}, placement: {selector: a}, stop: {grace: 1h}}", "spec.stop.grace", "out of bounds"),
        ("{process: {command: [a]}, placement: {selector: a}, restart: 5}", "spec.restart", "write a mapping"),
        (
            "{process: {command: [a]}, placement: {selector: a}, restart: {policy: alwys}}",
            "spec.restart.policy",
            'did you mean "always"?',
        ),
        ("{process: {command: [a]}, placement: {selector: a}, logs: {ship: 7}}", "spec.logs.ship", "true or false"),
        ("{process: {command: [a]}, placement: {selector: a}, resources: {cpu: x}}", "spec.resources.cpu", "a number"),
        (
            "{process: {command: [a]}, placement: {selector: a}, resources: {cpu: -1}}",
            "spec.resources.cpu",
            "should be",
        ),
        (
            "{process: {command: [a]}, placement: {selector: a}, files: [{path: a, text: b, mode: 999}]}",
            "spec.files[0].mode",
            "is no mode",
        ),
        (
            "{process: {command: [a]}, placement: {selector: a}, isolation: {rlimits: {fsize: 9007199254740992}}}",
            "spec.isolation.rlimits.fsize",
            "less than or equal to 9007199254740991",
        ),
        ("null", "spec", "write a mapping, not a null"),
    ],
)
def test_what_is_wrong_is_said_in_words(spec: str, path: str, text: str) -> None:
    (found,) = mistakes(service(spec))
    assert found.path == path
    assert text in found.text
    assert found.line in (4, 5)


def test_labels_have_a_grammar_and_a_bound() -> None:
    bad = service("{process: {command: [a]}, placement: {selector: a}}").replace(
        "name: x", "name: x, labels: {a b: c d}"
    )
    assert {one.path for one in mistakes(bad)} == {"metadata.labels.a b"}
    many = ", ".join(f"k{i}: v" for i in range(limits.LABELS_MAX + 1))
    (found,) = mistakes(bad.replace("a b: c d", many))
    assert found.text == "has too many items: at most 64 are allowed"


def test_a_document_says_its_version_and_kind() -> None:
    assert mistakes("kind: Service\nmetadata: {name: x}\nspec: {}")[0].text.startswith('"apiVersion" is missing')
    assert mistakes("apiVersion: skerry/v2\nkind: service")[0].text.endswith('did you mean "Service"?')
    assert "write one of Service, Workflow" in mistakes("a: 1")[0].text
    assert "is no kind of document" in mistakes("kind: [1]")[0].text
    assert "this is a list" in mistakes("- 1")[0].text


def test_two_documents_of_one_name_are_refused_with_both_places() -> None:
    (found,) = mistakes(SERVICE, SERVICE)
    assert (found.file, found.line) == ("b.yaml", 1)
    assert "declared twice, first at a.yaml:1" in found.text


def test_a_document_too_large_for_a_link_says_so() -> None:
    text = "x" * (limits.DOCUMENT_BYTES_MAX + 1)
    big = service(f"{{process: {{command: [{text}]}}, placement: {{selector: a}}}}")
    (found,) = mistakes(big)
    assert "put large files into its artifact" in found.text


def test_inline_files_that_no_device_would_write_are_refused_here() -> None:
    half = "é" * (limits.FILES_INLINE_BYTES_MAX // 4)
    two = "[{path: f, text: TEXT}, {path: g, text: TEXTx}]".replace("TEXT", half)
    (found,) = mistakes(service(f"{{process: {{command: [a]}}, placement: {{selector: a}}, files: {two}}}"))
    assert found.path == "spec.files"
    assert "64 KiB in all: put them into the artifact" in found.text


def test_too_much_text_is_refused_before_it_is_parsed() -> None:
    (found,) = mistakes("x" * (limits.SPEC_BYTES_MAX + 1))
    assert "apply fewer files" in found.text


def test_too_many_documents_are_refused() -> None:
    found = mistakes("---\nkind: Service\n" * (limits.SPEC_DOCUMENTS_MAX + 1))
    assert len(found) == limits.MISTAKES_MAX
    good = "---\n".join(
        service("{process: {command: [a]}, placement: {selector: a}}").replace("name: x", f"name: x{i}")
        for i in range(limits.SPEC_DOCUMENTS_MAX + 1)
    )
    assert f"more than {limits.SPEC_DOCUMENTS_MAX} documents" in mistakes(good)[0].text


def test_a_file_without_a_document_is_a_mistake_and_empty_ones_between_are_not() -> None:
    assert "no document" in mistakes("# nothing\n")[0].text
    assert not loaded("---\n---\n" + SERVICE + "---\n").mistakes


def test_what_is_written_comes_back_from_its_canonical_form() -> None:
    for resource in loaded(SERVICE, WORKFLOW).documents:
        value = resource.to_json()
        again = load.from_json(value)
        assert again == resource
        assert again.to_json() == value


def test_the_canonical_form_leaves_out_what_is_the_default() -> None:
    (resource,) = loaded(SERVICE).documents
    spec = resource.to_json()["spec"]
    assert spec["health"] == {"exec": ["./probe"]}
    assert spec["placement"] == {"selector": "site=oslo,gpu"}
    assert spec["resources"] == {"memory": "256Mi", "cpu": 0.5}
    assert "restart" not in spec


def test_a_stored_document_that_is_wrong_says_where() -> None:
    with pytest.raises(errors.SpecError, match=r"spec\.process: "):
        load.from_json(
            {"apiVersion": "skerry/v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"process": 1}}
        )


DIGEST = "sha256:" + "a" * 64


def artifact(document: load.AnyResource) -> str:
    return document.to_json()["spec"]["artifact"]


def test_artifacts_become_digests_by_their_path_or_by_file_and_path() -> None:
    (one,) = loaded(SERVICE, artifacts={"./line-vision": DIGEST}).documents
    (two,) = loaded(SERVICE, artifacts={"a.yaml:./line-vision": DIGEST}).documents
    assert artifact(one) == artifact(two) == DIGEST
    (kept,) = loaded(SERVICE.replace("./line-vision", DIGEST), artifacts={}).documents
    assert artifact(kept) == DIGEST


def test_an_artifact_that_did_not_come_along_is_a_mistake() -> None:
    (found,) = loaded(SERVICE, artifacts={}).mistakes
    assert (found.line, found.path) == (5, "spec.artifact")
    assert "did not come along" in found.text


@given(st.text(alphabet="apiVerson: skry/v1\nkd[]{},-&*#?|>'\"!%@`~0.", max_size=80))
def test_no_text_breaks_the_loader(text: str) -> None:
    found = loaded(text)
    assert found.documents or found.mistakes


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "steps", "needs", "when", "run", "set", "spec", "step"]), inner)
        ),
        max_leaves=12,
    )
)
def test_no_tree_breaks_the_checks(tree: object) -> None:
    frame = {"apiVersion": "skerry/v1", "kind": "Workflow", "metadata": {"name": "x"}}
    for value in ({**frame, "spec": tree}, {**frame, "spec": {"steps": tree}}, {**frame, "spec": {"steps": [tree]}}):
        with pytest.raises(errors.SpecError):
            load.from_json(value)
