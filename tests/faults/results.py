"""What a run of the tests found out, read from pytest's own JUnit file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from attrs import Factory, define, field, frozen

from tests.faults.not_here import NOT_HERE
from tests.faults.rows import COUNT, FIGURE, NET, ROW

__all__ = ["ROWS", "Case", "Row", "Run", "read_run"]

ROWS: Final = range(1, 216)
"""The rows of the catalogue."""

_VERDICTS: Final = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@frozen
class Case:
    """One test, with one set of parameters."""

    file: str
    name: str
    verdict: str
    """"passed", "failed" or "skipped"."""
    why: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    """What it noted of itself; a name may come several times."""

    def noted(self, name: str) -> list[str]:
        """Return what it noted under *name*."""
        return [value for key, value in self.properties if key == name]

    def starting(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Yield each number that it noted under a name with *prefix*, and the rest of that name."""
        return ((key.removeprefix(prefix), float(value)) for key, value in self.properties if key.startswith(prefix))

    @property
    def rows(self) -> list[int]:
        """Which rows of the catalogue it causes: noted, or in its name where it was skipped before it could note anything."""
        return [int(row) for row in self.noted(ROW) or re.findall(r"\[row(\d+)", self.name)]

    @property
    def wire(self) -> str:
        """What it ran over: "plain", "tls", "cable" (which is TLS), or "" for a scene of its own."""
        return next(iter(self.noted(NET)), "")

    @property
    def sentence(self) -> str:
        """Its name for people."""
        return self.name.partition("[")[0].removeprefix("test_").replace("_", " ")


@define
class Row:
    """What became of one row of the catalogue."""

    number: int
    cases: list[Case] = Factory(list)

    @property
    def is_survived(self) -> bool:
        """Whether something was tried, and all that was tried passed."""
        verdicts = {case.verdict for case in self.cases}
        return "passed" in verdicts and "failed" not in verdicts

    @property
    def is_failed(self) -> bool:
        """Whether a test of it failed."""
        return any(case.verdict == "failed" for case in self.cases)

    def over(self, *wires: str) -> list[Case]:
        """Return the tests that ran over one of *wires*."""
        return [case for case in self.cases if case.wire in wires]

    def figures(self, name: str) -> list[float]:
        """Return every figure *name* of tests that passed, in seconds of the run."""
        return [
            figure for case in self.cases if case.verdict == "passed" for what, figure in case.starting(FIGURE) if what == name
        ]


@define
class Run:
    """Everything that one run of the tests found out."""

    cases: list[Case] = Factory(list)
    rows: dict[int, Row] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = {number: Row(number) for number in ROWS}
        for case in self.cases:
            for number in self._rows_of(case):
                self.rows[number].cases.append(case)

    @staticmethod
    def _rows_of(case: Case) -> Iterable[int]:
        elsewhere = f"{case.file}::{case.name.partition('[')[0]}"
        return case.rows or [row for row, other in NOT_HERE.items() if other.test == elsewhere]

    def verdicts(self, verdict: str) -> list[Case]:
        """Return the tests that ended so."""
        return [case for case in self.cases if case.verdict == verdict]

    def count(self, name: str, file: str = "") -> int:
        """Return the sum of what the tests in *file*, a part of its path, counted as *name*."""
        return sum(int(n) for case in self.cases if file in case.file for what, n in case.starting(COUNT) if what == name)

    def figures(self, name: str) -> list[float]:
        """Return every figure *name*, in seconds of the run."""
        return [figure for row in self.rows.values() for figure in row.figures(name)]


def read_run(*files: Path) -> Run:
    """Read what pytest wrote with ``--junitxml`` and ``junit_family=xunit1``."""
    return Run([_case(element) for file in files for element in ET.parse(file).iter("testcase")])


def _case(element: ET.Element) -> Case:
    verdict, why = "passed", ""
    for child in element:
        # The setup's error is the last word, where there are both.
        verdict = _VERDICTS.get(child.tag, verdict)
        why = _one_line(child.get("message", "")) if child.tag in _VERDICTS else why
    properties = tuple((p.get("name", ""), p.get("value", "")) for p in element.iter("property"))
    # A whole file that cannot be imported has no name of its own.
    file = element.get("file") or element.get("classname", "").replace(".", "/")
    return Case(file, element.get("name", ""), verdict, why, properties)


def _one_line(text: str) -> str:
    """Return the beginning of *text*, fit for a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")[:200]
