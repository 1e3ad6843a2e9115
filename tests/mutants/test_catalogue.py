"""The bugs made by hand still fit today's source; `python -m tests.mutants` runs the tests that must notice them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).parents[2]


def test_there_are_enough_and_each_is_another() -> None:
    """At least forty, no two of one name or one change."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_the_mutants_of_a_file_apply(file: str) -> None:
    """What each changes stands once there, what comes out compiles, and the tests that it names are there."""
    source = (ROOT / "bybit_sync" / file).read_text(encoding="utf-8")
    for mutant in MUTANTS:
        if mutant.file == file:
            assert source.count(mutant.old) == 1, mutant.name
            compile(source.replace(mutant.old, mutant.new), mutant.name, "exec")
            named = [test for test in shlex.split(mutant.tests) if test.startswith("tests/")]
            assert all((ROOT / test).exists() for test in named), mutant.name
