"""Archives are a stranger's: what is plain comes out, what climbs, links out, repeats or swells does not."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard

from edge_agent.shell import unpack
from edge_agent.shell.runners import tree
from protocol.errors import Refused, TooLarge

Member = tuple[tarfile.TarInfo, bytes]


def _file(name: str, content: bytes = b"x", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def _odd(name: str, kind: bytes, link: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def _archive(place: Path, *members: Member, how: str = "zstd") -> Path:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz" if how == "gzip" else "w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    packed = zstandard.ZstdCompressor().compress(raw.getvalue()) if how == "zstd" else raw.getvalue()
    place.write_bytes(packed)
    return place


@pytest.mark.parametrize("how", ["zstd", "gzip", "plain"])
def test_plain_files_folders_and_inner_links_come_out_read_only(tmp_path: Path, how: str) -> None:
    members = [
        _odd("bin", tarfile.DIRTYPE),
        _file("./bin/run", b"#!/bin/sh\n", 0o755),
        _file("deep/er/data", b"1" * 300_000),
        _odd("bin/alias", tarfile.SYMTYPE, "../deep/er/data"),
    ]
    unpack.unpack(_archive(tmp_path / "a", *members, how=how), tmp_path / "out")

    out = tmp_path / "out"
    assert (out / "bin/run").read_text() == "#!/bin/sh\n"
    assert (out / "bin/alias").read_bytes() == b"1" * 300_000
    assert [oct((out / name).stat().st_mode)[-3:] for name in ("bin", "bin/run", "deep/er/data")] == [
        "555",
        "555",
        "444",
    ]
    tree.remove(out)
    assert not out.exists()


@pytest.mark.parametrize(
    "members",
    [
        [_file("/etc/passwd")],
        [_file("../up")],
        [_file("a/../../up")],
        [_file("a//b")],
        [_file("a/./b")],
        [_odd("out", tarfile.SYMTYPE, "/etc")],
        [_odd("out", tarfile.SYMTYPE, "../..")],
        [_odd("a/out", tarfile.SYMTYPE, "../../x")],
        [_odd("out", tarfile.SYMTYPE, "")],
        [_odd("in", tarfile.SYMTYPE, "."), _file("in/x")],
        [_odd("in", tarfile.SYMTYPE, "real"), _odd("real", tarfile.DIRTYPE), _file("in/x")],
        [_file("a"), _odd("b", tarfile.LNKTYPE, "a")],
        [_odd("pipe", tarfile.FIFOTYPE)],
        [_odd("null", tarfile.CHRTYPE)],
        [_odd("disk", tarfile.BLKTYPE)],
        [_file("a"), _file("a")],
        [_file("a"), _odd("a", tarfile.SYMTYPE, "b")],
        [_file("x" * 2_000)],
    ],
)
def test_what_is_odd_is_refused_and_nothing_leaves_the_folder(tmp_path: Path, members: list[Member]) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    archive = _archive(tmp_path / "a", *members)

    with pytest.raises(Refused):
        unpack.unpack(archive, inner / "out")

    assert sorted(os.listdir(tmp_path)) == ["a", "inner"]
    assert sorted(os.listdir(inner)) == ["out"]


def test_a_name_that_is_a_folder_and_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises((Refused, OSError)):
        unpack.unpack(_archive(tmp_path / "a", _file("a"), _file("a/b")), tmp_path / "out")


def test_what_swells_is_cut_off_by_what_is_written_not_by_what_is_claimed(tmp_path: Path) -> None:
    bomb = _archive(tmp_path / "a", _file("zeros", b"\0" * 5_000_000))
    assert bomb.stat().st_size < 5_000

    with pytest.raises(TooLarge):
        unpack.unpack(bomb, tmp_path / "out", bytes_max=1_000_000)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a", *(_file(f"f{number}") for number in range(11)))

    with pytest.raises(TooLarge, match="too many files"):
        unpack.unpack(archive, tmp_path / "out", files_max=10)


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_what_is_not_whole_is_refused(tmp_path: Path, cut: int) -> None:
    archive = _archive(tmp_path / "a", _file("a", os.urandom(100_000)))
    archive.write_bytes(archive.read_bytes()[:cut])

    with pytest.raises(Refused):
        unpack.unpack(archive, tmp_path / "out")


def test_a_package_stays_as_it_is(tmp_path: Path) -> None:
    raw = b"!<arch>\n" + bytes(range(256)) * 4_000
    (tmp_path / "a.deb").write_bytes(raw)
    unpack.unpack(tmp_path / "a.deb", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["package.deb"]
    assert (tmp_path / "out" / "package.deb").read_bytes() == raw
    with pytest.raises(TooLarge):
        unpack.unpack(tmp_path / "a.deb", tmp_path / "more", bytes_max=1_000)
