"""The sum of the outages, and the pause before an attempt, without a client."""

from __future__ import annotations

from bybit_sync.engine.downtime import Downtime
from bybit_sync.engine.pause import Pause


def test_outages_add_up() -> None:
    """The time between them counts for nothing."""
    downtime = Downtime()
    for began, ended in ((10.0, 12.0), (50.0, 51.5)):
        downtime.begin(began)
        downtime.end(ended)
    assert (downtime.outages, downtime.seconds(90.0)) == (2, 3.5)


def test_an_outage_that_lasts_counts_up_to_now() -> None:
    """It has not ended, and is one already."""
    downtime = Downtime()
    downtime.begin(10.0)
    assert (downtime.outages, downtime.seconds(14.0)) == (1, 4.0)


def test_the_end_of_no_outage_adds_nothing() -> None:
    """As when a client becomes LIVE for the first time."""
    downtime = Downtime()
    downtime.end(14.0)
    assert (downtime.outages, downtime.seconds(20.0)) == (0, 0.0)


def test_a_clock_read_before_the_outage_began_takes_nothing_off() -> None:
    """Another thread may have read it just before."""
    downtime = Downtime()
    downtime.begin(10.0)
    assert downtime.seconds(9.9) == 0.0


def test_a_pause_is_shortened_to_what_is_prescribed() -> None:
    """And a pause of which all is prescribed stays."""
    assert Pause(ends=30.0, earliest=10.0).shortened().ends == 10.0
    assert Pause(ends=30.0, earliest=30.0).shortened().ends == 30.0
