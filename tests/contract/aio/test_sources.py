"""The files that a person names to apply: which of them are read, and how far."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from protocol import limits
from protocol.aio.terminal import sources
from protocol.errors import SpecError


def test_a_file_a_folder_and_stdin_are_read_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.yaml", "a.yml", "c.txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO("said"))
    one, other = str(tmp_path / "a.yml"), str(tmp_path / "b.yaml")
    found = sources.named([str(tmp_path / "c.txt"), "-", str(tmp_path)])
    assert found == [(str(tmp_path / "c.txt"), "c.txt"), ("<stdin>", "said"), (one, "a.yml"), (other, "b.yaml")]


def test_no_more_is_read_than_is_allowed_be_it_of_one_or_of_many(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="/dev/zero is over 4 MiB"):
        sources.named(["/dev/zero"])
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("x" * (limits.SPEC_BYTES_MAX // 2))
    assert len(sources.named([str(tmp_path)])) == 2
    (tmp_path / "c.yaml").write_text("x")
    with pytest.raises(SpecError, match=r"c\.yaml is over 4 MiB, with those before it"):
        sources.named([str(tmp_path)])


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary").write_bytes(b"ab\xff")
    for name, said in (
        ("none", "cannot read .*none: No such file"),
        ("empty", r"empty holds no \*\.yaml, \*\.yml"),
        ("binary", r"binary is no text \(byte 2 is not UTF-8\)"),
    ):
        with pytest.raises(SpecError, match=said):
            sources.named([str(tmp_path / name)])
