"""An operator's files: read, checked here first, their artifacts packed and sent ahead."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.cli import client
from hub.cli.view import human, output
from protocol import limits
from protocol.errors import SpecError

if TYPE_CHECKING:
    from hub.cli.pack import Packed
    from protocol.spec.load import AnyResource, Source

SHOWN_UPLOAD_BYTES_MIN = 1 * limits.MIB


def read_sources(files: list[str]) -> list[Source]:
    """Return the files that were named: each file, each *.yaml and *.yml of a folder, stdin for `-`."""
    from protocol.aio.terminal import sources
    from protocol.spec.load import Source

    try:
        return [Source(name=name, text=text) for name, text in sources.named(files)]
    except SpecError as error:
        raise client.UsageError(str(error)) from error


def loaded(sources: list[Source], scratch: Path) -> tuple[list[AnyResource], dict[str, Packed]]:
    """Return the resources with digests for artifacts, and the artifacts by `FILE:FOLDER`. Raises Mistaken."""
    from protocol.spec import load

    first = load.load(sources)
    _raise(first.mistakes)
    packed = _packed(first, scratch)
    if not packed:
        return first.documents, {}
    bound = load.load(sources, {name: one.written or one.digest for name, one in packed.items()})
    _raise(bound.mistakes)
    return bound.documents, packed


def _packed(found: Any, scratch: Path) -> dict[str, Packed]:
    from hub.cli import pack

    packed: dict[str, pack.Packed] = {}
    named = [
        (file, one, written) for file, one in zip(found.files, found.documents, strict=True) for written in _of(one)
    ]
    for file, resource, written in named:
        key = f"{file}:{written}"
        if written.rpartition("@")[2].startswith("sha256:") or key in packed:
            continue
        base = Path.cwd() if file == "<stdin>" else Path(file).parent
        path = pack.locate(base, written)
        if resource.kind == "Upgrade":
            packed[key] = pack.package(path, resource.spec)
            continue
        packed[key] = pack.pack(path, scratch / f"{len(packed)}.tar.zst")
    return packed


def _of(resource: AnyResource) -> list[str]:
    """Return what a document names as its artifact, or its packages."""
    if resource.kind == "Policy":
        return []
    if resource.kind == "Upgrade":
        return resource.spec.packages
    return [resource.spec.artifact] if resource.spec.artifact else []


def _raise(mistakes: list[Any]) -> None:
    if mistakes:
        import msgspec

        raise client.Mistaken([{"path": "", **msgspec.to_builtins(one)} for one in mistakes])


def upload(hub: client.Client, name: str, one: Packed) -> None:
    """Put an artifact at the hub, unless it is there; a long one shows how far it is."""
    path = f"/v1/artifacts/{one.digest}"
    if hub.holds(path):
        return
    with one.path.open("rb") as file:
        if one.size < SHOWN_UPLOAD_BYTES_MIN or not sys.stderr.isatty():
            hub.upload(path, one.size, iter(lambda: file.read(limits.ARTIFACT_CHUNK_BYTES), b""))
            return
        from rich import progress

        bar = progress.Progress(
            *progress.Progress.get_default_columns(), progress.DownloadColumn(), console=output.errors()
        )
        with bar:
            task = bar.add_task(f"uploading {name}", total=one.size)
            wrapped = bar.wrap_file(file, task_id=task)
            hub.upload(path, one.size, iter(lambda: wrapped.read(limits.ARTIFACT_CHUNK_BYTES), b""))


def show_mistakes(mistakes: list[dict[str, Any]]) -> None:
    """Print all mistakes, file by file, each with its place."""
    err = output.errors()
    for name in dict.fromkeys(str(one["file"]) for one in mistakes):
        mine = [one for one in mistakes if one["file"] == name]
        err.print(f"{name}: {human.plural(len(mine), 'mistake')}, nothing applied", style="bold red", markup=False)
        places = [f"{one['line']}:{one['column']}" for one in mine]
        paths = [str(one["path"]) for one in mine]
        left, middle = max(map(len, places)), min(44, max(map(len, paths)))
        for place, path, one in zip(places, paths, mine, strict=True):
            err.print(f"  {place:<{left}}  {path:<{middle}}  {one['text']}", markup=False)
