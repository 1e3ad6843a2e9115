"""The delivery law: whatever the exchange, the network and the consumers do, nothing is lost in silence.

Hypothesis draws plots (what the exchange pushes, how connections end, who subscribes, reads, raises and closes). Each is played
with real sockets against a real client, and its recorded history is judged by `law.judge`. A failing plot is shrunk and
printed; it can be played again with `play`.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, note, settings

from tests.delivery.law import judge
from tests.delivery.play import play
from tests.delivery.steps import Plot, plots

LAW = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def holds(plot: Plot) -> None:
    """Play *plot*, and fail with what breaks the law and the history that shows it."""
    history = play(plot)
    complaints = judge(history)
    for at, entry in enumerate(history.log.entries):
        note(f"{at:3d} {entry}")
    assert not complaints, "\n".join(complaints)


@settings(LAW, max_examples=500)
@given(plots("v5"))
def test_nothing_is_lost_in_silence_in_v5(plot: Plot) -> None:
    """Five hundred histories, each of them judged."""
    holds(plot)


@settings(LAW, max_examples=500)
@given(plots("v3"))
def test_nothing_is_lost_in_silence_in_v3(plot: Plot) -> None:
    """Five hundred histories, each of them judged."""
    holds(plot)


@pytest.mark.soak
@pytest.mark.parametrize("dialect", ["v5", "v3"])
@pytest.mark.timeout(1800)
def test_nothing_is_lost_in_silence_for_long(dialect: str) -> None:
    """Five thousand histories in each dialect, others than the default ones."""

    @settings(LAW, max_examples=5000, derandomize=False)
    @given(plots(dialect))
    def law(plot: Plot) -> None:
        holds(plot)

    law()
