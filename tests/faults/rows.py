"""The rows of the catalogue: how a test says which one it causes, and how often each was survived."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import pytest
from attrs import Factory, define

from tests.faults.not_here import NOT_HERE

__all__ = ["COUNT", "FIGURE", "NET", "OVER_CABLE", "PLAIN_AND_TLS", "QUICK", "ROW", "Tally", "percentile", "ranges", "row"]

ROW: Final = "row"
NET: Final = "net"
FIGURE: Final = "figure "
COUNT: Final = "count "
"""How the properties of a test's report are called: its row, what it ran over, each figure that it measured, each count."""

QUICK: Final = frozenset({17, 21, 24, 26, 61, 81, 82, 83, 87, 88, 92, 96, 98, 103, 106, 109, 122, 126, 131, 134})
"""The twenty rows that take least time, as measured: ``-m quick`` for a second look at something, such as another version."""

PLAIN_AND_TLS: Final = pytest.mark.parametrize("net", ["plain", "tls"], indirect=True)
"""The test runs over plain TCP and over TLS, as it could make a difference."""

OVER_CABLE: Final = pytest.mark.parametrize("net", ["cable"], indirect=True)
"""The test runs over a cable that can be pulled: the fixture `cable`."""


def row(number: int, *, kills: str) -> pytest.MarkDecorator:
    """Say that the test causes row *number*, and fails when the library is changed in the way that *kills* describes."""
    assert kills
    return pytest.mark.row(number, kills=kills)


def percentile(figures: list[float], share: float) -> float:
    """Return the figure that *share* of the *figures* do not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@define
class Tally:
    """What became of the rows, and what was measured."""

    survived: set[int] = Factory(set)
    failed: set[int] = Factory(set)
    figures: dict[str, list[float]] = Factory(lambda: defaultdict(list))

    def add(self, reports: Iterable[pytest.TestReport | pytest.CollectReport], *, passed: bool) -> None:
        """Count the *reports* of tests that ended alike."""
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == ROW:
                    (self.survived if passed else self.failed).add(int(str(value)))
                elif passed and name.startswith(FIGURE):
                    self.figures[name.removeprefix(FIGURE)].append(float(str(value)))

    def lines(self) -> list[str]:
        """Return it for people to read."""
        told = [f"survived: {len(self.survived - self.failed)} rows: {ranges(self.survived - self.failed)}"]
        if self.failed:
            told.append(f"failed:   {ranges(self.failed)}")
        told += [f"not here: {number} ({reason})" for number, reason in sorted(NOT_HERE.items())]
        for name, figures in sorted(self.figures.items()):
            p50, p99 = percentile(figures, 0.5), percentile(figures, 0.99)
            told.append(f"{name}: p50 {p50:.3f}, p99 {p99:.3f}, max {max(figures):.3f} ({len(figures)} times)")
        return told


def ranges(numbers: Iterable[int]) -> str:
    """Return *numbers* as 1-3, 5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
