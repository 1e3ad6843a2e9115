"""How often the exchange is asked."""

from __future__ import annotations

import os

import pytest

from bybit_sync.rest.limits import HOST_RATE, HostLimits, host_limits


def asked(limits: HostLimits, rate: float, seconds: float, *, key: bytes = b"k", endpoint: str = "e") -> list[float]:
    """Return when somebody who asks as often as possible may ask, within *seconds*."""
    now, moments = 0.0, []
    while now < seconds:
        wait = limits.reserve(key, endpoint, rate, now)
        if wait == 0.0:
            moments.append(now)
        now += wait
    return moments


@pytest.mark.parametrize(("rate", "count"), [(10.0, 10), (1.0, 1), (2.5, 2)])
def test_no_second_has_more_requests_than_the_rate(rate: float, count: int) -> None:
    """Whichever second one looks at."""
    moments = asked(HostLimits(), rate, 20.0)
    assert max(sum(start <= moment < start + 1.0 for moment in moments) for start in moments) <= count
    assert len(moments) == count * 20


def test_a_rate_below_one_is_kept() -> None:
    """One request in two seconds."""
    assert asked(HostLimits(), 0.5, 7.0) == [0.0, 2.0, 4.0, 6.0]


def test_endpoints_and_keys_have_rates_of_their_own() -> None:
    """One's requests take nobody else's turn."""
    limits = HostLimits()
    assert limits.reserve(b"k", "a", 1.0, 0.0) == 0.0
    assert limits.reserve(b"k", "a", 1.0, 0.25) == 0.75
    assert limits.reserve(b"k", "b", 1.0, 0.25) == 0.0
    assert limits.reserve(b"other", "a", 1.0, 0.25) == 0.0


def test_the_strictest_of_two_clients_with_one_key_waits_for_both() -> None:
    """The requests of both count, for each by its own rate."""
    limits = HostLimits()
    assert [limits.reserve(b"k", "e", 10.0, 0.0) for _ in range(3)] == [0.0] * 3
    assert limits.reserve(b"k", "e", 2.0, 0.5) == 0.5


def test_a_host_is_asked_no_more_often_than_an_address_may() -> None:
    """Over all keys and endpoints of this process."""
    limits = HostLimits()
    granted = [limits.reserve(bytes([n]), "e", 10.0, 0.5) for n in range(int(HOST_RATE) + 1)]
    assert granted[:-1] == [0.0] * int(HOST_RATE)
    assert granted[-1] == 1.0


def test_a_pause_is_one_key_s_at_one_endpoint() -> None:
    """And a shorter one does not end it."""
    limits = HostLimits()
    limits.pause(b"k", "e", until=5.0)
    limits.pause(b"k", "e", until=2.0)
    assert limits.reserve(b"k", "e", 10.0, 1.0) == 4.0
    assert limits.reserve(b"k", "other", 10.0, 1.0) == 0.0
    assert limits.reserve(b"k", "e", 10.0, 5.0) == 0.0


def test_a_block_is_everybody_s() -> None:
    """Until it is over."""
    limits = HostLimits()
    limits.block(until=600.0)
    limits.block(until=10.0)
    assert limits.blocked_for(100.0) == limits.reserve(b"k", "e", 10.0, 100.0) == 500.0
    assert limits.blocked_for(600.0) == limits.reserve(b"k", "e", 10.0, 600.0) == 0.0


def test_a_process_has_one_set_of_limits_for_a_host() -> None:
    """And a forked child its own."""
    ours = host_limits("api.test:443")
    assert host_limits("api.test:443") is ours
    assert host_limits("api.test:444") is not ours
    child = os.fork()
    if not child:
        os._exit(int(host_limits("api.test:443") is ours))
    assert os.waitpid(child, 0)[1] == 0
