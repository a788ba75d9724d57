"""The tail keeps the newest rows, contiguous and bounded, and never guesses."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.aio.tail import Tail
from protocol.effects import StoredRow

BYTES_MAX = 200


def row(seq: int) -> StoredRow:
    return seq, b"%d" % seq, b"hash of %d" % seq


def rows(first: int, last: int) -> list[StoredRow]:
    return [row(seq) for seq in range(first, last + 1)]


@given(
    st.lists(
        st.one_of(st.tuples(st.just("append"), st.integers(1, 40)), st.tuples(st.just("trim"), st.integers(0, 60)))
    )
)
def test_what_it_gives_is_what_was_appended(steps: list[tuple[str, int]]) -> None:
    tail, last = Tail(BYTES_MAX), 0
    for what, number in steps:
        if what == "append":
            tail.append(rows(last + 1, last + number))
            last += number
        else:
            tail.trim(number)
        for after in range(max(0, last - 50), last):
            found = tail.rows(after, last)
            assert found is None or found == rows(after + 1, last)


def test_the_newest_stay_and_the_oldest_go() -> None:
    tail = Tail(BYTES_MAX)
    for seq in range(1, 5_001):
        tail.append([(seq, b"x" * 10, b"")])
    assert tail.rows(4_980, 5_000) == [(seq, b"x" * 10, b"") for seq in range(4_981, 5_001)]
    assert tail.rows(4_979, 5_000) is None
    assert tail.last == 5_000


def test_rows_that_do_not_follow_on_replace_all() -> None:
    tail = Tail(BYTES_MAX)
    tail.append(rows(1, 2))
    tail.append(rows(9, 9))
    assert tail.rows(8, 9) == rows(9, 9)
    assert tail.rows(0, 2) is None


def test_what_is_trimmed_is_let_go() -> None:
    tail = Tail(BYTES_MAX)
    tail.append(rows(1, 3))
    tail.trim(2)
    assert tail.rows(1, 3) is None
    assert tail.rows(2, 3) == rows(3, 3)
    tail.trim(7)
    tail.append(rows(4, 4))
    assert tail.rows(3, 4) == rows(4, 4)
