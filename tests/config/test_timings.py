from __future__ import annotations

import attrs

from bybit_sync.config.timings import Timings


def test_scaling_changes_every_time_that_is_waited_for() -> None:
    """Tests run at another speed, by one factor."""
    times, half = Timings(), Timings().scaled(0.5)
    for field in attrs.fields(Timings):
        before, after = getattr(times, field.name), getattr(half, field.name)
        if field.name not in ("auth_window", "last_read"):
            assert after == (tuple(t / 2 for t in before) if isinstance(before, tuple) else before / 2), field.name


def test_scaling_leaves_what_is_compared_with_clocks() -> None:
    """A login's expiry is compared with the exchange's clock, which nobody scales."""
    assert Timings().scaled(0.01).auth_window == Timings().auth_window


def test_scaling_keeps_what_was_given() -> None:
    """It is the given times that are scaled, not the defaults."""
    assert Timings(ping_interval=3).scaled(2).ping_interval == 6


def test_the_defaults_are_those_of_the_contract() -> None:
    """A dead peer is found within ten seconds, and the public arguments default to what is documented."""
    times = Timings()
    assert (times.connect_timeout, times.request_timeout, times.auth_window) == (10, 10, 10)
    assert (times.ping_interval, times.pong_timeout) == (5, 5)
