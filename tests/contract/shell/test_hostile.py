"""A workload of another user that means harm: it reaches nothing of the agent's, and does not end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell.runners import proc, tree
from protocol import documents
from tests.contract.shell.world import World

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")

_DEEP = """
import os
import subprocess
import sys
for number in range(3_000):
    os.mkdir('d')
    os.chdir('d')
    open('f', 'w').close()
os.symlink('/etc', 'link')
os.chmod('..', 0o500)
"""


def nest(top: Path, depth: int) -> None:
    """Make folders within folders, deeper than any path is long; the last of them read-only."""
    top.mkdir()
    handle = os.open(top, os.O_DIRECTORY)
    for number in range(depth):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_DIRECTORY, dir_fd=handle)
        os.close(os.open("f", os.O_CREAT, dir_fd=inner))
        if number == depth // 2:
            os.fchmod(handle, 0o500)
        os.close(handle)
        handle = inner
    os.close(handle)


def test_a_folder_goes_however_deep_it_nests_and_what_its_links_name_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    nest(tmp_path / "top", 3_000)
    (tmp_path / "top/link").symlink_to(kept)
    tree.remove(tmp_path / "top")
    tree.remove(tmp_path / "never there")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept"]


async def test_a_task_that_nests_folders_without_end_does_not_end_the_agent(world: World) -> None:
    process = documents.Process(command=["python3", "-c", _DEEP])
    world.launch("t-1", process=process)
    assert (await world.one(inputs.Ended)).exit.code == 0

    world.runner.forget("t-1")

    assert list((world.data / "w").iterdir()) == []
    assert Path("/etc/passwd").exists()


@as_root
async def test_inline_files_are_not_written_through_links_that_the_workload_left(world: World) -> None:
    victim = world.data.parent / "victim"
    victim.write_text("ours")
    victim.chmod(0o600)
    files = [documents.InlineFile(path="conf", text="theirs", mode=0o666)]
    command = ["sh", "-c", f"rm -f conf; ln -s {victim} .conf.part; ln -s {victim} conf"]
    process = documents.Process(command=command, user="nobody", files=files)
    for number in (1, 2):
        world.launch(f"s-a-{number}", key="a", capture=False, process=process)
        await world.one(inputs.Ended, f"s-a-{number}")

    assert victim.read_text() == "ours"
    assert victim.stat().st_mode & 0o777 == 0o600


@as_root
async def test_a_service_folder_that_nests_without_end_does_not_end_the_agent(world: World) -> None:
    for number, user in ((1, "nobody"), (2, "nobody"), (3, "daemon")):
        process = documents.Process(command=["python3", "-c", _DEEP if number == 1 else "1"], user=user)
        world.launch(f"s-a-{number}", key="a", capture=False, process=process)
        if number < 3:
            await world.one(inputs.Ended, f"s-a-{number}")
    assert "nests too deep" in (await world.one(inputs.LaunchFailed)).error
    tree.remove(world.data / "data/a")


def test_a_process_may_have_any_name_that_the_kernel_takes() -> None:
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\xff) Z (', 0, 0, 0); print('named', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"named\n"

        start = proc.start_of(stranger.pid)
        assert start is not None
        assert proc.is_running(stranger.pid, start)
        assert not proc.has_group(2**22 - 1, 1)
        stranger.communicate(b"\n")
