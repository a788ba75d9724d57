"""The folder of one instance: all that is known of it, readable by any later life of the agent.

    spec.json   what the agent needs to adopt it; with the boot it was made in
    start       the script that becomes the workload; under flock as long as its shim lives
    run         the workload's pid and start time, written before its first instruction
    exit        how it ended: `CODE end`
    expired     it was told to end because its lease had run out
    lease       until when it may run: `SECONDS end`, of CLOCK_BOOTTIME; only with a lease (lease.sh enforces it)
    out, err    captured output (tasks and steps)
    dir/        its own working directory, where it has one

It is made whole under another name and renamed, so a half-made folder never counts. What it tells:

    exit                             ended, with this code
    run, lock held                   runs, or its shim is about to record the end
    run, lock free                   the shim was killed: it may still run; its exit is lost
    no run, lock held                about to start
    no run, lock free, this boot     it never started
    no exit, another boot            unknown: the power went while it may have run (INVARIANTS A14)
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import math
import os
from pathlib import Path

import msgspec

from edge_agent.core import inputs
from edge_agent.shell.runners import proc, tree

_EXIT_BYTES = 32
_SIGNAL_BASE = 128
_SIGNAL_LAST = 64
_FOR_GOOD_S = 2**31 - 1  # what a shell on 32 bits can reckon with: 68 years


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What adoption needs. `output` is the file of stdout (and of stderr, unless captured apart)."""

    instance: str
    key: str
    boot: str
    capture: bool
    timeout_s: float
    stop_grace_s: float
    output: str
    socket: str
    user: str = ""
    """Whom the launcher started it as; empty: the agent did it by itself."""
    uid: int = -1
    """The number of `user`."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process for ever: pids come again, (pid, start) does not within one boot."""

    pid: int
    start: int


class State(enum.Enum):
    """What a folder tells of its instance."""

    NEVER = enum.auto()
    """It never started, and will not."""
    STARTING = enum.auto()
    RUNS = enum.auto()
    """It runs, or its shim is about to record the end, or other members of its group live on."""
    ENDED = enum.auto()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder tells. `exit` of an ENDED one is empty when the record is lost."""

    state: State
    process: Process | None = None
    exit: inputs.Exit = inputs.Exit()


_specs = msgspec.json.Decoder(Spec)


def make(root: Path, spec: Spec) -> Path:
    """Make the folder of `spec.instance`, whole or not at all. Raises OSError (no space)."""
    unborn = root / f".new-{spec.instance}"
    tree.remove(unborn)
    unborn.mkdir(mode=0o711)
    unborn.chmod(0o711)  # whatever the umask: a workload of another user reaches its own `dir`
    (unborn / "spec.json").write_bytes(msgspec.json.encode(spec))
    (unborn / "exit").write_bytes(b"-" * (_EXIT_BYTES - 1) + b"\n")
    path = root / spec.instance
    unborn.rename(path)
    return path


def write_lease(path: Path, until: float) -> None:
    """Let the instance run until `until` (CLOCK_BOOTTIME); inf: for good. A reader sees the former one or this.

    It is not synced: with the power goes the workload too. Raises OSError.
    """
    seconds = int(min(until, _FOR_GOOD_S))
    unborn = path / "lease.new"
    unborn.write_text(f"{seconds} end\n")
    unborn.replace(path / "lease")


def lease_of(path: Path) -> float:
    """Return until when it may run (CLOCK_BOOTTIME; inf: for good); 0.0: no lease, or nothing that can be read."""
    try:
        words = (path / "lease").read_text().split()
    except (OSError, UnicodeDecodeError):
        return 0.0
    if len(words) != 2 or words[1] != "end" or not words[0].isdecimal():
        return 0.0
    return math.inf if int(words[0]) >= _FOR_GOOD_S else float(words[0])


def arm(path: Path, script: str) -> int:
    """Write the start script and return the descriptor that holds the folder's lock, for the shim to inherit."""
    handle = os.open(path / "start", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(handle, script.encode())
    return handle


def is_locked(path: Path) -> bool:
    """Tell whether a shim lives, or a child of it that has not become the workload yet."""
    try:
        handle = os.open(path / "start", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def spec_of(path: Path) -> Spec | None:
    """Return the spec; None when it is torn (a power cut)."""
    try:
        return _specs.decode((path / "spec.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def process_of(path: Path) -> Process | None:
    """Return the workload's process; None when it never ran, or the record is torn."""
    try:
        text = (path / "run").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    parts = proc.fields(text)
    if len(parts) < 21 or parts[-1] != "end":
        return None
    return Process(pid=int(text.partition(" ")[0]), start=int(parts[19]))


def exit_of(path: Path) -> inputs.Exit | None:
    """Return how it ended; None when no whole record is there.

    The shim knows what a shell knows: 128 + n means signal n, whoever said so.
    """
    try:
        with open(path / "exit", "rb") as file:
            words = file.read(_EXIT_BYTES).partition(b"\n")[0].split()
            time_ms = int(os.fstat(file.fileno()).st_mtime * 1000)
    except OSError:
        return None
    if len(words) != 2 or words[1] != b"end" or not words[0].isdigit():
        return None
    code = int(words[0])
    if _SIGNAL_BASE < code <= _SIGNAL_BASE + _SIGNAL_LAST:
        return inputs.Exit(signal=code - _SIGNAL_BASE, time_ms=time_ms)
    return inputs.Exit(code=code, time_ms=time_ms)


def end_of(path: Path) -> inputs.Exit:
    """Return how it ended, once it has; without a whole record that is not known."""
    exit_ = exit_of(path) or inputs.Exit()
    return msgspec.structs.replace(exit_, expired=True) if (path / "expired").exists() else exit_


def look(path: Path, boot: str) -> Look:
    """Tell what became of the instance (the table above)."""
    ended, process, spec = exit_of(path), process_of(path), spec_of(path)
    if spec is None or spec.boot != boot:
        return Look(state=State.ENDED, process=process, exit=end_of(path))
    locked = is_locked(path)
    if process is None:
        process = process_of(path)  # written since, by a shim that is gone again
    if process is None:
        return Look(state=State.STARTING if locked else State.NEVER)
    if (ended is None and locked) or proc.has_group(process.pid, process.start):
        return Look(state=State.RUNS, process=process)
    return Look(state=State.ENDED, process=process, exit=end_of(path))


def drop(path: Path) -> None:
    """Delete the folder; a crash under way leaves nothing that counts. What a failing disk does not let go stays."""
    gone = path.with_name(f".gone-{path.name}")
    tree.remove(gone)
    with contextlib.suppress(OSError):
        path.rename(gone)
        tree.remove(gone)


def has_own(path: Path) -> bool:
    """Tell whether there is a working directory in the folder that belongs to somebody else."""
    try:
        return (path / "dir").lstat().st_uid != os.geteuid()
    except OSError:
        return False


def sweep(root: Path) -> None:
    """Delete what never counted or no longer does."""
    for path in [*root.glob(".new-*"), *root.glob(".gone-*")]:
        tree.remove(path)
