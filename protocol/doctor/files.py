"""What files, keys, disks and rooms mean: pure functions from facts to findings."""

from __future__ import annotations

from protocol import limits
from protocol.doctor import words
from protocol.doctor.facts import Disk, File, Key, Room
from protocol.doctor.findings import Finding, ok, problem, warning


def folder(check: str, seen: File, user: int, mode: int) -> Finding:
    """Judge the data directory: whose it is, and who may change or list it. `mode` is the one it is made with.

    `user` is the uid that asks: root may look after a directory of anybody's.
    """
    if not seen.present:
        return problem(check, f"{seen.path} does not exist", "name the right directory with --data")
    if seen.mode & 0o022:
        says = f"{seen.path} can be changed by others ({seen.mode:o})"
        return problem(check, says, f"chmod {mode:o} {seen.path}")
    if seen.mode & ~mode & 0o077:
        says = f"{seen.path} is more open than it is made ({seen.mode:o})"
        return warning(check, says, f"chmod {mode:o} {seen.path}")
    if user not in (0, seen.owner):
        says = f"{seen.path} belongs to uid {seen.owner}, and you are uid {user}"
        return warning(check, says, "ask its owner, or use sudo: not all can be seen from here")
    return ok(check, f"{seen.path}, of uid {seen.owner}, {seen.mode:o}")


def key(check: str, seen: Key, owner: int, restore: str) -> Finding:
    """Judge a private key: there, its owner's alone, usable. `owner`: of the folder. `restore`: what brings it back."""
    file = seen.file
    if not file.present:
        return problem(check, f"{file.path} is missing", restore)
    if file.mode & 0o077:
        says = f"{file.path} is a private key and can be read by others ({file.mode:o})"
        return problem(check, says, f"chmod 600 {file.path}; if others use this machine, make a new key: {restore}")
    if file.owner != owner:
        says = f"{file.path} belongs to uid {file.owner}, its folder to uid {owner}"
        return problem(check, says, f"chown --reference={_parent(file.path)} {file.path}")
    if seen.flaw:
        return problem(check, f"{file.path}: {seen.flaw}", restore)
    return ok(check, f"{file.path}: only its owner can read it")


def disk(check: str, seen: Disk) -> Finding:
    """Judge the room under a data directory."""
    if seen.read_only:
        says = f"{seen.path} is mounted read-only"
        return problem(check, says, "look why (dmesg: a failing card does this), then mount it for writing again")
    if seen.inodes and seen.inodes_free < limits.DOCTOR_INODES_MIN:
        says = f"{seen.path} has {seen.inodes_free} inodes left: no new file can be made, however many bytes are free"
        return problem(check, says, f"remove small files there: df -i {seen.path}")
    if seen.free < limits.DOCTOR_DISK_BYTES_MIN:
        says = f"{seen.path} is full: {words.size(seen.free)} free of {words.size(seen.total)}"
        return problem(
            check, says, f"make room (du -xh {seen.path} | sort -h | tail); nothing unstored is acknowledged"
        )
    if seen.free < limits.DOCTOR_DISK_BYTES_LOW:
        says = f"{seen.path} has little room: {words.size(seen.free)} free of {words.size(seen.total)}"
        return warning(check, says, f"make room (du -xh {seen.path} | sort -h | tail), or entries will be dropped")
    if seen.inodes and seen.inodes_free < limits.DOCTOR_INODES_LOW:
        return warning(check, f"{seen.path} has {seen.inodes_free} inodes left", "remove small files there: df -i")
    return ok(check, f"{words.size(seen.free)} free of {words.size(seen.total)}")


def aside(check: str, paths: list[str]) -> Finding:
    """Judge files of a store that were put aside because they were damaged."""
    if not paths:
        return ok(check, "no store was ever set aside")
    says = f"{words.names(paths)}: damaged once and set aside; what could be read of it went on"
    return warning(check, says, "look why (power, card, memory), copy them away for a look, then remove them")


def room(check: str, seen: Room, open_files: int) -> Finding:
    """Judge what the process may have; it should have `open_files`."""
    if seen.open_files < open_files:
        says = f"at most {seen.open_files} open files, and {open_files} may be needed"
        return warning(check, says, "raise it: LimitNOFILE= in the unit, or ulimit -Hn")
    if seen.memory_free < limits.DOCTOR_MEMORY_BYTES_LOW:
        says = f"the machine has {words.size(seen.memory_free)} of memory left ({words.size(seen.memory_total)} in all)"
        return warning(check, says, "stop something, or bound it (resources.memory of a service)")
    return ok(check, f"{seen.open_files} open files, {words.size(seen.memory_free)} of memory left")


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."
