from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.clock import ExchangeClock, Moment, seconds_asleep

from .talking import NOON, at, steady


def told(seconds: float) -> datetime:
    """Return what the exchange's clock shows *seconds* after noon."""
    return NOON + timedelta(seconds=seconds)


def test_a_moment_reads_both_clocks() -> None:
    """The wall clock comes in UTC, and the seconds are those of the monotonic clock."""
    moment = Moment.now()
    assert moment.utc.utcoffset() == timedelta(0)
    assert moment.seconds == pytest.approx(moment.ns / 1e9)


def test_a_machine_that_is_awake_sleeps_no_longer() -> None:
    """However often it is looked at, and nobody is told of a sleep that was before."""
    asleep = seconds_asleep()
    assert asleep >= -0.01
    assert seconds_asleep() == pytest.approx(asleep, abs=0.5)


def test_before_an_answer_the_exchanges_clock_is_ours() -> None:
    """Nothing better is known, and the offset says so."""
    clock = ExchangeClock(at(0))
    assert clock.at(at(7, wall=3)) == told(10)
    assert clock.offset is None


def test_an_answer_is_taken_as_the_middle_of_its_way() -> None:
    """The offset is the exchange's clock minus ours; half of the round trip is on each side."""
    clock = ExchangeClock(at(0))
    clock.learn(told(61), sent=at(0), received=at(2))
    assert clock.offset == pytest.approx(60)
    assert clock.at(at(2)) == told(62)


def test_setting_our_wall_clock_moves_nothing() -> None:
    """Once measured, the exchange's clock runs on by the monotonic clock."""
    clock = ExchangeClock(at(0))
    clock.learn(told(0), sent=at(0), received=at(0))
    assert clock.at(at(10, wall=3600)) == told(10)


def test_setting_our_wall_clock_shows_in_the_next_offset() -> None:
    """The offset is against our clock as it is."""
    clock = ExchangeClock(at(0))
    clock.learn(told(0), sent=at(0), received=at(0))
    clock.learn(told(5), sent=at(5, wall=3600), received=at(5, wall=3600))
    assert clock.offset == pytest.approx(-3600)


def test_the_past_is_corrected_too() -> None:
    """What happened before the first answer is told in the exchange's time as well."""
    clock = ExchangeClock(at(0))
    clock.learn(told(70), sent=at(10), received=at(10))
    assert clock.at(at(1)) == told(61)


def test_an_answer_that_lay_here_for_a_minute_teaches_nothing() -> None:
    """A process that was stopped reads a pong late; what was known before fits it and is the more exact."""
    clock = ExchangeClock(at(0))
    clock.learn(told(0.1), sent=at(0), received=at(0.2))
    clock.learn(told(5.1), sent=at(5), received=at(65))
    assert clock.at(at(65)) == told(65)
    assert clock.offset == pytest.approx(0)


def test_a_slow_answer_that_contradicts_is_believed() -> None:
    """After a suspend the monotonic clock is behind by hours: then any answer is better than what was known."""
    clock = ExchangeClock(at(0))
    clock.learn(told(0), sent=at(0), received=at(0))
    clock.learn(told(3605), sent=at(5), received=at(7))
    assert clock.at(at(7)) == told(3606)


def test_a_quicker_answer_is_believed() -> None:
    """The shorter its way, the more exact what it says."""
    clock = ExchangeClock(at(0))
    clock.learn(told(0), sent=at(0), received=at(4))
    clock.learn(told(6.1), sent=at(5), received=at(7.2))
    assert clock.at(at(7.2)) == told(7.2)


times = st.floats(min_value=0, max_value=30)


@steady(max_examples=300)
@given(skew=st.floats(min_value=-1e4, max_value=1e4), ways=st.lists(st.tuples(times, times), min_size=1))
def test_it_is_never_wrong_by_more_than_the_last_answers_way(skew: float, ways: list[tuple[float, float]]) -> None:
    """Whatever way the answers took, the truth lies within what the last one allows."""
    clock, now = ExchangeClock(at(0)), 0.0
    for there, back in ways:
        clock.learn(told(now + there + skew), sent=at(now), received=at(now + there + back))
        now += there + back
        assert abs((clock.at(at(now)) - told(now + skew)).total_seconds()) <= there + back + 1e-3
