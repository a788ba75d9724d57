"""What a person may rely on when Skerry runs a process: started once, stopped whole, its end never lost."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core import inputs
from edge_agent.shell.people import rights
from edge_agent.shell.runners import folder, proc, script
from protocol import documents, limits
from tests.contract.shell.world import World, until

ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


async def test_a_task_tells_its_exit_code_and_both_of_its_outputs(world: World) -> None:
    world.launch("t-1", "sh", "-c", "echo out; echo err >&2; exit 3")

    ended = await world.one(inputs.Ended)

    assert (ended.exit.code, ended.exit.signal, ended.stdout, ended.stderr) == (3, None, "out\n", "err\n")
    assert [type(one).__name__ for one in world.seen] == ["Launched", "Ended"]
    assert ended.exit.time_ms > 0


async def test_what_a_signal_ended_is_told_as_the_signal(world: World) -> None:
    world.launch("t-1", "sh", "-c", "kill -SEGV $$")

    assert (await world.one(inputs.Ended)).exit.signal == signal.SIGSEGV


async def test_the_workload_leads_a_session_of_its_own_apart_from_its_shim(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    pid = (await world.one(inputs.Launched)).pid

    await until(lambda: os.getsid(pid) == os.getpgid(pid) == pid)
    assert os.getsid(int(proc.fields(Path(f"/proc/{pid}/stat").read_text())[1])) not in (pid, os.getsid(0))


async def test_signals_files_and_descriptors_are_those_of_a_fresh_process(world: World) -> None:
    world.launch("t-1", sys.executable, "-c", _TELL_INHERITED)

    ended = await world.one(inputs.Ended)

    assert ended.stdout == "0,1,2 set() 022\n", ended


_TELL_INHERITED = """
import os, signal
fds = [n for n in range(100) if os.path.exists(f'/proc/self/fd/{n}')]
links = [os.readlink(f'/proc/self/fd/{n}') for n in fds if n > 2]
ours = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT}  # Python itself sets these
ignored = {s for s in signal.valid_signals() - ours if signal.getsignal(s) is signal.SIG_IGN}
mask = os.umask(0)
print(','.join(map(str, fds)), *links, ignored, f'{mask:03o}')
"""


async def test_environment_directory_and_files_are_as_declared(world: World) -> None:
    process = documents.Process(
        command=[
            "sh",
            "-c",
            'printf "%s|%s|%s|%s|" "$ODD" "$SKERRY_NODE" "$SKERRY_TASK" "${PWD##*/}"; cat a/b.txt; ls -l run',
        ],
        env={"ODD": 'it\'s "$HOME" `x`\n;'},
        files=[
            documents.InlineFile(path="sub/a/b.txt", text="inline"),
            documents.InlineFile(path="sub/run", text="", mode=0o755),
        ],
        cwd="sub",
    )
    world.launch("t-1", key="1", process=process)

    ended = await world.one(inputs.Ended)

    assert ended.stdout.startswith('it\'s "$HOME" `x`\n;|oslo-1|1|sub|inline-rwxr-xr-x'), ended


async def test_an_artifact_is_the_working_directory_and_stays_as_it_is_beside_inline_files(world: World) -> None:
    artifact = world.data / "artifacts" / ("a" * 64)
    (artifact / "bin").mkdir(parents=True)
    (artifact / "bin/run").write_text("#!/bin/sh\ncat conf real/conf; pwd\n")
    (artifact / "bin/run").chmod(0o555)
    (artifact / "conf").write_text("packed ")
    (artifact / "real").symlink_to("bin")
    files = [documents.InlineFile(path="conf", text="inline "), documents.InlineFile(path="bin/conf", text="too ")]
    digest = "sha256:" + "a" * 64
    world.launch("t-1", process=documents.Process(command=["bin/run"], artifact=digest, files=files))
    world.launch("t-2", process=documents.Process(command=["sh", "-c", "cat conf; pwd"], artifact=digest))

    assert (await world.one(inputs.Ended, "t-1")).stdout == f"inline too {world.data}/w/t-1/dir\n"
    assert (await world.one(inputs.Ended, "t-2")).stdout == f"packed {artifact}\n"
    assert not (artifact / "bin/conf").exists()


async def test_inline_files_do_not_follow_a_link_out_of_the_artifact(world: World) -> None:
    artifact = world.data / "artifacts" / ("a" * 64)
    artifact.mkdir(parents=True)
    (artifact / "out").symlink_to(world.data)
    process = documents.Process(
        command=["true"], artifact="sha256:" + "a" * 64, files=[documents.InlineFile(path="out/x", text="")]
    )
    world.launch("t-1", process=process)

    assert "through a link" in (await world.one(inputs.LaunchFailed)).error
    assert not (world.data / "x").exists()


async def test_a_step_knows_its_run_and_its_name(world: World) -> None:
    world.launch("r-4f-2-collect-all-1", "sh", "-c", "echo $SKERRY_RUN $SKERRY_STEP", key="4f-2")

    assert (await world.one(inputs.Ended)).stdout == "4f-2 collect-all\n"


async def test_a_service_keeps_its_folder_and_its_log_over_restarts(world: World) -> None:
    for number in (1, 2):
        world.launch(f"s-a-{number}", "sh", "-c", "echo x >>kept; wc -l <kept", key="a", capture=False)
        await world.one(inputs.Ended, f"s-a-{number}")
        world.runner.forget(f"s-a-{number}")

    assert (world.data / "logs/a/log").read_text().split() == ["1", "2"]
    assert list((world.data / "w").iterdir()) == []


async def test_limits_bind_the_workload(world: World) -> None:
    process = documents.Process(
        command=["sh", "-c", "ulimit -n; ulimit -v"], limits=documents.Limits(open_files=77, memory_bytes=512 * 1024**2)
    )
    world.launch("t-1", process=process)

    assert (await world.one(inputs.Ended)).stdout.split() == ["77", str(512 * 1024)]


@as_root
async def test_another_user_is_dropped_to_completely(world: World) -> None:
    for place in (world.data, *world.data.parents):
        if place.owner() == "root" and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o011)
    process = documents.Process(command=["sh", "-c", "id -u; id -G; echo $HOME; touch mine; ls -n mine"], user="nobody")
    world.launch("t-1", process=process)

    words = (await world.one(inputs.Ended)).stdout.split()

    nobody = pwd.getpwnam("nobody")
    assert words[:3] == [str(nobody.pw_uid), str(nobody.pw_gid), nobody.pw_dir]
    assert words[5] == str(nobody.pw_uid)


# ------------------------------------------------------------------------------------------------ what cannot start


@pytest.mark.parametrize(
    ("process", "why"),
    [
        (documents.Process(command=["no-such-thing"]), "no such command 'no-such-thing' on this device"),
        (documents.Process(command=["./probe"]), "no such command './probe' on this device"),
        (documents.Process(command=[]), "the command is empty"),
        (documents.Process(command=["sh", "a\0b"]), "holds a character that no program can be given"),
        (documents.Process(command=["sh"], user="nobody-at-all"), "no such user 'nobody-at-all'"),
        (documents.Process(command=["sh"], env={"a b": "c"}), "'a b' is no name for an environment variable"),
        (documents.Process(command=["sh"], cwd="../.."), "is outside of"),
        (documents.Process(command=["sh"], cwd="nowhere"), "there is no directory 'nowhere'"),
        (documents.Process(command=["sh"], artifact="sha256:" + "a" * 64), "is not on this device yet"),
        (documents.Process(command=["sh"], files=[documents.InlineFile(path="../x", text="")]), "not inside"),
        (documents.Process(command=["sh"], files=[documents.InlineFile(path="/x", text="")]), "not inside"),
        (
            documents.Process(command=["./s"], files=[documents.InlineFile(path="s", text="#!/no/sh\n", mode=0o755)]),
            "needs '/no/sh', which is not on this device",
        ),
        (documents.Process(command=["./s"], files=[documents.InlineFile(path="s", text="x")]), "is not executable"),
    ],
)
async def test_what_cannot_start_says_why_and_leaves_nothing(
    world: World, process: documents.Process, why: str
) -> None:
    world.launch("t-1", process=process)

    failed = await world.one(inputs.LaunchFailed)

    assert why in failed.error
    assert list((world.data / "w").iterdir()) == []
    assert list((world.data / "s").iterdir()) == []


async def test_an_instance_that_would_climb_out_is_no_instance(world: World) -> None:
    world.launch("../../etc", "true")

    assert "is not an instance" in (await world.one(inputs.LaunchFailed)).error


def test_who_is_not_root_cannot_become_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)

    with pytest.raises(script.Refused, match="run the agent as root"):
        script.identity("root")


# ------------------------------------------------------------------------------------------------ stopping


async def test_stop_ends_the_whole_group_with_a_polite_signal(world: World) -> None:
    world.launch("s-a-1", "sh", "-c", "sleep 60 & sleep 60 & wait", capture=False)
    pid = (await world.one(inputs.Launched)).pid
    start = world.process_of("s-a-1").start

    world.stop("s-a-1", 30)

    assert (await world.one(inputs.Ended)).exit.signal == signal.SIGTERM
    assert not proc.has_group(pid, start)


async def test_what_ignores_the_polite_signal_is_killed_after_its_grace(world: World) -> None:
    world.launch("s-a-1", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 60; done", key="a", capture=False)
    await world.output("logs/a/log")

    world.stop("s-a-1", 30)
    world.stop("s-a-1", 0.05)  # a second stop shortens the grace

    assert (await world.one(inputs.Ended)).exit.signal == signal.SIGKILL


async def test_children_that_outlive_their_leader_are_ended_before_the_end_is_told(world: World) -> None:
    command = "(trap '' TERM; echo $$ ready; exec sleep 60) & sleep 0.05; exit 7"
    world.launch("s-a-1", "sh", "-c", command, key="a", capture=False, stop_grace_s=0.1)
    pid = (await world.one(inputs.Launched)).pid
    start = world.process_of("s-a-1").start

    ended = await world.one(inputs.Ended)

    assert ended.exit.code == 7
    assert not proc.has_group(pid, start)


async def test_a_timeout_stops_it_and_says_so(world: World) -> None:
    world.launch("t-1", "sleep", "60", timeout_s=0.05)

    ended = await world.one(inputs.Ended)

    assert ended.exit.signal == signal.SIGTERM
    assert "its timeout of 0.05 s is over" in ended.stderr


async def test_stop_and_forget_of_what_is_unknown_change_nothing(world: World) -> None:
    world.stop("s-none-1", 1)
    world.runner.forget("s-none-1")

    assert world.seen == []


async def test_a_stop_that_comes_before_the_start_is_known_still_stops(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    world.stop("s-a-1", 5)

    assert (await world.one(inputs.Ended)).exit.signal == signal.SIGTERM


# ------------------------------------------------------------------------------------------------ the agent dies


async def test_a_second_launch_of_what_runs_only_reports_it(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    first = await world.one(inputs.Launched)
    world.launch("s-a-1", "sleep", "60", capture=False)

    assert world.all(inputs.Launched) == [first, first]


async def test_a_second_launch_of_what_has_ended_only_reports_how(world: World) -> None:
    world.launch("t-1", "sh", "-c", "echo ran >>$HOME_OF_TEST/ran; exit 4", process=_counting(world, "exit 4"))
    first = await world.one(inputs.Ended)
    world.launch("t-1", process=_counting(world, "exit 4"))

    assert world.all(inputs.Ended) == [first, first]
    assert (world.data / "ran").read_text() == "ran\n"


def _counting(world: World, then: str) -> documents.Process:
    return documents.Process(command=["sh", "-c", f"echo ran >>{world.data}/ran; {then}"])


async def test_a_killed_agent_s_workload_runs_on_and_is_adopted_with_its_exit_code(world: World) -> None:
    world.close()
    host = _host(world.data, "s-a-1", "sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; exit 42")
    pid = _pid_told_by(host)
    host.kill()
    host.wait()

    life = world.again()
    assert life.found["s-a-1"] == inputs.Found(instance="s-a-1", pid=pid)
    life.launch("s-a-1", "sh", "-c", "exit 1")
    assert life.all(inputs.Launched) == [inputs.Launched(instance="s-a-1", pid=pid)]
    (world.data / "w/s-a-1/dir/go").touch()

    assert (await life.one(inputs.Ended)).exit.code == 42


async def test_an_exit_while_no_agent_lives_is_found_by_the_next_one(world: World) -> None:
    world.close()
    host = _host(world.data, "t-1", "sh", "-c", "read x <fifo || :; echo last words; exit 9")
    _pid_told_by(host)
    host.kill()
    host.wait()
    os.mkfifo(world.data / "unused")
    await until(lambda: folder.exit_of(world.data / "w/t-1"))

    found = world.again().found["t-1"]

    assert found.exit is not None
    assert (found.exit.code, found.stdout) == (9, "last words\n")


async def test_an_adopted_workload_can_be_stopped_and_timed_out(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    world.launch("t-1", "sleep", "60", timeout_s=1.0)
    await until(lambda: len(world.all(inputs.Launched)) == 2)

    life = world.again()
    life.stop("s-a-1", 5)

    assert (await life.one(inputs.Ended, "s-a-1")).exit.signal == signal.SIGTERM
    assert (await life.one(inputs.Ended, "t-1")).exit.signal == signal.SIGTERM


async def test_a_workload_whose_shim_was_killed_is_watched_to_its_end_and_the_outcome_is_unknown(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    pid = (await world.one(inputs.Launched)).pid
    os.kill(int(proc.fields(Path(f"/proc/{pid}/stat").read_text())[1]), signal.SIGKILL)
    await until(lambda: not folder.is_locked(world.data / "w/s-a-1"))
    assert proc.start_of(pid) is not None
    assert world.all(inputs.Ended) == []

    world.stop("s-a-1", 5)

    assert (await world.one(inputs.Ended)).exit == inputs.Exit()


async def test_an_orphan_found_by_a_new_agent_still_counts_as_running(world: World) -> None:
    world.launch("s-a-1", "sleep", "60", capture=False)
    pid = (await world.one(inputs.Launched)).pid
    world.close()
    os.kill(int(proc.fields(Path(f"/proc/{pid}/stat").read_text())[1]), signal.SIGKILL)
    await until(lambda: not folder.is_locked(world.data / "w/s-a-1"))

    life = world.again()

    assert life.found["s-a-1"].exit is None
    life.stop("s-a-1", 5)
    assert (await life.one(inputs.Ended)).exit == inputs.Exit()


async def test_members_left_behind_while_no_agent_lived_are_ended_by_the_next_one(world: World) -> None:
    world.close()
    host = _host(world.data, "s-a-1", "sh", "-c", "sleep 60 & while [ ! -e go ]; do sleep 0.02; done; exit 5")
    pid = _pid_told_by(host)
    host.kill()
    host.wait()
    (world.data / "w/s-a-1/dir/go").touch()
    await until(lambda: folder.exit_of(world.data / "w/s-a-1"))
    start = world.process_of("s-a-1").start
    assert proc.has_group(pid, start)

    life = world.again()

    assert (await life.one(inputs.Ended)).exit.code == 5
    assert not proc.has_group(pid, start)


def _host(data: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.contract.shell.host", str(data), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def _pid_told_by(host: subprocess.Popen[str]) -> int:
    assert host.stdout is not None
    with host.stdout as pipe:
        return int(pipe.readline().split()[1])


# ------------------------------------------------------------------------------------------------ what a folder tells


async def test_a_folder_made_before_a_crash_whose_process_never_started_starts_now(world: World) -> None:
    path = _made(world)
    (path / "start").write_text("echo never\n")

    life = world.again()
    assert life.found == {}
    assert not path.exists()


async def test_after_a_reboot_what_has_no_exit_record_is_unknown_even_if_it_may_never_have_run(world: World) -> None:
    _made(world, boot="another boot")

    assert world.again().found["t-1"].exit == inputs.Exit()


async def test_a_torn_spec_means_a_power_cut_and_an_unknown_outcome(world: World) -> None:
    (_made(world) / "spec.json").write_bytes(b"")

    assert world.again().found["t-1"].exit == inputs.Exit()


@pytest.mark.parametrize("torn", ["", "1", "13 e", "13 en\n", "-----------\n", "x end\n"])
async def test_a_torn_exit_record_is_no_record(world: World, torn: str) -> None:
    path = _made(world, boot="another boot")
    (path / "exit").write_text(torn)

    assert world.again().found["t-1"].exit == inputs.Exit()


async def test_an_exit_record_counts_over_a_reboot(world: World) -> None:
    path = _made(world, boot="another boot")
    (path / "exit").write_text("13 end\n--------")

    found = world.again().found["t-1"]

    assert found.exit is not None
    assert found.exit.code == 13


async def test_a_pid_that_was_given_to_somebody_else_is_nobody_of_ours(world: World) -> None:
    path = _made(world)
    stat = Path("/proc/self/stat").read_text().split()
    stat[21] = str(int(stat[21]) - 1)
    (path / "run").write_text(" ".join(stat) + " end\n")
    (path / "start").touch()

    assert world.again().found["t-1"].exit == inputs.Exit()
    assert not proc.has_group(os.getpid(), 1)


def _made(world: World, boot: str = "") -> Path:
    spec = folder.Spec(
        instance="t-1",
        key="1",
        boot=boot or proc.boot_id(),
        capture=True,
        timeout_s=0.0,
        stop_grace_s=1.0,
        output="",
        socket=str(world.data / "s/x.sock"),
    )
    return folder.make(world.data / "w", spec)


async def test_half_made_and_half_deleted_folders_are_swept(world: World) -> None:
    for name in (".new-t-1", ".gone-t-2"):
        (world.data / "w" / name).mkdir()

    world.again()

    assert list((world.data / "w").iterdir()) == []


async def test_a_hundred_short_processes_leave_neither_zombies_nor_folders(world: World) -> None:
    before = _zombies()
    for number in range(100):
        world.launch(f"t-{number}", "true")
    await until(lambda: len(world.all(inputs.Ended)) == 100)
    for number in range(100):
        world.runner.forget(f"t-{number}")

    assert {one.exit.code for one in world.all(inputs.Ended)} == {0}
    assert list((world.data / "w").iterdir()) == []
    await until(lambda: _zombies() <= before)


def _zombies() -> set[int]:
    found: set[int] = set()
    for name in os.listdir("/proc"):
        try:
            parts = proc.fields(Path(f"/proc/{name}/stat").read_text()) if name.isdigit() else []
        except OSError:
            continue
        if parts and parts[0] == "Z" and parts[1] == str(os.getpid()):
            found.add(int(name))
    return found


# ------------------------------------------------------------------------------------------------ output is bounded


async def test_a_chatty_task_keeps_head_and_tail_of_its_output(world: World) -> None:
    world.launch("t-1", "sh", "-c", "echo first; seq 1 40000; echo last")

    text = (await world.one(inputs.Ended)).stdout

    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "… cut" in text
    assert len(text) < limits.TASK_OUTPUT_BYTES_MAX / 2


async def test_output_without_end_is_shortened_while_it_runs(world: World) -> None:
    world.launch(
        "t-1",
        "sh",
        "-c",
        "echo first; yes | head -c 3000000; echo mid; while [ ! -e go ]; do sleep 0.02; done; echo last",
    )
    out = world.data / "w/t-1/out"
    await until(lambda: out.exists() and out.stat().st_size == len("first\n") + 3_000_000 + len("mid\n"))

    world.runner.bound_outputs()
    assert out.stat().st_size == 0
    (world.data / "w/t-1/dir/go").touch()

    text = (await world.one(inputs.Ended)).stdout
    assert text.startswith("first\ny\n")
    assert text.endswith("last\n")


async def test_a_service_s_log_is_rotated_while_it_writes_on(world: World) -> None:
    world.launch("s-a-1", "sh", "-c", _CHATTER, key="a", capture=False)
    log = world.data / "logs/a/log"
    for _ in range(limits.LOG_FILES_MAX + 2):
        await until(lambda: log.exists() and log.stat().st_size > limits.LOG_BYTES_MAX)
        world.runner.bound_outputs()
    world.stop("s-a-1", 0)
    await world.one(inputs.Ended)

    names = sorted(path.name for path in log.parent.iterdir())
    assert names == ["log", "log.1", "log.2", "log.3"]
    assert all(path.stat().st_size <= limits.LOG_BYTES_MAX for path in log.parent.iterdir() if path != log)


_CHATTER = "while :; do head -c 400000 /dev/zero | tr '\\0' 'x'; echo; done"


async def test_latency_of_a_chain_is_paid_once_for_each_process(world: World) -> None:
    """Not a benchmark: a chain works at all when each end starts the next."""
    for number in range(10):
        world.launch(f"r-1-s{number}-1", "true", key="1")
        await world.one(inputs.Ended, f"r-1-s{number}-1")
        world.runner.forget(f"r-1-s{number}-1")
    await asyncio.sleep(0)

    assert len(world.all(inputs.Launched)) == 10


async def test_without_a_launcher_the_owner_s_table_is_kept_as_far_as_the_agent_can(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.toml"
    monkeypatch.setenv(rights.VARIABLE, str(file))
    file.write_text('[work]\ndocuments = ["service"]\npaths = ["/usr", "/bin"]\n')

    world.launch("t-1", "true")
    world.launch("s-a-1", process=documents.Process(command=["true"], env={"LD_PRELOAD": "/x.so"}))
    world.launch("s-b-1", process=documents.Process(command=["true"], user="nobody"))
    world.launch("s-c-1", "true")
    said = {one.instance: one.error for one in world.all(inputs.LaunchFailed)}

    assert "a task of the hub is not among `documents`" in said["t-1"]
    assert "'LD_PRELOAD' changes how programs are loaded" in said["s-a-1"]
    assert "nobody" in said["s-b-1"]
    assert (await world.one(inputs.Ended)).instance == "s-c-1"
    file.write_text("[wrok]\n")
    world.launch("s-c-2", "true")
    assert "is wrong, so nothing may run" in (await world.one(inputs.LaunchFailed, "s-c-2")).error
