"""The owner's allow-list: what is not written there does not run, and what is asked is believed in nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.launcher import policy, request
from edge_agent.launcher.policy import Allowed, Who
from edge_agent.launcher.request import Refused
from edge_agent.shell.people import rights

AGENT = 700
WORK = Who(name="skerry-work", uid=701, gid=701)


def asked(**changed: Any) -> request.Request:
    words: dict[str, Any] = {"do": "launch", "instance": "s-a-1", "user": "", "command": ["/usr/bin/env"], "cwd": "/x"}
    return request.decode(json.dumps(words | changed).encode())


def why(one: request.Request, allowed: Allowed | None = None, who: Who = WORK, real: str = "/usr/bin/env") -> str:
    return policy.refusal(one, who, real, allowed or Allowed(), AGENT)


def test_what_names_no_user_runs_as_the_one_for_work() -> None:
    assert why(asked()) == ""


@pytest.mark.parametrize(
    ("user", "who", "users", "said"),
    [
        ("bob", Who(name="bob", uid=1000, gid=1000), (), "the user 'bob' is not among `users`"),
        ("bob", Who(name="bob", uid=1000, gid=1000), ("bob",), ""),
        ("root", Who(name="root", uid=0, gid=0), (), "the user 'root' is not among `users`"),
        ("root", Who(name="root", uid=0, gid=0), ("root",), ""),
        ("toor", Who(name="toor", uid=0, gid=0), ("toor",), "the user 'toor' is root, whom `users` does not name"),
        ("tom", Who(name="toor", uid=0, gid=0), ("toor", "root"), "the user 'tom' is another name of 'toor'"),
        ("agent", Who(name="agent", uid=AGENT, gid=0), (), "the user 'agent' is not among `users`"),
    ],
)
def test_a_user_has_to_be_named_and_root_by_its_name(user: str, who: Who, users: tuple[str, ...], said: str) -> None:
    found = why(asked(user=user), Allowed(users=users), who)

    assert said in found
    assert bool(said) is bool(found)


def test_work_never_runs_as_the_agent_because_nobody_thought_of_another_user() -> None:
    assert "the agent's own" in why(asked(), Allowed(user="me"), Who(name="me", uid=AGENT, gid=1))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"runner": "container"}, "the runner 'container' is not among `runners`"),
        ({"instance": "t-1"}, "a task of the hub is not among `documents`"),
        ({"instance": "x-1"}, "a thing of this kind of the hub is not among `documents`"),
        ({"groups": ["video", "disk"]}, "the group 'disk' is not among `groups`"),
        ({"command": ["/home/bob/x"]}, "the program '/home/bob/x' is not beneath one of `paths`"),
        ({"command": ["/usrx/bin/x"]}, "the program '/usrx/bin/x' is not beneath one of `paths`"),
        ({"env": {"LD_PRELOAD": "/x.so"}}, "the variable 'LD_PRELOAD' changes how programs are loaded"),
        ({"env": {"BASH_ENV": "/x"}}, "the variable 'BASH_ENV' changes how programs are loaded"),
        ({"new_privileges": True}, "`new_privileges` is not set"),
    ],
)
def test_each_refusal_is_one_sentence_that_names_what_is_missing(changed: dict[str, Any], said: str) -> None:
    allowed = Allowed(documents=("service",), groups=("video",), paths=("/usr", "/opt/app/"))

    found = why(asked(**changed), allowed)

    assert said in found
    assert found.endswith("([work] in /etc/skerry/agent.toml)")


def test_a_link_leads_nowhere_that_the_owner_did_not_name() -> None:
    assert "'/home/bob/x' is not beneath" in why(asked(), Allowed(paths=("/usr",)), real="/home/bob/x")


def test_what_the_owner_lets_through_by_name_passes() -> None:
    allowed = Allowed(environment=("LD_LIBRARY_PATH",), new_privileges=True, groups=("video",), paths=("/usr",))

    assert why(asked(env={"LD_LIBRARY_PATH": "/opt"}, new_privileges=True, groups=["video"]), allowed) == ""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], "is no table"),
        ({"user": 1}, "user of [work] is not str"),
        ({"users": "bob"}, "users of [work] is a list of texts"),
        ({"users": [1]}, "users of [work] is a list of texts"),
        ({"usres": []}, "[work] has no word 'usres'"),
        ({"new_privileges": 1}, "new_privileges of [work] is not bool"),
        *(
            ({"paths": ["/usr", path]}, f"{path!r} among `paths`")
            for path in ("", "opt", "/opt//a", "/opt/../srv", "//opt")
        ),
    ],
)
def test_who_wrote_something_else_than_they_meant_is_told(table: object, said: str) -> None:
    with pytest.raises(ValueError, match="work") as caught:
        policy.parse({"work": table})

    assert said in str(caught.value)


def test_a_misspelt_table_is_no_missing_one() -> None:
    with pytest.raises(ValueError, match="no table 'wrok': people, link, work"):
        policy.parse({"wrok": {"users": []}})


def test_the_table_is_what_its_owner_wrote() -> None:
    found = policy.parse({"people": {}, "work": {"user": "w", "users": ["a", "b"], "new_privileges": True}})

    assert found == Allowed(user="w", users=("a", "b"), new_privileges=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"do": "exec"},
        {"do": 1},
        {"instance": "../../etc"},
        {"instance": "s-" + "a" * 300},
        {"instance": 1},
        {"user": "a b"},
        {"user": "../x"},
        {"groups": ["-x"]},
        {"command": []},
        {"command": ["id"]},
        {"command": ["/usr/../bin/id"]},
        {"command": ["//bin/id"]},
        {"command": ["/bin/id", 1]},
        {"command": ["/bin/id", "\0"]},
        {"command": ["/bin/id", "\ud800"]},
        {"command": ["/x"] * 5_000},
        {"cwd": "relative"},
        {"cwd": "/a/./b"},
        {"owned": "/a/../b"},
        {"files": ["../x"]},
        {"files": ["/x"]},
        {"files": [""]},
        {"read_only": ["etc"]},
        {"reads": ["/a/.."]},
        {"writes": ["x"]},
        {"env": {"A=B": "x"}},
        {"env": {"A": 1}},
        {"rlimits": {"core": "0"}},
        {"rlimits": {"core": True}},
        {"memory_bytes": -2},
        {"memory_bytes": 2**80},
        {"private_tmp": 1},
        {"number": 11},
        {"uid": 0},
    ],
)
def test_what_no_honest_agent_says_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        asked(**changed)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b"1", b'"do"', b"x" * 200_000])
def test_what_is_no_request_is_refused_and_never_read_without_bound(raw: bytes) -> None:
    with pytest.raises(Refused):
        request.decode(raw)


def test_agent_and_launcher_know_the_same_tables() -> None:
    assert set(policy.TABLES) == set(rights.File.__struct_fields__)
