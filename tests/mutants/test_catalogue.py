"""The bugs made by hand still fit today's source; `python -m tests.mutants` runs the tests that must notice them."""

from __future__ import annotations

import ast
import functools
import shlex
from pathlib import Path

from tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).parents[2]


@functools.cache
def source_of(file: str) -> str:
    """Return the text of a file of the library."""
    return (ROOT / "bybit_sync" / file).read_text(encoding="utf-8")


def test_there_are_enough_and_each_is_another() -> None:
    """At least forty, no two of one name or one change."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_what_a_mutant_changes_stands_once_in_its_file() -> None:
    """And what comes out is Python."""
    for mutant in MUTANTS:
        source = source_of(mutant.file)
        assert source.count(mutant.old) == 1, mutant.name
        ast.parse(source.replace(mutant.old, mutant.new), mutant.name)


def test_the_tests_that_must_notice_a_mutant_are_there() -> None:
    """Each file and each test that is named."""
    named = {test: mutant.name for mutant in MUTANTS for test in shlex.split(mutant.tests) if test.startswith("tests/")}
    assert {test: mutant for test, mutant in named.items() if not (ROOT / test).exists()} == {}
