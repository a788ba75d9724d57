"""Folders as artifacts."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
import zstandard

from hub.cli import pack
from protocol import limits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files, one of them to be run, a folder and a link within."""
    root = tmp_path / "app"
    (root / "lib").mkdir(parents=True)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    (root / "lib" / "a.txt").write_text("a")
    (root / "lib" / "link").symlink_to("../run.sh")
    return root


def members(packed: pack.Packed) -> list[tarfile.TarInfo]:
    """Return what an artifact holds."""
    raw = zstandard.ZstdDecompressor().stream_reader(packed.path.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return archive.getmembers()


def test_the_same_files_give_the_same_digest_whenever_and_by_whomever(folder: Path, tmp_path: Path) -> None:
    first = pack.pack(folder, tmp_path / "1")
    os.utime(folder / "run.sh", (1, 1))
    (folder / "lib" / "a.txt").chmod(0o600)
    second = pack.pack(folder, tmp_path / "2")
    assert first.digest == second.digest
    assert first.size == (tmp_path / "1").stat().st_size
    assert (first.files, first.unpacked) == (2, 11)


def test_another_byte_gives_another_digest(folder: Path, tmp_path: Path) -> None:
    first = pack.pack(folder, tmp_path / "1")
    (folder / "lib" / "a.txt").write_text("b")
    assert pack.pack(folder, tmp_path / "2").digest != first.digest


def test_what_matters_is_kept_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (folder / ".git").mkdir()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    found = {one.name: one for one in members(pack.pack(folder, tmp_path / "1"))}
    assert sorted(found) == ["lib", "lib/a.txt", "lib/link", "run.sh"]
    assert {one.mode for one in found.values() if one.isfile()} == {0o644, 0o755}
    assert all((one.uid, one.gid, one.mtime, one.uname) == (0, 0, 0, "") for one in found.values())
    assert found["lib/link"].linkname == "../run.sh"


def test_one_file_is_an_artifact_too(folder: Path, tmp_path: Path) -> None:
    assert [one.name for one in members(pack.pack(folder / "run.sh", tmp_path / "1"))] == ["run.sh"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "../.."])
def test_a_link_that_leads_out_is_refused(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "lib" / "out").symlink_to(target)
    with pytest.raises(pack.PackError, match="is a link out of the artifact"):
        pack.pack(folder, tmp_path / "1")


def test_a_socket_is_refused(folder: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        with pytest.raises(pack.PackError, match="a socket or a pipe"):
            pack.pack(folder, tmp_path / "1")


@pytest.mark.parametrize("written", ["../app", "/etc", "a/../../b"])
def test_a_path_that_climbs_out_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(pack.PackError, match="climbs out"):
        pack.locate(tmp_path, written)


def test_a_folder_that_is_a_link_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    beside = tmp_path / "specs"
    beside.mkdir()
    (beside / "app").symlink_to(folder)
    with pytest.raises(pack.PackError, match="is a link out of"):
        pack.locate(beside, "./app")
    with pytest.raises(pack.PackError, match="is not there"):
        pack.locate(beside, "./nothing")


@pytest.mark.parametrize("change", ["grow", "shrink", "appear", "touch"])
def test_a_folder_that_changes_under_way_is_noticed(
    folder: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tarfile.TarFile.addfile

    def meddle(archive: tarfile.TarFile, entry: tarfile.TarInfo, source: object = None) -> None:
        if entry.name == "run.sh":
            match change:
                case "grow":
                    (folder / "run.sh").write_text("#!/bin/sh\nmore\n")
                case "shrink":
                    (folder / "run.sh").write_text("")
                case "appear":
                    (folder / "new").write_text("")
                case _:
                    os.utime(folder / "lib" / "a.txt", (1, 1))
        real(archive, entry, source)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(tarfile.TarFile, "addfile", meddle)
    with pytest.raises(pack.PackError, match="changed while it was packed"):
        pack.pack(folder, tmp_path / "1")


@pytest.mark.parametrize(
    ("bound", "value", "said"),
    [
        ("ARTIFACT_FILES_MAX", 3, "holds more than 3 files"),
        ("ARTIFACT_UNPACKED_BYTES_MAX", 5, "holds more than"),
        ("ARTIFACT_BYTES_MAX", 5, "the most an artifact may be"),
    ],
)
def test_an_artifact_is_bounded(
    folder: Path, tmp_path: Path, bound: str, value: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, bound, value)
    with pytest.raises(pack.PackError, match=said):
        pack.pack(folder, tmp_path / "1")


def test_a_name_that_is_no_utf8_is_refused(folder: Path, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).write_text("")
    with pytest.raises(pack.PackError, match="no UTF-8"):
        pack.pack(folder, tmp_path / "1")


def test_the_device_unpacks_what_the_operator_packed(folder: Path, tmp_path: Path) -> None:
    from edge_agent.shell import unpack

    packed = pack.pack(folder, tmp_path / "1")
    unpack.unpack(packed.path, tmp_path / "there")
    assert (tmp_path / "there" / "lib" / "a.txt").read_text() == "a"
    assert (tmp_path / "there" / "lib" / "link").resolve() == (tmp_path / "there" / "run.sh").resolve()
    assert os.access(tmp_path / "there" / "run.sh", os.X_OK)
