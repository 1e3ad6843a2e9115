"""The mark of the rows, for the tests of every folder, and the tally at the end: a plugin of pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults import pace
from tests.faults.rows import QUICK, ROW, Tally
from tests.searching import wants


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of the rows."""
    config.addinivalue_line("markers", "row(number, kills): the row of the catalogue, and the mutant that the test kills")
    config.addinivalue_line("markers", "quick: a test of one of the twenty rows that take least time")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the quick rows; leave out what runs for minutes unless ``-m soak`` asks for it."""
    marked = [(item, mark) for item in items if (mark := item.get_closest_marker(ROW))]
    for item, mark in marked:
        if mark.args[0] in QUICK:
            item.add_marker(pytest.mark.quick)
    if not wants(config, "soak"):
        long = [item for item, _ in marked if item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the row's number into the test's id, in front of what else it is parametrised with."""
    mark = metafunc.definition.get_closest_marker(ROW)
    if mark is not None:
        metafunc.parametrize("_row", mark.args, indirect=True, ids=[f"row{mark.args[0]}"])


@pytest.fixture(autouse=True)
def _row(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Put the row's number into the test's report."""
    if hasattr(request, "param"):
        record_property(ROW, request.param)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell which rows were survived, and what was measured."""
    tally = Tally()
    tally.add(terminalreporter.stats.get("passed", ()), passed=True)
    tally.add([r for kind in ("failed", "error") for r in terminalreporter.stats.get(kind, ())], passed=False)
    if tally.survived or tally.failed:
        terminalreporter.section(f"faults (a second takes {pace.FACTOR:g} s)")
        for line in tally.lines():
            terminalreporter.line(line)
