"""apply, diff, delete: what an operator declares, sent up whole or not at all."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import client, options
from hub.cli.view import human, output
from hub.cli.view.output import Format
from protocol import limits

if TYPE_CHECKING:
    from hub.cli.pack import Packed
    from protocol.spec.load import AnyResource, Source

SUFFIXES = (".yaml", ".yml")
SHOWN_UPLOAD_BYTES_MIN = 1 * limits.MIB

Files = Annotated[list[str], typer.Option("-f", "--file", metavar="FILE|DIR|-", help="May be given again.")]


def apply(
    files: Files,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch until it runs on all nodes that are online.")] = False,
    wait_all: Annotated[bool, typer.Option("--wait-all", help="As --wait (or --wait=all), also for the away.")] = False,
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait at most.")] = "5m",
    form: options.Output = Format.TABLE,
) -> None:
    """Declare services and workflows: -f FILE, DIR (its *.yaml) or - (stdin)."""
    wait_s = options.seconds(timeout, "--timeout")
    with client.Client() as hub, tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        body = _prepared(hub, read_sources(files), Path(scratch), dry_run=dry_run)
        answer = hub.post("/v1/apply", body | {"dry_run": dry_run})
        results: list[dict[str, Any]] = answer["results"]
        if form.is_exact:
            output.emit(results, form)
        elif dry_run or not (wait or wait_all):
            for one in results:
                output.say(_result_line(one, dry_run))
        if not dry_run and (wait or wait_all):
            from hub.cli import wait as waiting

            raise typer.Exit(waiting.until_true(hub, results, wait_s, patient=wait_all, quiet=form.is_exact))


def diff(
    files: Files,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 when something differs.")] = False,
) -> None:
    """Show how files differ from what is declared at the hub."""
    import difflib

    differs = False
    with client.Client() as hub, tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        resources, _ = _loaded(read_sources(files), Path(scratch))
        for resource in resources:
            key = f"{resource.kind.lower()}/{resource.name}"
            lines = list(
                difflib.unified_diff(
                    _stored(hub, key).splitlines(),
                    _ordered(resource.to_json()).splitlines(),
                    f"{key} at the hub",
                    f"{key} in the files",
                    lineterm="",
                )
            )
            differs = differs or bool(lines)
            for line in lines:
                output.say(line, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))
            if not lines:
                output.note(f"{key} is the same")
    raise typer.Exit(1 if differs and exit_code else 0)


def delete(
    names: Annotated[list[str], typer.Argument(metavar="KIND/NAME", help="service/NAME, workflow/NAME, token/ID")],
) -> None:
    """Take services and workflows away: they stop everywhere, the away included once they return."""
    paths: list[tuple[str, str]] = []
    for word in names:
        kind, slash, name = word.partition("/")
        kind = kind.lower().removesuffix("s")
        if not slash or not name or kind not in ("service", "workflow", "token"):
            raise client.UsageError(f'"{word}": write KIND/NAME, as in service/line-vision')
        paths.append((f"{kind}/{name}", f"/v1/tokens/{name}" if kind == "token" else f"/v1/resources/{kind}/{name}"))
    with client.Client() as hub:
        for key, path in paths:
            hub.send("DELETE", path)
            output.say(f"{key} deleted")


def read_sources(files: list[str]) -> list[Source]:
    """Return the files that were named: each file, each *.yaml and *.yml of a folder, stdin for `-`."""
    from protocol.spec.load import Source

    found: list[Source] = []
    for name in files:
        if name == "-":
            found.append(Source(name="<stdin>", text=sys.stdin.read(limits.SPEC_BYTES_MAX + 1)))
            continue
        path = Path(name)
        inside = sorted(one for one in path.glob("*") if one.suffix in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise client.UsageError(f"{name} holds no {', '.join('*' + suffix for suffix in SUFFIXES)}")
        found += [Source(name=str(one), text=_text(one)) for one in inside]
    return found


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


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > limits.SPEC_BYTES_MAX:
            raise client.UsageError(
                f"{path} is over {limits.SPEC_BYTES_MAX >> 20} MiB: large files go into an artifact"
            )
        return path.read_text()
    except OSError as error:
        raise client.UsageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise client.UsageError(f"{path} is no text (byte {error.start} is not UTF-8)") from error


def _prepared(hub: client.Client, sources: list[Source], scratch: Path, *, dry_run: bool) -> dict[str, Any]:
    """Return the body of an apply; what it needs is at the hub by then."""
    _, packed = _loaded(sources, scratch)
    for name, one in packed.items():
        if not dry_run:
            _upload(hub, name.rpartition(":")[2], one)
    return {
        "sources": [{"name": one.name, "text": one.text} for one in sources],
        "artifacts": {name: one.digest for name, one in packed.items()},
    }


def _loaded(sources: list[Source], scratch: Path) -> tuple[list[AnyResource], dict[str, Packed]]:
    """Return the resources with digests for artifacts, and the artifacts by `FILE:FOLDER`. Raises Mistaken."""
    from protocol.spec import load

    loaded = load.load(sources)
    _raise(loaded.mistakes)
    packed = _packed(loaded, scratch)
    bound = load.load(sources, {name: one.digest for name, one in packed.items()})
    _raise(bound.mistakes)
    return bound.documents, packed


def _packed(loaded: Any, scratch: Path) -> dict[str, Packed]:
    from hub.cli import pack

    packed: dict[str, pack.Packed] = {}
    for file, resource in zip(loaded.files, loaded.documents, strict=True):
        written = resource.spec.artifact
        key = f"{file}:{written}"
        if written is None or written.startswith("sha256:") or key in packed:
            continue
        base = Path.cwd() if file == "<stdin>" else Path(file).parent
        packed[key] = pack.pack(pack.locate(base, written), scratch / f"{len(packed)}.tar.zst")
    return packed


def _raise(mistakes: list[Any]) -> None:
    if mistakes:
        import msgspec

        raise client.Mistaken([{"path": "", **msgspec.to_builtins(one)} for one in mistakes])


def _upload(hub: client.Client, name: str, one: Packed) -> None:
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


def _stored(hub: client.Client, key: str) -> str:
    try:
        return _ordered(hub.get(f"/v1/resources/{key}")["spec"])
    except client.ApiRefused as error:
        if error.status == 404:
            return ""
        raise


def _ordered(document: dict[str, Any]) -> str:
    """Return a document as YAML in the one order: fields as they are declared, free keys by name."""
    import json

    from protocol.spec import load

    return output.as_yaml(load.from_json(json.loads(json.dumps(document, sort_keys=True))).to_json())


def _result_line(one: dict[str, Any], dry_run: bool) -> str:
    nodes: list[str] = one["nodes"]
    where = f"on {human.plural(len(nodes), 'node')}: {', '.join(nodes[:6])}" + (", …" if len(nodes) > 6 else "")
    verb = {"created": "would be created", "changed": "would be changed"} if dry_run else {}
    line = f"{one['kind']}/{one['name']} {verb.get(one['action'], one['action'])}"
    note = one.get("note")
    return f"{line}, {where}" * bool(nodes) + line * (not nodes) + (f"; {note}" if note else "")
