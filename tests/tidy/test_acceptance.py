"""The table of faults in tests/acceptance names tests that exist, and every scenario there stands in a row of it."""

import ast
import functools
import re

import tests.acceptance
from tests.tidy import house

_NAMED = re.compile(r"^ {8}(?:(tests/\S+?)|(\w+\.py))::(test_\w+)$", re.MULTILINE)
_ROW = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
_HOME = "tests/acceptance"
_OF_NO_ROW = {"test_fleet_kit.py", "test_history.py"}
"""Of the kit itself, and of everything at once."""


def _named() -> set[tuple[str, str]]:
    found = _NAMED.findall(tests.acceptance.__doc__ or "")
    return {(far or f"{_HOME}/{near}", test) for far, near, test in found}


@functools.cache
def _tests(place: str) -> set[str]:
    path = house.ROOT / place
    if not path.is_file():
        return set()
    body, functions = ast.parse(path.read_text()).body, (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name for one in body if isinstance(one, functions) and one.name.startswith("test_")}


def test_every_named_test_exists() -> None:
    assert not {f"{place}::{test}" for place, test in _named() if test not in _tests(place)}


def test_every_row_has_a_test_named_after_it() -> None:
    rows = _ROW.split(tests.acceptance.__doc__ or "")[1:]
    unnamed: list[str] = []
    for row, below in zip(rows[::2], rows[1::2], strict=True):
        words = set(re.findall(r"[a-z0-9]{3,}", row.lower()))
        named = [test for _, _, test in _NAMED.findall(below)]
        if not any(words & set(test.split("_")) for test in named):
            unnamed.append(row)
    assert not unnamed


def test_every_module_of_scenarios_stands_in_the_table() -> None:
    modules = {path.name for path in (house.ROOT / _HOME).glob("test_*.py")} - _OF_NO_ROW
    assert modules == {place.rpartition("/")[2] for place, _ in _named() if place.startswith(_HOME)}
