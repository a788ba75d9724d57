"""Files that stand whole at their place, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from protocol.aio.upkeep import synced


def test_a_file_is_replaced_whole_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        synced.write(tmp_path / "x", b"old")
        synced.write(tmp_path / "x", b"new", 0o644)
    finally:
        os.umask(before)

    assert (tmp_path / "x").read_bytes() == b"new"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="directory"):
        synced.write(tmp_path / "x", b"new")

    assert (tmp_path / "x").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
