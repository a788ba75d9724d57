"""Where a workload works: its artifact, or a folder of its own; and the inline files in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

from edge_agent.core import inputs
from edge_agent.shell.runners import tree
from edge_agent.shell.runners.script import Identity
from protocol import documents, ids, limits
from protocol.errors import Refused


def passage(folder: Path) -> Path:
    """Make a folder that workloads of other users may pass through but not list, whatever the umask."""
    folder.mkdir(exist_ok=True, parents=True)
    folder.chmod(0o711)
    return folder


def artifact_folder(data: Path, digest: str) -> Path:
    """Return the folder of an unpacked artifact. Raises BadId."""
    return data / "artifacts" / ids.digest(digest).removeprefix("sha256:")


def furnish(data: Path, action: inputs.Launch, folder: Path, who: Identity) -> Path:
    """Make the working directory ready and return it (`cwd` applied). Raises Refused, BadId, OSError.

    An artifact without inline files is used as it is, read-only and shared. With inline files it is linked (no byte is
    copied) into the instance's own `folder`. Without an artifact, a service keeps `data/SERVICE`, a task or a step gets
    an empty folder that goes with it.
    """
    process = action.process
    base = _base(data, action, folder)
    artifact = artifact_of(data, process)
    if artifact is not None:
        _from_artifact(artifact, base)
    base.mkdir(parents=True, mode=0o755, exist_ok=True)
    if base != artifact:
        if base.parent != folder:
            passage(base.parent)
        if base.stat().st_uid == os.geteuid():
            base.chmod(0o755)
        _write_files(base, process.files, who)
        if who.switch and not who.given_later:
            _give(base, who)
    return _inside(base, process.cwd)


def owned(data: Path, action: inputs.Launch, folder: Path) -> Path | None:
    """Return the folder that `furnish` made for the workload's user; None: it works in a shared artifact."""
    base = _base(data, action, folder)
    return None if base == artifact_of(data, action.process) else base


def find(data: Path, process: documents.Process, service: str, instance: str) -> Path:
    """Return the working directory that `furnish` made for a service's instance. Raises Refused, BadId."""
    own = data / "w" / instance / "dir"
    artifact = artifact_of(data, process)
    base = own if own.is_dir() else artifact or data / "data" / ids.name(service)
    return _inside(base, process.cwd)


def artifact_of(data: Path, process: documents.Process) -> Path | None:
    """Return the folder of the process's artifact, if it has one."""
    return artifact_folder(data, process.artifact) if process.artifact else None


def _base(data: Path, action: inputs.Launch, folder: Path) -> Path:
    artifact = artifact_of(data, action.process)
    if artifact is not None and not action.process.files:
        return artifact
    if artifact is None and not action.capture:
        return data / "data" / ids.name(action.key)
    return folder / "dir"


def _from_artifact(artifact: Path, base: Path) -> None:
    if not artifact.is_dir():
        raise Refused(f"the artifact {artifact.name[:12]} is not on this device yet")
    if base == artifact:
        return
    tree.link(artifact, base)


def _write_files(base: Path, files: list[documents.InlineFile], who: Identity) -> None:
    if sum(len(file.text) for file in files) > limits.FILES_INLINE_BYTES_MAX:
        raise Refused(f"the inline files are over {limits.FILES_INLINE_BYTES_MAX} bytes: pack them as an artifact")
    owner = (who.uid, who.gid) if who.switch and not who.given_later else None
    for file in files:
        parts = PurePosixPath(file.path).parts
        if not parts or file.path.startswith("/") or ".." in parts or "\0" in file.path:
            raise Refused(f"the inline file {file.path!r} is not inside the working directory")
        try:
            tree.write(base, parts, file.text.encode(), file.mode, owner)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise Refused(f"the inline file {file.path!r} goes through a link, or through a file") from error


def _give(base: Path, who: Identity) -> None:
    """Make `base` and all in it `who`'s, but for what is linked to an artifact; done already when `base` is theirs."""
    if base.stat().st_uid == who.uid:
        return
    try:
        for _, _, names, handle in os.fwalk(base, topdown=False):  # by descriptors: nobody puts a link in the way
            for name in names:
                if os.stat(name, dir_fd=handle, follow_symlinks=False).st_nlink == 1:
                    os.chown(name, who.uid, who.gid, dir_fd=handle, follow_symlinks=False)
            os.fchown(handle, who.uid, who.gid)
    except RecursionError as error:
        raise Refused(f"{base} nests too deep to be given to {who.name!r}: remove it on the device") from error


def _inside(base: Path, cwd: str) -> Path:
    """Return `cwd` within `base`. Raises Refused when it leaves it or does not exist."""
    root = os.path.realpath(base)
    place = os.path.realpath(os.path.join(root, cwd))
    if place != root and not place.startswith(root + os.sep):
        raise Refused(f"the working directory {cwd!r} is outside of {base}")
    if not os.path.isdir(place):
        raise Refused(f"there is no directory {cwd!r} in {base}")
    return Path(place)
