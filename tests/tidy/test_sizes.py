"""Sizes of DESIGN 3: bounds that hold, and aims under a ratchet that only falls."""

import collections

from tests.tidy import house, ratchet

MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
FOLDER_MODULES_MAX = 12


def test_no_module_is_over_600_lines() -> None:
    too_long = {
        house.place(path): house.lines(path) for path in house.modules() if house.lines(path) > MODULE_LINES_MAX
    }
    assert not too_long


def test_no_function_is_over_70_lines() -> None:
    too_long = [
        f"{house.place(path)}:{name} {length}"
        for path in house.modules(*house.ROOMS, "tests")
        for name, length in house.functions(path, FUNCTION_LINES_MAX)
    ]
    assert not too_long


def test_no_folder_holds_more_than_12_modules() -> None:
    counts = collections.Counter(
        house.place(path.parent) for path in house.modules() if path.name not in ("__init__.py", "__main__.py")
    )
    assert not {folder: count for folder, count in counts.items() if count > FOLDER_MODULES_MAX}


def test_the_ratchet_only_falls() -> None:
    now, before = ratchet.measure(), ratchet.written()
    risen = {key: (before[key], now[key]) for key in now if now[key] > before[key]}
    fallen = {key: (before[key], now[key]) for key in now if now[key] < before[key]}
    assert not risen, "split what has grown"
    assert not fallen, "better than written down: run 'make ratchet'"
