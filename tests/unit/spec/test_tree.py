"""YAML as values with places; nothing in a text is trusted."""

from typing import cast

from protocol import limits
from protocol.spec.mistakes import Mistake
from protocol.spec.reading import tree, values


def one(text: str) -> values.Tree:
    """Return the only document of `text`."""
    (found,) = tree.read(values.Source(name="a.yaml", text=text))
    assert isinstance(found, values.Tree)
    return found


def broken(text: str) -> Mistake:
    """Return what is wrong with a text that is no document at all."""
    found = list(tree.read(values.Source(name="a.yaml", text=text)))[-1]
    assert isinstance(found, Mistake)
    return found


def test_values_are_plain_and_numbers_remember_how_they_were_written() -> None:
    value = one("{a: 1.10, b: 0x10, c: 0o17, d: true, e: null, f: '5', g: 1_000, h: 2024-01-01, i: .inf, j: -3}").value
    assert value == {
        "a": 1.1,
        "b": 16,
        "c": 15,
        "d": True,
        "e": None,
        "f": "5",
        "g": 1000,
        "h": "2024-01-01",
        "i": float("inf"),
        "j": -3,
    }
    remembered = cast("dict[str, values.Int | values.Float]", value)
    assert remembered["a"].text == "1.10"
    assert remembered["b"].text == "0x10"


def test_every_value_and_key_has_its_place() -> None:
    found = one("a:\n  - b: 1\n    c: [2, 3]\n")
    assert found.values["a", 0, "c", 1] == (3, 12)
    assert found.keys["a", 0, "c"] == (3, 5)
    assert found.mistake(("a", 0, "zzz"), "x").line == 2


def test_a_key_that_stands_twice_is_named_with_both_places() -> None:
    (found,) = one("a: 1\nb: 2\na: 3\n").mistakes
    assert (found.line, found.column, found.path) == (3, 1, "a")
    assert "first in line 1" in found.text


def test_a_key_is_one_word() -> None:
    (found,) = one("? [1]\n: 3").mistakes
    assert "one word" in found.text


def test_tags_make_no_objects() -> None:
    (found,) = one("a: !!python/object:os.system 1").mistakes
    assert "python/object:os.system" in found.text
    (number,) = one("a: !!int abc").mistakes
    assert number.text == '"abc" is no number'


def test_a_text_that_is_no_yaml_says_where() -> None:
    found = broken("a: [1\nb: 2")
    assert (found.line, found.column) == (2, 2)
    assert found.text.startswith("this is no YAML: expected")
    assert "special characters" in broken("a: \x00").text


def test_deep_nesting_and_multiplied_aliases_are_bounded() -> None:
    assert "nested" in broken("[" * 40 + "]" * 40).text
    far = broken("[" * 5_000)
    assert (far.text, far.column) == ("this is no YAML: nested too deep", 2 * limits.SPEC_DEPTH_MAX + 1)
    assert "nested" in broken("&a [*a]").text
    bomb = "\n".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 9)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "values in one document" in broken(f"a: &a [1]\n{bomb}").text
