"""Runs Python with one mutant in it: `python -m tests.mutants.loader NAME -m MODULE [ARGUMENTS]`.

The mutant's modules are compiled from their altered source when they are imported; nothing on the disk changes.
Children that are forked have it too; programs that are started anew do not.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import runpy
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.kinds import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the altered source; never a cached one."""

    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path).decode()
        altered = self._mutant.alter(Path(path).relative_to(ROOT).as_posix(), source)
        return compile(altered, path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._modules = {edit.file.removesuffix(".py").replace("/", ".") for edit in mutant.edits}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None, fullname
        assert spec.origin is not None, fullname
        return importlib.util.spec_from_loader(fullname, _Loader(fullname, spec.origin, self._mutant))


def install(name: str) -> None:
    """Have the mutant `name` in every import from now on. Before any of its modules is imported."""
    mutant = next(one for one in MUTANTS if one.name == name)
    loaded = [edit.file for edit in mutant.edits if edit.file.removesuffix(".py").replace("/", ".") in sys.modules]
    assert not loaded, f"{loaded} are imported already"
    sys.meta_path.insert(0, _Finder(mutant))


if __name__ == "__main__":
    assert sys.argv[2] == "-m", __doc__
    install(sys.argv[1])
    sys.argv = sys.argv[3:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
