"""What the tidy tests look at: the project's own files, as git would list them."""

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("protocol", "edge_agent", "hub")
SKIPPED = {".git", ".venv", "build", "__pycache__", ".hypothesis", ".pytest_cache", ".ruff_cache"}


@functools.cache
def files() -> list[Path]:
    """Return every file that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        found = [path for path in ROOT.rglob("*") if not SKIPPED & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def modules(*rooms: str) -> list[Path]:
    """Return the Python files of `rooms` (all three without any)."""
    chosen = rooms or ROOMS
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in chosen]


def lines(path: Path) -> int:
    """Return how many lines `path` has."""
    return len(path.read_text().splitlines())


@functools.cache
def tree(path: Path) -> ast.Module:
    """Return `path` parsed."""
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (name, length in lines without the docstring) of each function in `path`."""
    pending: list[ast.AST] = [tree(path)]
    for node in pending:  # statements alone: walking through expressions takes seconds
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, _length(node)
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            pending += getattr(node, field, ())


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body
    first = body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def place(path: Path) -> str:
    """Return `path` as a person would name it."""
    return str(path.relative_to(ROOT))
