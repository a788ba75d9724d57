"""A stick as one archive on stdout: whole for who reads it, none of it on a terminal, none when it cannot be made."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import tarfile
from pathlib import Path

from hub.demo import fleet as demo
from tests.contract.api.test_install import archive, put
from tests.support.fleet import Fleet, fleet

_DEVICE = ("bundle", "device", "--name", "mast-7", "--label", "site=mast")
_PACKAGE = "skerry-agent_0.1.0+deb12_amd64.deb"


async def _skerry(it: Fleet, *words: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    command = [str(demo.BIN / "skerry"), *words]
    return await asyncio.to_thread(
        subprocess.run, command, env=it.env, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=120
    )


async def test_a_pipe_gets_the_whole_stick_and_a_terminal_none_of_it(tmp_path: Path) -> None:
    stick, spool = tmp_path / "stick", tmp_path / "spool"
    stick.mkdir()
    spool.mkdir()
    async with fleet(tmp_path / "fleet") as it:
        it.env["TMPDIR"] = str(spool)
        raw = archive(b"2.0\n", b"x" * 100_000)
        put(it.data / "packages", _PACKAGE, raw)
        done = await _skerry(it, *_DEVICE)
        assert done.returncode == 0, done.stderr
        said = " ".join(done.stderr.decode().split())
        assert "mast-7: its name, a token for it, and generation 1 are in the archive" in said
        assert "sudo sh STICK/install" in said
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as whole:
            assert whole.getnames()[-1] == "install", "what broke off on its way installs nothing"
            assert {(one.uid, one.gid, one.uname) for one in whole} == {(0, 0, "")}
        unpacked = await asyncio.to_thread(
            subprocess.run, ["tar", "-x", "-C", str(stick)], input=done.stdout, capture_output=True, check=False
        )
        assert (unpacked.returncode, unpacked.stderr) == (0, b"")
        assert {one.name for one in stick.iterdir()} == {"install", "mast-7.down", "mast-7.invite", _PACKAGE}
        assert (stick / _PACKAGE).read_bytes() == raw
        assert (stick / "mast-7.invite").stat().st_mode & 0o777 == 0o600
        assert os.access(stick / "install", os.X_OK)
        await _same_as_a_folder(it, stick, tmp_path / "folder")

        head, tail = os.openpty()
        done = await _skerry(it, "bundle", "device", "--name", "mast-8", stdout=tail)
        os.set_blocking(head, False)
        assert done.returncode == 2
        assert b"say --to /media/stick, or put `| tar -x -C /media/stick` behind it" in b" ".join(done.stderr.split())
        assert not _read(head), "an archive on somebody's screen"
        os.close(tail)
        os.close(head)
        assert (await it.ask("GET", "/v1/nodes"))[0]["name"] == "mast-7"
        assert len(await it.ask("GET", "/v1/nodes")) == 1, "a name was kept for a device of which no stick was made"

        done = await _skerry(it, *_DEVICE, "-o", "json")
        assert (done.returncode, done.stdout) == (2, b"")
        await it.hub.stop()
        done = await _skerry(it, *_DEVICE)
        assert (done.returncode, done.stdout) == (3, b""), "half an archive"
        assert list(spool.iterdir()) == []


async def _same_as_a_folder(it: Fleet, stick: Path, folder: Path) -> None:
    folder.mkdir()
    assert (await _skerry(it, *_DEVICE, "--to", str(folder))).returncode == 0
    for path in (one for one in folder.rglob("*") if one.is_file()):
        assert (stick / path.relative_to(folder)).exists(), path
    assert (stick / "install").read_bytes() == (folder / "install").read_bytes()


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 100)
    except BlockingIOError:
        return b""
