"""Policies narrow, whatever they say: what is in force is never wider than what was inherited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocol.errors import Refused
from protocol.spec import compile as compiler
from protocol.spec import load
from protocol.spec.policy import EXTENTS, Policy, PolicySpec, Rules, meet, narrow, rules, widened
from tests.unit.spec.texts import loaded, mistakes

USERS = ("app", "nobody", "root")
STREAMS = ("logs", "metrics", "state")
DEEDS = ("apply", "override", "run")


def policy(spec: dict[str, Any], name: str = "thrift") -> Policy:
    frame = {"apiVersion": "skerry/v1", "kind": "Policy", "metadata": {"name": name}}
    found = load.from_json(frame | {"spec": spec})
    assert isinstance(found, Policy)
    return found


def text(spec: str) -> str:
    return f"apiVersion: skerry/v1\nkind: Policy\nmetadata: {{name: thrift}}\nspec: {spec}\n"


@some.composite
def policies(draw: some.DrawFn) -> Policy:
    """Any policy at all."""
    spec: dict[str, Any] = {}
    spec["forward"] = draw(
        some.dictionaries(some.sampled_from(("state", "metrics", "logs")), some.sampled_from(EXTENTS))
    )
    allow: dict[str, Any] = {}
    if draw(some.booleans()):
        allow["users"] = draw(some.lists(some.sampled_from(USERS), min_size=1, unique=True))
    if draw(some.booleans()):
        allow["services"] = draw(some.integers(0, 5))
    if draw(some.booleans()):
        spec["may"] = draw(some.lists(some.sampled_from(DEEDS), unique=True))
    return policy(spec | {"allow": allow})


def is_within(inner: Rules, outer: Rules) -> bool:
    """Tell whether `inner` allows nothing that `outer` does not: asked deed by deed, not by how it is computed."""
    deeds = [(inner.users is None or user in inner.users, outer.users is None or user in outer.users) for user in USERS]
    deeds += [(inner.may is None or deed in inner.may, outer.may is None or deed in outer.may) for deed in DEEDS]
    deeds += [
        (inner.services is None or count <= inner.services, outer.services is None or count <= outer.services)
        for count in range(7)
    ]
    deeds += [
        (EXTENTS.index(inner.forwarded(stream)) >= extent, EXTENTS.index(outer.forwarded(stream)) >= extent)
        for stream in STREAMS
        for extent in range(len(EXTENTS))
    ]
    return all(outer_may or not inner_may for inner_may, outer_may in deeds)


@given(policies(), policies())
def test_what_is_in_force_is_never_wider_than_what_was_inherited(above: Policy, below: Policy) -> None:
    parent = rules(above)
    try:
        found = narrow(parent, below)
    except Refused:
        assert not is_within(rules(below), parent)
        return
    assert is_within(found, parent)
    assert is_within(found, rules(below))


@given(policies(), policies())
def test_a_policy_is_refused_exactly_if_what_it_says_is_wider(above: Policy, below: Policy) -> None:
    parent, own = rules(above), rules(below)
    said = Rules(
        forward={stream: (own if stream in below.spec.forward else parent).forwarded(stream) for stream in STREAMS},
        users=own.users if own.users is not None else parent.users,
        services=own.services if own.services is not None else parent.services,
        may=own.may if own.may is not None else parent.may,
    )
    assert bool(widened(parent, below)) == (not is_within(said, parent))


@given(policies(), policies(), policies())
def test_the_order_in_which_policies_are_met_does_not_matter(one: Policy, two: Policy, three: Policy) -> None:
    a, b, c = rules(one), rules(two), rules(three)
    assert meet(a, b) == meet(b, a)
    assert meet(meet(a, b), c) == meet(a, meet(b, c))
    assert meet(a, a) == a == meet(a, Rules())


@given(policies(), policies(), policies())
def test_what_a_chain_of_hubs_comes_to_is_within_each_of_them(one: Policy, two: Policy, three: Policy) -> None:
    chain = meet(meet(rules(one), rules(two)), rules(three))
    assert all(is_within(chain, rules(each)) for each in (one, two, three))


@given(policies())
def test_a_policy_reads_back(one: Policy) -> None:
    assert rules(policy(one.to_json()["spec"])) == rules(one) if "spec" in one.to_json() else one.spec == PolicySpec()


def test_everything_that_widens_is_named_at_once() -> None:
    parent = rules(policy({"forward": {"metrics": "summary"}, "allow": {"users": ["app"], "services": 2}, "may": []}))
    below = policy({"forward": {"metrics": "all"}, "allow": {"users": ["root", "app"], "services": 9}, "may": ["run"]})
    with pytest.raises(Refused) as refused:
        narrow(parent, below)
    assert str(refused.value) == (
        "policy/thrift allows more than it inherited: forward.metrics: all (allowed: summary); allow.services: 9 "
        "(allowed: 2); allow.users: root (allowed: app); may: run (allowed: nothing): a policy only narrows"
    )


def test_a_policy_is_for_hubs_and_has_no_document_for_a_device() -> None:
    (found,) = loaded(text('{regions: "continent=eu", forward: {logs: state}}')).documents
    assert compiler.document(found) is None
    assert compiler.placement(found) == compiler.Placement(selector="", regions="continent=eu")


@pytest.mark.parametrize(
    ("spec", "path", "said"),
    [
        ("{forward: {metrics: some}}", "spec.forward.metrics", "write all, state or summary"),
        ("{forward: {audit: summary}}", "spec.forward.audit", "write state, metrics or logs"),
        ("{allow: {users: []}}", "spec.allow.users", "is empty"),
        ("{allow: {users: ['a b']}}", "spec.allow.users[0]", "is no user"),
        ("{allow: {services: 9999}}", "spec.allow.services", "less than or equal to"),
        ("{may: [fly]}", "spec.may[0]", "write run, apply or override"),
        ("{regions: 'a and b'}", "spec.regions", 'write "a,b"'),
    ],
)
def test_mistakes_are_named_with_what_to_write(spec: str, path: str, said: str) -> None:
    (found,) = mistakes(text(spec))
    assert found.path == path
    assert said in found.text
