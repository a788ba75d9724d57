"""Times and sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.spec import quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("1h30m", 5_400.0), ("250ms", 0.25), ("1.5m", 90.0), ("2d", 172_800.0), (0, 0.0)],
)
def test_durations_have_units(text: object, seconds: float) -> None:
    assert quantities.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "1 s", "-5s", "1y", None, True, [1], "1h30"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        quantities.parse_duration(text)


def test_a_bare_number_gets_a_hint() -> None:
    with pytest.raises(ValueError, match='write "120s"'):
        quantities.parse_duration(120)


@given(st.integers(0, 10**11))
def test_durations_read_back(milliseconds: int) -> None:
    text = quantities.format_duration(milliseconds / 1000)
    assert round(quantities.parse_duration(text) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"), [("256Mi", 256 << 20), ("1.5Gi", 3 << 29), ("500k", 500_000), ("2GB", 2 * 10**9), (1024, 1024)]
)
def test_sizes_have_units(text: object, size: int) -> None:
    assert quantities.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "lots", "1mb", None, True, -1])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no size"):
        quantities.parse_size(text)


@given(st.integers(1, limits.INTEGER_MAX))
def test_sizes_read_back(size: int) -> None:
    assert quantities.parse_size(quantities.format_size(size)) == size


@pytest.mark.parametrize("text", ["0", 0, "8192Ti", "999999999999Ti"])
def test_a_size_is_something_and_no_larger_than_what_crosses(text: object) -> None:
    assert quantities.parse_size("8191Ti") == 8191 << 40
    with pytest.raises(ValueError, match="is out of bounds: write 1 to 8191Ti"):
        quantities.parse_size(text)


def test_a_span_has_two_ends_or_one() -> None:
    span = quantities.SpanSeconds(0.0, 3_600.0)
    assert span.read("1s..5m") == (1.0, 300.0)
    assert span.read("5s") == (5.0, 5.0)
    for bad, said in [("5m..1s", r"write 1s\.\.5m"), (5, "no span"), ("1s..2h", "out of bounds")]:
        with pytest.raises(ValueError, match=said):
            span.read(bad)
