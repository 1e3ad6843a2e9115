from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.config.timings import Timings
from bybit_sync.engine.rate_limit import ConnectLimit, RateLimiter, rate_limiter
from bybit_sync.engine.retrying import Backoff, RetrySchedule, rule_for
from bybit_sync.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    HandshakeRejected,
    ProtocolError,
    TLSError,
)
from tests.searching import examples

TIMES = Timings()
SOME_FAILURE = ConnectionFailed("refused")


# --- the backoff ---


@pytest.mark.parametrize(("failures", "ceiling"), [(0, 0.25), (1, 0.5), (2, 1), (3, 2), (4, 4), (5, 5), (1000000, 5)])
def test_the_pause_doubles_up_to_its_maximum(failures: int, ceiling: float) -> None:
    """Drawn between half of the ceiling and the ceiling, for any number of failures."""
    assert Backoff().delay(failures, 0.0) == ceiling / 2
    assert ceiling / 2 < Backoff().delay(failures, 0.5) < ceiling


def test_a_slowly_growing_pause_reaches_its_maximum_too() -> None:
    """However many failures that takes."""
    assert Backoff(initial=1, factor=1.001, maximum=5).delay(5000, 0) == 2.5


@pytest.mark.parametrize("factor", [1e10, 1e300])
def test_a_wildly_growing_pause_stops_at_its_maximum(factor: float) -> None:
    """Where its power is too large for a number as well."""
    assert Backoff(factor=factor).delay(200, 0) == 2.5


def test_a_pause_may_stay_the_same() -> None:
    """A factor of 1 is a choice."""
    assert [Backoff(initial=2, factor=1).delay(n, 0) for n in (0, 9)] == [1, 1]


BAD_ARGUMENTS: list[tuple[Callable[..., object], str, Any]] = [
    (Backoff, "initial", 0),
    (Backoff, "factor", 0.5),
    (Backoff, "maximum", -1),
    (ConnectLimit, "refill", 0),
    (ConnectLimit, "period", float("nan")),
    (ConnectLimit, "burst", 1.5),
]


@pytest.mark.parametrize(("kind", "argument", "value"), BAD_ARGUMENTS)
def test_what_cannot_work_is_refused_by_name(kind: Callable[..., object], argument: str, value: object) -> None:
    """When it is made, not when it is first needed."""
    with pytest.raises(ConfigurationError, match=argument):
        kind(**{argument: value})


# --- what a failure is worth ---


def login_refused(retry_after: float | None = None) -> AuthenticationError:
    """Return a login refused, for now if *retry_after* is given."""
    return AuthenticationError(transient=retry_after is not None, retry_after=retry_after)


HOPEFUL = [
    ConnectionFailed(),
    ConnectionLost(code=1006),
    ConnectionLost(code=1013),
    ProtocolError(),
    login_refused(5),
    HandshakeRejected(status=200),
    HandshakeRejected(status=400),
    HandshakeRejected(status=429),
    HandshakeRejected(status=500),
    HandshakeRejected(status=503),
]
HOPELESS = [
    TLSError(),
    ConfigurationError(),
    login_refused(),
    ZeroDivisionError(),
    *(HandshakeRejected(status=status) for status in (301, 302, 307, 308, 401, 403, 404, 451)),
]


@pytest.mark.parametrize("error", HOPEFUL, ids=repr)
def test_what_another_try_may_mend_is_tried_again(error: Exception) -> None:
    """Also by a client that never was live."""
    assert not rule_for(error, TIMES).fatal_on_first


@pytest.mark.parametrize("error", HOPELESS, ids=repr)
def test_what_no_try_can_mend_is_raised_at_once(error: Exception) -> None:
    """From a client that never was live; it is told loudly."""
    assert rule_for(error, TIMES).fatal_on_first
    assert rule_for(error, TIMES).log_error


def pauses(error: Exception, count: int, patience: RetrySchedule | None = None) -> list[float | None]:
    """Return how long the pauses are at least after *error*, *count* times in a row."""
    patience = patience or RetrySchedule(Backoff(initial=1e-9, maximum=1e-9), TIMES)
    return [None if p is None else round(p) for p in (patience.after(error, 0, proven=False) for _ in range(count))]


PAUSES: list[tuple[Exception, list[float | None]]] = [
    (ConnectionFailed(), [0, 0]),
    (ConnectionLost(code=1013), [5, 5]),
    (TLSError(), [30, 30]),
    (ConfigurationError(), [30, 30]),
    (HandshakeRejected(status=404), [30, 30]),
    (HandshakeRejected(status=308), [30, 30]),
    (HandshakeRejected(status=403), [60, 120, 240, 480, 600, 600]),
    (HandshakeRejected(status=403, retry_after=200), [200, 200, 240]),
    (HandshakeRejected(status=429), [30, 30]),
    (HandshakeRejected(status=429, retry_after=7), [7, 7]),
    (HandshakeRejected(status=429, retry_after=0), [5, 5]),
    (HandshakeRejected(status=429, retry_after=1e9), [600, 600]),
    (HandshakeRejected(status=503), [0, 0]),
    (HandshakeRejected(status=503, retry_after=7), [7, 7]),
    (login_refused(), [5, 30, 60, None]),
    (login_refused(5), [5] * 9),
    (login_refused(30), [30] * 9),
    (ZeroDivisionError(), [None]),
]


@pytest.mark.parametrize(("error", "expected"), PAUSES, ids=[repr(error) for error, _ in PAUSES])
def test_each_failure_has_its_least_pause(error: Exception, expected: list[float | None]) -> None:
    """None ends the client."""
    assert pauses(error, len(expected)) == expected


def test_the_backoff_holds_where_it_is_the_longer() -> None:
    """The pause that a failure asks for is only the least."""
    patience = RetrySchedule(Backoff(initial=100, maximum=100), TIMES)
    assert patience.after(TLSError(), 0, proven=False) == 50


def test_a_connection_that_proved_itself_forgives() -> None:
    """The backoff starts anew after it, and only after it: a server that drops us at once is not hammered."""
    patience = RetrySchedule(Backoff(), TIMES)
    assert [patience.after(SOME_FAILURE, 0, proven=False) for _ in range(3)] == [0.25, 0.5, 1]
    assert patience.after(SOME_FAILURE, 0, proven=True) == 0.125
    assert patience.after(SOME_FAILURE, 0, proven=False) == 0.25


def test_refusals_in_a_row_are_counted_across_other_failures() -> None:
    """What lies between two refused logins is no login that was accepted."""
    patience = RetrySchedule(Backoff(), TIMES)
    for _ in range(3):
        assert patience.after(login_refused(), 0, proven=False) is not None
        assert patience.after(SOME_FAILURE, 0, proven=False) is not None
    assert patience.after(login_refused(), 0, proven=False) is None


def test_an_accepted_login_forgives_refusals_and_bans() -> None:
    """The next refusal is the first one again."""
    patience = RetrySchedule(Backoff(initial=1e-9, maximum=1e-9), TIMES)
    pauses(login_refused(), 3, patience)
    pauses(HandshakeRejected(status=403), 4, patience)
    patience.accepted()
    assert pauses(login_refused(), 4, patience) == [5, 30, 60, None]
    assert pauses(HandshakeRejected(status=403), 1, patience) == [60]


def test_a_kind_of_failure_is_news_once() -> None:
    """Until the exchange let us in; another kind that is treated the same is news of its own."""
    patience = RetrySchedule(Backoff(), TIMES)
    told = []
    for error in (TLSError(), TLSError(), HandshakeRejected(status=404), TLSError()):
        patience.after(error, 0, proven=False)
        told.append(patience.is_first_of_kind(error))
    assert told == [True, False, True, False]


def test_an_endless_outage_takes_no_memory() -> None:
    """Whatever times a server asks for, nothing is kept of them."""
    patience = RetrySchedule(Backoff(), TIMES)
    for n in range(1000):
        patience.after(HandshakeRejected(status=429, retry_after=n / 7), 0, proven=False)
    assert len(patience._streaks) == 1


# --- the limit on connections ---


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        """Read it."""
        return self.time


class User:
    """Somebody who dials."""


def turns(gate: RateLimiter, hand: Hand, count: int) -> list[float]:
    """Reach the host *count* times, each as soon as it can be; return when each was."""
    moments = []
    for _ in range(count):
        user = User()
        while wait := gate.reserve(user):
            hand.time += wait
        gate.reached(user)
        moments.append(hand.time)
    return moments


def test_the_burst_is_free_and_then_there_is_one_turn_at_a_time() -> None:
    """By default a hundred at once, then one every second."""
    hand = Hand()
    gate = RateLimiter(hand)
    assert turns(gate, hand, 100) == [0] * 100
    assert turns(gate, hand, 3) == pytest.approx([1, 2, 3])


@examples(15)
@given(st.lists(st.sampled_from([0, 0, 0, 0, 1, 5, 30, 75, 299, 1000]), min_size=450, max_size=600))
def test_no_window_of_five_minutes_holds_more_than_four_hundred(idle: list[float]) -> None:
    """However the attempts fall; Bybit's own limit is 500, for all that uses the address."""
    hand = Hand()
    gate = RateLimiter(hand)
    moments = []
    for pause in idle:
        hand.time += pause
        moments += turns(gate, hand, 1)
    assert all(late - early > 300 - 1e-6 for early, late in zip(moments, moments[400:], strict=False))


def test_turns_that_wait_do_not_overtake_each_other() -> None:
    """Clients that come at the same time are sent away for different times, and keep their places when they ask again."""
    gate, users = RateLimiter(Hand()), [User() for _ in range(120)]
    waits = [gate.reserve(user) for user in users]
    assert waits[:100] == [0] * 100
    assert waits[100:] == pytest.approx(range(1, 21))
    assert [gate.reserve(user) for user in reversed(users[100:])] == waits[:99:-1]


def test_a_turn_that_did_not_reach_the_host_is_had_by_the_next() -> None:
    """Whoever waits is woken for it; nothing was used."""
    woken: list[str] = []
    gate, first, second = RateLimiter(Hand()), User(), User()
    gate.add(second, ConnectLimit(refill=1, period=1000, burst=1), lambda: woken.append("second"))
    assert (gate.reserve(first), gate.reserve(second), woken) == (0, 1000, [])
    gate.cancel(first)
    assert (gate.reserve(second), woken) == (0, ["second"])


def test_a_turn_that_reached_the_host_cannot_be_given_back() -> None:
    """However the attempt ends afterwards; nor is one counted that was given back."""
    gate, first, second = RateLimiter(Hand()), User(), User()
    gate.add(second, ConnectLimit(refill=1, period=1000, burst=1), lambda: None)
    assert gate.reserve(first) == 0
    gate.reached(first)
    gate.cancel(first)
    gate.reached(first)
    assert gate.reserve(second) == 1000
    gate.remove(second)
    assert gate.reserve(first) == 0


@examples(15)
@given(st.lists(st.tuples(st.sampled_from([0, 0, 1, 3, 20]), st.booleans(), st.integers(0, 40)), min_size=50, max_size=150))
def test_turns_given_back_late_let_nobody_in_too_early(attempts: list[tuple[int, bool, int]]) -> None:
    """An attempt that fails after half a minute gives back what it took, and no more: time refills nothing twice."""
    hand, reached, under_way = Hand(), [], []
    gate = RateLimiter(hand)
    limit = ConnectLimit(refill=1, period=5, burst=3)
    gate.add(keeper := User(), limit, lambda: None)
    for pause, fails, lasts in attempts:
        hand.time += pause
        under_way.append((hand.time + lasts, User(), fails))
        for end, user, failed in under_way[:]:
            if gate.reserve(user) == 0 and end <= hand.time:
                under_way.remove((end, user, failed))
                (gate.cancel if failed else gate.reached)(user)
                reached += [] if failed else [hand.time]
    for at, first in enumerate(reached):
        assert all(later - first >= (n - limit.burst) * 5 - 1e-6 for n, later in enumerate(reached[at:], 1))
    del keeper


def test_the_strictest_of_the_limits_holds() -> None:
    """The least burst, and the slowest refill, whoever they are from."""
    hand, users = Hand(), [User(), User()]
    gate = RateLimiter(hand)
    gate.add(users[0], ConnectLimit(refill=1, period=100, burst=9), lambda: None)
    gate.add(users[1], ConnectLimit(refill=10, period=10, burst=2), lambda: None)
    assert turns(gate, hand, 4) == [0, 0, 100, 200]


def test_a_limit_goes_with_its_user() -> None:
    """One that left has no say any more."""
    user, gate = User(), RateLimiter(hand := Hand())
    gate.add(user, ConnectLimit(burst=1), lambda: None)
    turns(gate, hand, 1)
    gate.remove(user)
    gate.remove(user)
    assert gate.reserve(User()) == 0


def test_a_limit_dies_with_its_user() -> None:
    """Nor has one that was forgotten."""
    user, gate = User(), RateLimiter(hand := Hand())
    gate.add(user, ConnectLimit(burst=1), lambda: None)
    turns(gate, hand, 1)
    del user
    gc.collect()
    assert gate.reserve(User()) == 0


def test_a_host_has_one_limiter() -> None:
    """All clients of this process go through it; another host has its own."""
    gates = {id(rate_limiter("one.invalid", Hand())) for _ in range(3)}
    assert len(gates) == 1
    assert id(rate_limiter("two.invalid", Hand())) not in gates


FORK = """
import os, signal, time
from bybit_sync.engine.rate_limit import rate_limiter
from tests.searching import examples
from tests.searching import examples
gate = rate_limiter("one.invalid", time.monotonic)
with gate._lock:
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        rate_limiter("one.invalid", time.monotonic).reserve("child")
        os._exit(42)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_limiters_of_its_own() -> None:
    """A lock that was held while it was forked would stay locked in it for ever."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "42"


def test_threads_share_the_turns() -> None:
    """No two of them take the same."""
    gate = RateLimiter(Hand())
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.extend(gate.reserve(object()) for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(waits) == pytest.approx([0.0] * 100 + [float(n) for n in range(1, 101)])
