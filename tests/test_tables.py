"""The tables of tests/README.md: each row names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROWS = [line for line in (TESTS / "README.md").read_text(encoding="utf-8").splitlines() if re.match(r"\|.*`test_\w+`", line)]


def known() -> set[str]:
    """Return the names of all tests, and of the files that hold them."""
    files = list(TESTS.rglob("test_*.py"))
    return {name for path in files for name in [path.stem, *re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))]}


KNOWN = known()


def test_a_row_names_tests_that_exist() -> None:
    """A table of promises is worth what checks it."""
    assert {row: gone for row in ROWS if (gone := set(re.findall(r"`(test_\w+)`", row)) - KNOWN)} == {}


def test_there_are_tables() -> None:
    """A pattern that matches no row would check nothing."""
    assert len(ROWS) > 40
