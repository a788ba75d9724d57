"""Runs workloads as plain processes, each under its shim (shim.sh) and known by its folder (folder.py).

    Launch -> folder made -> shim spawned -> `run` written -> Launched -> `exit` written -> group empty -> Ended

Files are the truth; the pipe from the shim, and the pidfd of an adopted process, only say "look again". So whatever
life of the agent looks, it sees the same. An instance has ended when its whole process group has: what a leader
leaves behind is stopped before Ended is reported, or a restart would run two copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_agent.core import inputs
from edge_agent.shell import logs
from edge_agent.shell.launching import confined, launcher, packets
from edge_agent.shell.people import work
from edge_agent.shell.runners import folder, place, proc, script
from protocol import limits
from protocol.errors import BadId, Refused

_SHIM = str(Path(__file__).with_name("shim.sh"))
_WARDEN = str(Path(__file__).with_name("lease.sh"))
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,219}", re.ASCII)
_LOW_FDS = 10


class Sockets(Protocol):
    """Where workloads talk back (shell/emit.py)."""

    def open(self, instance: str, uid: int) -> str:
        """Bind the socket of `instance` for `uid`; return its path."""
        ...

    def reopen(self, instance: str, path: str, uid: int = -1) -> None:
        """Bind it again after a restart of the agent, for `uid`; -1: for its owner."""
        ...

    def finish(self, instance: str) -> None:
        """Read what is still there, then close it."""
        ...


@dataclass(slots=True, eq=False)
class _Workload:
    """One that is not known to have ended. Times are of the loop's clock."""

    path: Path
    spec: folder.Spec
    process: folder.Process | None = None
    handle: int = -1
    """The shim's pipe, or the pidfd of an adopted process."""
    shim: int = 0
    """Pid of the shim when it is our own child."""
    asked: socket.socket | None = None
    """Where the launcher says why it was not started."""
    kill_at: float | None = None
    timers: tuple[asyncio.TimerHandle, ...] = ()


class ProcessRunner:
    """See base.Runner. `report` is called from the event loop only."""

    def __init__(
        self,
        data: Path,
        *,
        node: str,
        tools: script.Tools,
        sockets: Sockets,
        report: Callable[[inputs.Input], None],
        launcher: launcher.Launcher | None = None,
    ) -> None:
        proc.keep_descriptors()
        self._data = data
        self._root = data / "w"
        place.passage(self._root)
        self._node = node
        self._tools = tools
        self._sockets = sockets
        self._report = report
        self._launcher = launcher
        """Starts what is started; None: the agent does by itself."""
        self._boot = proc.boot_id()
        self._live: dict[str, _Workload] = {}
        self._unwatched: list[_Workload] = []
        self._ending: set[int] = set()
        self._reaping: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    # -------------------------------------------------------------------------------------------- adoption

    def discover(self) -> list[inputs.Found]:
        """See base.Runner. May wait up to 2 s for a shim that an agent started as it died."""
        folder.sweep(self._root)
        found = [self._discover(path) for path in sorted(self._root.iterdir())]
        return [one for one in found if one is not None]

    def _discover(self, path: Path) -> inputs.Found | None:
        known = self._live.get(path.name)
        if known is not None:
            pid = known.process.pid if known.process else 0
            return inputs.Found(instance=path.name, pid=pid, lease_until=folder.lease_of(path))
        look = self._settled(path)
        pid = look.process.pid if look.process else 0
        if look.state is folder.State.NEVER:
            folder.drop(path)
            return None
        spec = folder.spec_of(path)
        if look.state is folder.State.ENDED:
            end = self._ended(path, spec, look.exit)
            texts = (end.stdout, end.stderr)
            return inputs.Found(
                instance=path.name,
                pid=pid,
                exit=end.exit,
                stdout=texts[0],
                stderr=texts[1],
                lease_until=folder.lease_of(path),
            )
        assert spec is not None, "without a whole spec it is ended"
        self._live[path.name] = workload = _Workload(path=path, spec=spec, process=look.process)
        self._unwatched.append(workload)
        return inputs.Found(instance=path.name, pid=pid, lease_until=folder.lease_of(path))

    def _settled(self, path: Path) -> folder.Look:
        until = time.monotonic() + limits.PROCESS_STARTING_S
        look = folder.look(path, self._boot)
        while look.state is folder.State.STARTING and time.monotonic() < until:
            time.sleep(limits.PROCESS_STOP_LOOK_S)  # before the core has started: nobody waits for the loop
            look = folder.look(path, self._boot)
        return look

    def watch(self) -> None:
        """See base.Runner."""
        while self._unwatched:
            workload = self._unwatched.pop()
            self._sockets.reopen(workload.spec.instance, workload.spec.socket, workload.spec.uid)
            self._arm_timeout(workload)
            self._follow(workload)

    def _follow(self, workload: _Workload) -> None:
        """Watch by pidfd a process whose shim does not tell us; by looking where there is no pidfd."""
        process = workload.process
        try:
            workload.handle = os.pidfd_open(process.pid) if process else -1
        except OSError:  # gone, or a kernel before 5.3
            workload.handle = -1
        if process is None or workload.handle < 0 or not proc.is_running(process.pid, process.start):
            self._drop_handle(workload)
            self._look_again(workload)
            return
        self._loop.add_reader(workload.handle, self._on_leader_end, workload)

    def _on_leader_end(self, workload: _Workload) -> None:
        self._drop_handle(workload)
        self._look_again(workload)

    def _look_again(self, workload: _Workload) -> None:
        """The leader is gone or out of sight: wait for the record, or for the lock to be free of the shim."""
        process = workload.process = workload.process or folder.process_of(workload.path)
        if process is not None and proc.is_running(process.pid, process.start):
            self._later(workload, limits.PROCESS_LOOK_EVERY_S, self._look_again)
        elif folder.exit_of(workload.path) is None and folder.is_locked(workload.path):
            self._later(workload, limits.PROCESS_STOP_LOOK_S, self._look_again)
        else:
            self._clear(workload)

    # -------------------------------------------------------------------------------------------- launch

    def launch(self, action: inputs.Launch) -> None:
        """See base.Runner."""
        instance = action.instance
        known = self._live.get(instance)
        if known is not None:
            if known.process is not None:
                self._report(inputs.Launched(instance=instance, pid=known.process.pid))
            return
        try:
            if _INSTANCE.fullmatch(instance) is None:
                raise Refused(f"{instance[:80]!r} is not an instance: {_INSTANCE.pattern}")
            path = self._root / instance
            if not path.exists() or self._was_never(path):
                self._start(action)
        except (Refused, BadId) as error:
            self._fail(instance, str(error))
        except (OSError, ValueError) as error:
            self._fail(instance, f"cannot start {action.key}: {error}")

    def _was_never(self, path: Path) -> bool:
        """Tell whether a folder from before never led to a process; else report how that ended."""
        look = folder.look(path, self._boot)
        if look.state is folder.State.NEVER:
            folder.drop(path)
            return True
        self._report(self._ended(path, folder.spec_of(path), look.exit))
        return False

    def _start(self, action: inputs.Launch) -> None:
        by = self._launcher
        who = by.identity(action.process.user) if by is not None else script.identity(action.process.user)
        door = self._sockets.open(action.instance, who.uid)
        spec = self._spec(action, door, who)
        path = folder.make(self._root, spec)
        if action.lease_until:
            folder.write_lease(path, action.lease_until)
        setting = script.Setting(
            cwd=place.furnish(self._data, action, path, who),
            env=script.environment(action.process.env, action.instance, action.key, self._node, who)
            | {"SKERRY_SOCKET": door, **({"SKERRY_FENCE": action.fence} if action.fence else {})},
            identity=who,
            tools=self._tools,
            limits=action.process.limits,
        )
        workload = _Workload(path=path, spec=spec)
        if by is not None:
            asked = confined.asked(action, setting, place.owned(self._data, action, path), by.able)
            self._ask(by, workload, asked)
        else:
            work.check(action.instance, action.process.user, action.process.command, setting)
            self._spawn(workload, script.script(action.process.command, setting))
        self._live[action.instance] = workload

    def _spec(self, action: inputs.Launch, door: str, who: script.Identity) -> folder.Spec:
        log = logs.service_log(self._data, action.key) if not action.capture else None
        by_other = self._launcher is not None
        return folder.Spec(
            instance=action.instance,
            key=action.key,
            boot=self._boot,
            capture=action.capture,
            timeout_s=action.timeout_s,
            stop_grace_s=action.stop_grace_s,
            output=str(log) if log else "",
            socket=door,
            user=who.name if by_other else "",
            uid=who.uid if by_other else -1,
        )

    def _ask(self, by: launcher.Launcher, workload: _Workload, asked: confined.Asked) -> None:
        """Have the launcher start the shim: it gets the files of the folder, opened by us."""
        pipe, to_agent = os.pipe()
        handles = [to_agent]
        try:
            handles.append(folder.arm(workload.path, ""))
            handles += self._open_outputs(workload)
            handles.append(os.open(workload.path / "run", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            handles.append(os.open(workload.path / "exit", os.O_WRONLY | os.O_CLOEXEC))
            workload.asked = by.start(asked, handles)
        except (OSError, Refused):
            os.close(pipe)
            raise
        finally:
            for handle in handles:
                os.close(handle)
        workload.handle = pipe
        self._loop.add_reader(pipe, self._on_pipe, workload)
        self._later(workload, limits.LAUNCHER_WAIT_S, self._miss)

    def _miss(self, workload: _Workload) -> None:
        """The launcher has what it was asked for, and will do it; that it did not yet is for people to know."""
        if workload.asked is not None and self._launcher is not None:
            self._launcher.unheard(f"it starts nothing within {limits.LAUNCHER_WAIT_S:g} s")

    def _spawn(self, workload: _Workload, text: str) -> None:
        with contextlib.ExitStack() as stack:

            def high(handle: int) -> int:
                """Keep `handle` out of the way of 0..6, which the shim gets."""
                moved = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, _LOW_FDS)
                os.close(handle)
                stack.callback(os.close, moved)
                return moved

            lock = high(folder.arm(workload.path, text))
            out, err = (high(handle) for handle in self._open_outputs(workload))
            pipe, to_agent = os.pipe()
            grace = str(confined.grace(workload.spec.stop_grace_s))
            dup = os.POSIX_SPAWN_DUP2
            try:
                pid = os.posix_spawn(
                    "/bin/sh",
                    ["/bin/sh", _SHIM, str(workload.path), self._tools.sync, _WARDEN, grace],
                    {"PATH": script.PATH_DEFAULT},
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                        (dup, 0, 1),
                        (dup, 0, 2),
                        (dup, high(to_agent), 3),
                        (dup, lock, 4),
                        (dup, out, 5),
                        (dup, err, 6),
                    ],
                    setsid=True,
                    setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
                    setsigmask=[],
                )
            except OSError:
                os.close(pipe)
                raise
        workload.shim = pid
        workload.handle = pipe
        self._loop.add_reader(pipe, self._on_pipe, workload)

    def _open_outputs(self, workload: _Workload) -> tuple[int, int]:
        if workload.spec.capture:
            return logs.open_append(workload.path / "out"), logs.open_append(workload.path / "err")
        log = Path(workload.spec.output)
        log.parent.mkdir(parents=True, exist_ok=True)
        handle = logs.open_append(log)
        return handle, os.dup(handle)

    def _on_pipe(self, workload: _Workload) -> None:
        ended = not os.read(workload.handle, 16)
        if workload.process is None:
            self._note_start(workload)
        if not ended:
            return
        self._drop_handle(workload)
        if workload.shim:
            self._ending.add(workload.shim)
            self._reap()
        if workload.process is None:
            self._live.pop(workload.spec.instance)
            asked, workload.asked = workload.asked, None
            why = packets.refusal(asked) if asked is not None else "is the disk full?"
            self._fail(workload.spec.instance, f"cannot start {workload.spec.key}: {why}")
        elif folder.exit_of(workload.path) is None:
            self._follow(workload)  # somebody killed the shim; its workload may live
        else:
            self._clear(workload)

    def _note_start(self, workload: _Workload) -> None:
        workload.process = folder.process_of(workload.path)
        if workload.process is None:
            return
        if workload.asked is not None:
            workload.asked.close()
            workload.asked = None
        self._report(inputs.Launched(instance=workload.spec.instance, pid=workload.process.pid))
        self._arm_timeout(workload)
        if workload.kill_at is not None:
            self._stop(workload, workload.kill_at - self._loop.time())

    def _fail(self, instance: str, error: str) -> None:
        self._sockets.finish(instance)
        if _INSTANCE.fullmatch(instance):
            self._drop(self._root / instance)
        self._report(inputs.LaunchFailed(instance=instance, error=error))

    # -------------------------------------------------------------------------------------------- the lease

    def extend(self, action: inputs.Extend) -> None:
        """See base.Runner."""
        workload = self._live.get(action.instance)
        if workload is None:
            return
        has_warden = folder.lease_of(workload.path) > 0.0
        try:
            folder.write_lease(workload.path, action.until)
            if not has_warden:
                self._guard(workload)
        except (OSError, Refused):
            return  # no space: what stands there holds, and that ends sooner

    def _guard(self, workload: _Workload) -> None:
        """Start the warden of one that was launched without a lease; an orphan, as the shim's is."""
        with open(workload.spec.output or os.devnull, "ab") as notes:
            if self._launcher is not None and workload.spec.user:
                self._launcher.guard(workload.spec.instance, confined.grace(workload.spec.stop_grace_s), notes.fileno())
                return
            grace = str(confined.grace(workload.spec.stop_grace_s))
            dup = os.POSIX_SPAWN_DUP2
            pid = os.posix_spawn(
                "/bin/sh",
                ["/bin/sh", "-c", '"$@" &', "sh", "/bin/sh", _WARDEN, str(workload.path), grace],
                {"PATH": script.PATH_DEFAULT},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                    (dup, 0, 1),
                    (dup, 0, 2),
                    (dup, notes.fileno(), 6),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE],
                setsigmask=[],
            )
        self._ending.add(pid)
        self._reap()

    # -------------------------------------------------------------------------------------------- the end

    def stop(self, action: inputs.Stop) -> None:
        """See base.Runner. A second Stop may shorten the grace, never lengthen it."""
        workload = self._live.get(action.instance)
        if workload is not None:
            self._stop(workload, action.grace_s)

    def _stop(self, workload: _Workload, grace_s: float) -> None:
        at = self._loop.time() + max(0.0, min(grace_s, limits.STOP_GRACE_S_MAX))
        workload.kill_at = at if workload.kill_at is None else min(at, workload.kill_at)
        if workload.process is None:
            return  # _note_start goes on
        self._signal(workload, signal.SIGTERM)
        self._later(workload, workload.kill_at - self._loop.time(), self._kill)

    def _kill(self, workload: _Workload) -> None:
        self._signal(workload, signal.SIGKILL)

    def _signal(self, workload: _Workload, number: signal.Signals) -> None:
        """Send it to all its processes: by the launcher, where that started it."""
        process, by = workload.process, self._launcher
        if process is None:
            return
        if by is None or not workload.spec.user:
            proc.signal_group(process.pid, process.start, number)
        elif not by.signal(workload.spec.instance, number):
            self._later(workload, limits.LAUNCHER_AGAIN_S, lambda one: self._signal(one, number))

    def _arm_timeout(self, workload: _Workload) -> None:
        timeout_s, process = workload.spec.timeout_s, workload.process
        if timeout_s <= 0 or process is None:
            return
        age = proc.boot_seconds() - process.start / proc.TICKS_PER_S
        self._later(workload, max(0.0, timeout_s - age), self._on_timeout)

    def _on_timeout(self, workload: _Workload) -> None:
        note = f"skerry: stopped, because its timeout of {workload.spec.timeout_s:g} s is over\n"
        with contextlib.suppress(OSError):
            output = workload.path / "err" if workload.spec.capture else Path(workload.spec.output)
            with open(output, "a") as file:
                file.write(note)
        self._stop(workload, workload.spec.stop_grace_s)

    def _clear(self, workload: _Workload) -> None:
        """The leader has ended: stop what it left of its group, then report."""
        process, now = workload.process, self._loop.time()
        if process is not None and proc.has_group(process.pid, process.start):
            if workload.kill_at is None:
                self._stop(workload, workload.spec.stop_grace_s)
            if workload.kill_at is not None and now < workload.kill_at + limits.PROCESS_KILL_WAIT_S:
                self._later(workload, limits.PROCESS_STOP_LOOK_S, self._clear)
                return
        for timer in workload.timers:
            timer.cancel()
        self._live.pop(workload.spec.instance)
        self._sockets.finish(workload.spec.instance)
        self._report(self._ended(workload.path, workload.spec, folder.end_of(workload.path)))

    def _ended(self, path: Path, spec: folder.Spec | None, exit_: inputs.Exit) -> inputs.Ended:
        if spec is None or not spec.capture:
            return inputs.Ended(instance=path.name, exit=exit_)
        texts = [logs.captured(path / name) if (path / name).exists() else "" for name in ("out", "err")]
        return inputs.Ended(instance=path.name, exit=exit_, stdout=texts[0], stderr=texts[1])

    def forget(self, instance: str) -> None:
        """See base.Runner."""
        if instance not in self._live and _INSTANCE.fullmatch(instance):
            self._drop(self._root / instance)

    def _drop(self, path: Path) -> None:
        """Delete the folder; what is another user's in it the launcher deletes first."""
        spec = folder.spec_of(path)
        if self._launcher is None or spec is None or not spec.user or not folder.has_own(path):
            folder.drop(path)
            return
        with contextlib.suppress(OSError, Refused):  # at the next start, then
            asked = self._launcher.empty(spec.instance, spec.user)
            self._loop.add_reader(asked, self._on_emptied, asked, path)

    def _on_emptied(self, asked: socket.socket, path: Path) -> None:
        self._loop.remove_reader(asked)
        asked.close()
        folder.drop(path)

    # -------------------------------------------------------------------------------------------- housekeeping

    def bound_outputs(self) -> None:
        """Rotate and shorten what has grown over its bound; called every limits.LOG_LOOK_EVERY_S."""
        for workload in self._live.values():
            with contextlib.suppress(OSError):
                if workload.spec.capture:
                    logs.shorten(workload.path / "out")
                    logs.shorten(workload.path / "err")
                else:
                    logs.rotate(Path(workload.spec.output))

    def close(self) -> None:
        """See base.Runner."""
        for workload in self._live.values():
            self._drop_handle(workload)
            if workload.asked is not None:
                workload.asked.close()
            for timer in workload.timers:
                timer.cancel()
        self._live.clear()
        if self._reaping is not None:
            self._reaping.cancel()

    def _later(self, workload: _Workload, delay_s: float, then: Callable[[_Workload], None]) -> None:
        timer = self._loop.call_later(max(0.0, delay_s), then, workload)
        now = self._loop.time()
        workload.timers = (*(old for old in workload.timers if not old.cancelled() and old.when() > now), timer)

    def _drop_handle(self, workload: _Workload) -> None:
        if workload.handle >= 0:
            self._loop.remove_reader(workload.handle)
            os.close(workload.handle)
            workload.handle = -1

    def _reap(self) -> None:
        """Take the exit codes of our own shims, which tell nothing, so that no zombie stays."""
        for pid in sorted(self._ending):
            try:
                done, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done = pid
            if done:
                self._ending.discard(pid)
        if self._reaping is not None:
            self._reaping.cancel()
        self._reaping = self._loop.call_later(limits.PROCESS_REAP_S, self._reap) if self._ending else None
