"""The mutants stay true: each place is there, and what comes out is Python."""

import pytest

from tests.mutants.kinds import Mutant
from tests.mutants.loader import ROOT
from tests.mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_finds_its_places_and_is_python(mutant: Mutant) -> None:
    for file in dict.fromkeys(edit.file for edit in mutant.edits):
        source = (ROOT / file).read_text()
        altered = mutant.alter(file, source)
        assert altered != source
        compile(altered, file, "exec")


def test_no_two_mutants_share_a_name() -> None:
    names = [one.name for one in MUTANTS]
    assert len(set(names)) == len(names)
