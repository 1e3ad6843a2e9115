"""Outages: told once, in band, exactly where something may be missing, and over without anybody's doing."""

from __future__ import annotations

import itertools
import logging
import queue
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bybit_sync import Backoff, Client, Event, GapReason, State, StatusChange, Subscription
from bybit_sync.simulator import Account, Exchange
from tests.asleep import Sleep


def order(name: str) -> list[dict[str, Any]]:
    """Return the row of an order."""
    return [{"category": "linear", "orderId": name}]


def take_gap(subscription: Subscription[Any], timeout: float = 10) -> Event[Any]:
    """Take the next event, which is a gap."""
    event = subscription.get(timeout=timeout)
    assert event.gap is not None, event
    return event


def test_an_outage_is_told_before_anything_newer(exchange: Exchange, account: Account, client: Client) -> None:
    """Old pushes, one gap, new pushes: in this order, and nothing else."""
    orders = client.subscribe_orders()
    account.push("orders", order("old"))
    assert orders.get(timeout=5).data[0].order_id == "old"
    exchange.drop(reset=True)
    gap = take_gap(orders).gap
    account.push("orders", order("new"))
    assert gap is not None
    assert (gap.reason, gap.missed) == (GapReason.DISCONNECTED, None)
    assert orders.get(timeout=5).data[0].order_id == "new"


def test_the_gaps_window_covers_the_outage(exchange: Exchange, account: Account, client: Client) -> None:
    """`since` is not later than the cut and `until` not earlier than the return, in exchange time: a REST window."""
    exchange.clock_offset = 120.0
    orders = client.subscribe_orders()
    exchange.wait_for(lambda: client.health().fresh_as_of is not None)
    before = datetime.now(timezone.utc) + timedelta(seconds=120)
    exchange.drop()
    gap = take_gap(orders).gap
    after = datetime.now(timezone.utc) + timedelta(seconds=120)
    assert gap is not None
    assert gap.since <= before + timedelta(seconds=0.1)
    assert before - timedelta(seconds=0.1) <= gap.until <= after + timedelta(seconds=0.1)


def test_each_subscription_is_told_once(exchange: Exchange, account: Account, client: Client) -> None:
    """Two readers of one stream and one of another get a gap each."""
    subscriptions = [client.subscribe_orders(), client.subscribe_orders(), client.subscribe_balances()]
    exchange.drop()
    for subscription in subscriptions:
        assert take_gap(subscription).index == 1
    account.push("orders", order("after"))
    assert [s.get(timeout=5).index for s in subscriptions[:2]] == [2, 2]


def test_what_arrives_before_the_confirmation_follows_the_gap(exchange: Exchange, account: Account, client: Client) -> None:
    """A push that overtakes its subscribe's answer is held: whoever resyncs at the gap never works on older ground."""
    orders = client.subscribe_orders()
    exchange.hold_acks("subscribe")
    exchange.drop()
    exchange.wait_for(lambda: exchange.connections and len(exchange.connections[0].topics) == 2)
    account.push("orders", order("overtaking"))
    exchange.release_acks()
    assert take_gap(orders).epoch == 2
    assert orders.get(timeout=5).data[0].order_id == "overtaking"


def test_a_subscription_made_during_the_outage_is_told_no_gap(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """A gap is about what somebody could have missed; a newcomer missed nothing."""
    client = make_client()
    old = client.subscribe_orders()
    exchange.stop_listening()
    exchange.wait_for(lambda: client.state is State.BACKING_OFF)
    new = client.subscribe_orders(wait=False)
    exchange.listen()
    take_gap(old)
    account.push("orders", order("first"))
    assert new.get(timeout=5).data[0].order_id == "first"


def test_it_never_stops_trying(exchange: Exchange, account: Account, client: Client) -> None:
    """Attempt after attempt fails, and the connection still comes back."""
    orders = client.subscribe_orders()
    accepted = exchange.accepted
    exchange.refuse_upgrade(503, times=8)
    exchange.drop()
    take_gap(orders, timeout=20)
    assert exchange.accepted >= accepted + 9


def test_the_programs_own_random_numbers_are_left_alone(exchange: Exchange, account: Account, client: Client) -> None:
    """A program that has seeded `random` draws what it would draw without us, whatever pauses there were."""
    orders, before = client.subscribe_orders(), random.getstate()
    exchange.drop()
    take_gap(orders)
    assert random.getstate() == before


def test_the_status_tells_each_step(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """`on_status` hears every change in order, with the reason and, back again, the downtime."""
    changes: queue.Queue[StatusChange] = queue.Queue()
    client = make_client(on_status=changes.put)
    orders = client.subscribe_orders()
    exchange.drop()
    take_gap(orders)
    told = [changes.get(timeout=5) for _ in range(5)]
    assert [c.state.value for c in told] == ["CONNECTING", "LIVE", "BACKING_OFF", "CONNECTING", "LIVE"]
    assert all(a.state is b.previous for a, b in itertools.pairwise(told))
    assert told[2].error is client.health().last_error
    assert told[4].downtime is not None


def test_health_counts_reconnects_and_logins(exchange: Exchange, account: Account, client: Client) -> None:
    """The epoch numbers the logins, and events carry it."""
    orders = client.subscribe_orders()
    exchange.drop()
    assert take_gap(orders).epoch == 2
    exchange.wait_for(lambda: client.state is State.LIVE)
    assert (client.health().epoch, client.health().reconnects) == (2, 1)


def test_one_warning_and_one_info_tell_an_outage(
    exchange: Exchange, account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """However many attempts it takes, the log says once why and once how long."""
    orders = client.subscribe_orders()
    log.clear()
    exchange.refuse_upgrade(502, times=3)
    exchange.drop()
    take_gap(orders)
    exchange.wait_for(lambda: any("live after" in r.getMessage() for r in log.records))
    told = [r for r in log.records if r.levelno > logging.INFO or "live after" in r.getMessage()]
    assert [r.levelname for r in told] == ["WARNING", "INFO"]


def test_reconnect_drops_and_tells_the_gap(exchange: Exchange, account: Account, client: Client) -> None:
    """`reconnect()` is an outage by request."""
    orders = client.subscribe_orders()
    client.reconnect()
    assert "reconnect()" in str(take_gap(orders).gap)
    account.push("orders", order("after"))
    assert orders.get(timeout=5).data[0].order_id == "after"


def test_a_silent_exchange_is_found_and_left(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """A peer that still holds the connection, but says nothing, is dead within ping_interval + pong_timeout."""
    client = make_client(ping_interval=0.2, pong_timeout=0.2)
    orders = client.subscribe_orders()
    exchange.hold_acks("ping")
    exchange.wait_for(lambda: client.state is not State.LIVE)
    exchange.release_acks(discard=True)
    gap = take_gap(orders).gap
    assert gap is not None
    assert "nothing" in gap.detail


def test_the_backoff_is_waited_for_on_an_event(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """A client that backs off for minutes still closes at once."""
    client = make_client(backoff=Backoff(initial=300, factor=2, maximum=600))
    client.subscribe_orders()
    exchange.stop_listening()
    exchange.wait_for(lambda: client.state is State.BACKING_OFF)
    assert client.close(timeout=1)


def test_a_machine_that_slept_does_not_trust_its_connection(
    exchange: Exchange, account: Account, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a suspend the exchange is asked at once, and left when it does not answer soon, whatever the ping interval."""
    sleep = Sleep(monkeypatch)
    client = make_client(ping_interval=60, pong_timeout=60)
    orders = client.subscribe_orders()
    exchange.hold_acks("ping")
    sleep.seconds += 28800
    gap = take_gap(orders).gap
    exchange.release_acks(discard=True)
    assert gap is not None
    assert "nothing" in gap.detail


def test_a_machine_that_slept_keeps_a_connection_that_answers(
    exchange: Exchange, account: Account, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short nap that the connection survived is no outage."""
    sleep = Sleep(monkeypatch)
    client = make_client(ping_interval=60, pong_timeout=60)
    orders = client.subscribe_orders()
    pings = [r["op"] for r in exchange.connections[0].received].count("ping")
    sleep.seconds += 28800
    exchange.wait_for(lambda: [r["op"] for r in exchange.connections[0].received].count("ping") > pings)
    account.push("orders", order("still-here"))
    assert orders.get(timeout=5).data[0].order_id == "still-here"


@pytest.mark.parametrize("offset", [-60.0, -3.0, 60.0])
def test_the_window_is_right_whatever_our_clock_says(
    offset: float, exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Also for the first outage, and with a clock that is ahead: `since` is never after the cut."""
    exchange.clock_offset = offset
    client = make_client(ping_interval=60, auth_window=120)
    orders = client.subscribe_orders()
    exchange.wait_for(lambda: client.health().fresh_as_of is not None)
    cut = datetime.now(timezone.utc) + timedelta(seconds=offset)
    exchange.drop()
    gap = take_gap(orders).gap
    assert gap is not None
    assert cut - timedelta(seconds=5) < gap.since < cut + timedelta(seconds=0.1) < gap.until + timedelta(seconds=0.2)
