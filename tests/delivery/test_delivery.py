"""The delivery invariants: whatever the exchange, the network and the consumers do, nothing is lost in silence.

Hypothesis draws plots (what the exchange pushes, how connections end, who subscribes, reads, raises and closes). Each is played
with real sockets against a real client, and its recorded history is checked by `invariants.check`. A failing plot is shrunk and
printed; it can be played again with `play`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.delivery.invariants import check
from tests.delivery.play import play
from tests.delivery.steps import Plot, plots
from tests.faults.rows import COUNT
from tests.searching import examples

SETTINGS = settings(examples(60), suppress_health_check=list(HealthCheck))


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """What was checked, for the report of the test."""
    counted: Counter[str] = Counter({"histories": 0, "histories broken": 0, "updates checked": 0})
    yield counted
    for what, number in counted.items():
        record_property(COUNT + what, number)


def holds(plot: Plot, counted: Counter[str]) -> None:
    """Play *plot*, and fail with what breaks an invariant and the history that shows it."""
    history = play(plot)
    complaints = check(history)
    updates = sum(len(one.event.data) for record in history.records for one in record.taken)
    counted.update({"histories": 1, "histories broken": bool(complaints), "updates checked": updates})
    for at, entry in enumerate(history.log.entries):
        note(f"{at:3d} {entry}")
    assert not complaints, "\n".join(complaints)


@SETTINGS
@given(plots("v5"))
def test_nothing_is_lost_in_silence_in_v5(counted: Counter[str], plot: Plot) -> None:
    """Each history that is played is checked."""
    holds(plot, counted)


@SETTINGS
@given(plots("v3"))
def test_nothing_is_lost_in_silence_in_v3(counted: Counter[str], plot: Plot) -> None:
    """Each history that is played is checked."""
    holds(plot, counted)
