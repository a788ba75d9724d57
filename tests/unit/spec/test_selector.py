"""Selectors: who is meant, and where a mistake is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import errors, limits, selector

OSLO = {"site": "oslo", "gpu": ""}
BERGEN = {"site": "bergen"}


@pytest.mark.parametrize(
    ("text", "oslo", "bergen"),
    [
        ("site=oslo", True, False),
        ("site==oslo", True, False),
        (" site = oslo , gpu ", True, False),
        ("gpu", True, False),
        ("!gpu", False, True),
        ("site!=oslo", False, True),
        ("team!=qa", True, True),
        ("site=oslo,!gpu", False, False),
        ("*", True, True),
    ],
)
def test_a_selector_matches_the_nodes_it_describes(text: str, oslo: bool, bergen: bool) -> None:
    parsed = selector.parse(text)
    assert (parsed.matches(OSLO), parsed.matches(BERGEN)) == (oslo, bergen)
    assert selector.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_selector_selects_nobody(text: str) -> None:
    parsed = selector.parse(text)
    assert not parsed.matches(OSLO)
    assert not parsed.matches({})
    assert str(parsed) == ""


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ("site=oslo and gpu", 0, 'write "site=oslo,gpu"'),
        ("site=oslo && gpu", 0, 'write "site=oslo,gpu"'),
        ("gpu,,site=oslo", 4, 'write "gpu,site=oslo"'),
        ("gpu,site=os lo", 4, '"site=os lo" is no term'),
        ("gpu, =x", 5, '"=x" is no term'),
        ("a!==b", 0, 'write "a!=b"'),
        ("*,gpu", 0, "every node"),
        ("!", 0, "is no term"),
        ("k" * 64, 0, "is no term"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_to_write(text: str, at: int, hint: str) -> None:
    with pytest.raises(errors.BadSelector) as caught:
        selector.parse(text)
    assert caught.value.at == at
    assert hint in str(caught.value)


def test_a_selector_has_a_bound_of_terms() -> None:
    with pytest.raises(errors.BadSelector, match="at most"):
        selector.parse(",".join(f"k{i}" for i in range(limits.LABELS_MAX + 1)))


def test_a_label_is_a_key_with_or_without_a_value() -> None:
    assert selector.parse_label("site=oslo") == ("site", "oslo")
    assert selector.parse_label("gpu") == ("gpu", "")
    with pytest.raises(errors.BadSelector, match="key of a label"):
        selector.parse_label("=x")
    with pytest.raises(errors.BadSelector, match="value of a label") as caught:
        selector.parse_label("site=a b")
    assert caught.value.at == 5


@given(st.text(alphabet="ab=!,* -&;", max_size=20))
def test_no_text_breaks_the_parser_and_what_parses_reads_back(text: str) -> None:
    try:
        parsed = selector.parse(text)
    except errors.BadSelector as error:
        assert 0 <= error.at <= len(text)  # noqa: PT017
        return
    assert selector.parse(str(parsed)) == parsed
