"""What the tidy tests look at: the project's own files, as git would list them."""

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("protocol", "edge_agent", "hub")
SKIPPED = {".git", ".venv", "build", "__pycache__", ".hypothesis", ".pytest_cache", ".ruff_cache"}

_PUBLIC = re.compile(r"(?:async def|def|class) [^_]")
_HEAD = re.compile(r"(\s*)(?:async )?(def|class)\b")


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
def _facts(path: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return `functions` and `silent` of `path`. No tree outlasts this: a thousand of them burden every later test,
    for what collects garbage looks at all of them."""
    tree = ast.parse(path.read_text())
    return list(_functions(tree)), list(_silent(tree))


def functions(path: Path, over: int = 0) -> list[tuple[str, int]]:
    """Return (name, length in lines without the docstring) of each function in `path` that is longer than `over`."""
    if not _may_hold(path.read_text(), over):
        return []
    return [one for one in _facts(path)[0] if one[1] > over]


def _may_hold(text: str, over: int) -> bool:
    """Tell by the lines alone, as quick as reading, whether a function of `text` may have more than `over`: it ends at
    the next `def` or `class` that stands as far left as its own, or before."""
    open_: dict[int, int] = {}
    for number, line in enumerate([*text.splitlines(), "class"]):
        if found := _HEAD.match(line):
            indent = found.end(1)
            if any(number - begun > over for at, begun in open_.items() if at >= indent):
                return True
            open_ = {at: begun for at, begun in open_.items() if at < indent}
            if found[2] == "def":
                open_[indent] = number
    return False


def silent(path: Path) -> list[tuple[str, int]]:
    """Return (name, line) of each public class and function of the module `path` that states no contract."""
    return [] if _is_told(path.read_text()) else _facts(path)[1]


def _is_told(text: str) -> bool:
    """Tell whether the lines alone show that each public class and function of a module has a docstring: it begins
    right below the line that ends the head with a colon. What is written otherwise is for the parser."""
    lines = [*text.splitlines(), ""]
    for at, line in enumerate(lines):
        if _PUBLIC.match(line):
            below = next((n for n in range(at, len(lines)) if lines[n].endswith(":") or not lines[n]), at) + 1
            if below >= len(lines) or not lines[below].startswith(('    """', '    r"""')):
                return False
    return True


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    pending: list[ast.AST] = [tree]
    for node in pending:  # statements alone: walking through expressions takes seconds
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, _length(node)
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            pending += getattr(node, field, ())


def _silent(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        is_one = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if is_one and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name, node.lineno


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body
    first = body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def place(path: Path) -> str:
    """Return `path` as a person would name it."""
    return str(path.relative_to(ROOT))
