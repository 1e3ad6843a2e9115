"""The window of what a subscription missed, without a subscription."""

from __future__ import annotations

import pytest

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.window import CompleteWindow
from tests.talking import at


@pytest.mark.parametrize(("is_live", "complete_until"), [(True, at(1)), (False, at(3))], ids=["LIVE", "STALE"])
def test_what_was_read_counts_no_more_once_pushes_were_not_delivered(*, is_live: bool, complete_until: Moment) -> None:
    """While it is LIVE; after a loss it says what had been read by then, and later pushes change nothing."""
    clock, window = ExchangeClock(), CompleteWindow()
    window.begin(at(1), Coverage(clock, logged_in=at(0), told=at(3).utc))
    window.uncover(at(5), clock, is_live=is_live)
    assert window.complete_until() == complete_until.utc
