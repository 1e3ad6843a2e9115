from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.clock import ExchangeClock, Moment
from tests.searching import examples
from tests.talking import NOON, at


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
    first, second = Moment.now(), Moment.now()
    assert first.asleep_ns >= 0
    assert second.asleep_ns == pytest.approx(first.asleep_ns, abs=5e8)


def test_a_thread_that_is_held_up_while_it_reads_the_clocks_did_not_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads them again: a moment that is not one would move the exchange's clock."""
    awake, held_up = time.monotonic_ns, iter([0, 10**10, 0, 0])
    monkeypatch.setattr("bybit_sync.clock.time.monotonic_ns", lambda: awake() + next(held_up))
    moment = Moment.now()
    monkeypatch.undo()
    assert moment.asleep_ns == pytest.approx(Moment.now().asleep_ns, abs=1e9)
    assert next(held_up, None) is None


def test_the_exchanges_clock_goes_on_while_this_machine_sleeps() -> None:
    """Our monotonic clock stands still meanwhile, and the exchange's does not."""
    clock = ExchangeClock()
    clock.learn(told(0), sent=at(0), received=at(0))
    woken = at(1)._replace(asleep_ns=8 * 10**9)
    assert clock.at(woken) == told(9)
    assert clock.earliest(woken) <= told(9) <= clock.latest(woken) < told(9.01)


def test_before_an_answer_the_exchanges_clock_is_ours() -> None:
    """Nothing better is known, and the offset says so."""
    clock = ExchangeClock()
    assert clock.at(at(7, wall=3)) == told(10)
    assert clock.offset is None


def test_an_answer_is_taken_as_the_middle_of_its_way() -> None:
    """The offset is the exchange's clock minus ours; half of the round trip is on each side."""
    clock = ExchangeClock()
    clock.learn(told(61), sent=at(0), received=at(2))
    assert clock.offset == pytest.approx(60, abs=0.01)
    assert abs(clock.at(at(2)) - told(62)) < timedelta(seconds=0.01)


def test_setting_our_wall_clock_moves_nothing() -> None:
    """Once measured, the exchange's clock runs on by the monotonic clock."""
    clock = ExchangeClock()
    clock.learn(told(0), sent=at(0), received=at(0))
    assert clock.at(at(10, wall=3600)) == told(10)


def test_setting_our_wall_clock_shows_in_the_next_offset() -> None:
    """The offset is against our clock as it is."""
    clock = ExchangeClock()
    clock.learn(told(0), sent=at(0), received=at(0))
    clock.learn(told(5), sent=at(5, wall=3600), received=at(5, wall=3600))
    assert clock.offset == pytest.approx(-3600)


def test_the_past_is_corrected_too() -> None:
    """What happened before the first answer is told in the exchange's time as well."""
    clock = ExchangeClock()
    clock.learn(told(70), sent=at(10), received=at(10))
    assert clock.at(at(1)) == told(61)


def test_an_answer_that_lay_here_for_a_minute_teaches_nothing() -> None:
    """A process that was stopped reads a pong late; what was known before fits it and is the more exact."""
    clock = ExchangeClock()
    clock.learn(told(0.1), sent=at(0), received=at(0.2))
    clock.learn(told(5.1), sent=at(5), received=at(65))
    assert abs(clock.at(at(65)) - told(65)) < timedelta(seconds=0.02)
    assert clock.offset == pytest.approx(0, abs=0.02)


def test_a_slow_answer_that_contradicts_is_believed() -> None:
    """After a suspend the monotonic clock is behind by hours: then any answer is better than what was known."""
    clock = ExchangeClock()
    clock.learn(told(0), sent=at(0), received=at(0))
    clock.learn(told(3605), sent=at(5), received=at(7))
    assert abs(clock.at(at(7)) - told(3606)) < timedelta(seconds=0.01)


def test_each_answer_narrows_what_is_known() -> None:
    """The one says that it was not earlier, the other that it was not later."""
    clock = ExchangeClock()
    clock.learn(told(0), sent=at(0), received=at(4))
    clock.learn(told(6.1), sent=at(5), received=at(7.2))
    assert abs(clock.earliest(at(7.2)) - told(6.1)) < timedelta(seconds=0.01)
    assert abs(clock.latest(at(7.2)) - told(7.2)) < timedelta(seconds=0.01)


# Where two roundings meet.
MICRO = timedelta(microseconds=3)
times = st.floats(min_value=0, max_value=30)


@examples(100)
@given(skew=st.floats(min_value=-1e4, max_value=1e4), ways=st.lists(st.tuples(times, times, times), min_size=1))
def test_the_truth_lies_between_its_bounds(skew: float, ways: list[tuple[float, float, float]]) -> None:
    """Whatever way the answers took: of every moment, before and after, by clocks that drift apart as fast as NTP allows."""
    clock, now, drift = ExchangeClock(), 0.0, 1.0005

    def true(seconds: float) -> datetime:
        return told(seconds * drift + skew)

    for there, back, pause in ways:
        # The exchange tells whole milliseconds, cut off.
        written = true(now + there)
        answer = written - timedelta(microseconds=written.microsecond % 1000)
        clock.learn(answer, sent=at(now), received=at(now + there + back))
        now += there + back + pause
        for seconds in (0.0, now - pause, now, now + 100):
            assert clock.earliest(at(seconds)) - MICRO <= true(seconds) <= clock.latest(at(seconds)) + MICRO


@examples(100)
@given(skew=st.floats(min_value=-1e4, max_value=1e4), ways=st.lists(st.tuples(times, times), min_size=1))
def test_it_is_never_wrong_by_more_than_the_last_answers_way(skew: float, ways: list[tuple[float, float]]) -> None:
    """Whatever way the answers took, the truth lies within what the last one allows."""
    clock, now = ExchangeClock(), 0.0
    for there, back in ways:
        clock.learn(told(now + there + skew), sent=at(now), received=at(now + there + back))
        now += there + back
        assert abs((clock.at(at(now)) - told(now + skew)).total_seconds()) <= (there + back) * 1.001 + 1e-3
