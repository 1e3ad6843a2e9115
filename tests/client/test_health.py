"""What `health` tells: the client over its outages, and each subscription, open or closed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from bybit_sync import (
    AuthenticationError,
    Backoff,
    Client,
    ConnectLimit,
    ConnectTimeout,
    GapReason,
    HandshakeRejected,
    State,
    StatusChange,
    Stream,
    to_dict,
)
from bybit_sync.simulator import Account, Exchange
from tests.conftest import FAST, FAST_ARGUMENTS, KEY, SECRET, FastClient, push


class Banned(FastClient):
    """A client for which the pauses that a failure prescribes take minutes."""

    _timings = attrs.evolve(FAST, forbidden=(600.0,), distrust=600.0, refused=(600.0,), crowded=600.0)


@pytest.fixture
def paused(exchange: Exchange, account: Account) -> Iterator[Client]:
    """A client that was LIVE, and pauses for ten minutes because the exchange answered 403."""
    with Banned(KEY, SECRET, environment=exchange.url, **FAST_ARGUMENTS) as client:
        client.subscribe_orders()
        exchange.refuse_upgrade(403, times=100)
        exchange.drop()
        wait_for_long_pause(exchange, client)
        yield client


def minutes_from_now(moment: datetime | None) -> float:
    """Return how far ahead of our clock *moment* is, in minutes."""
    assert moment is not None
    return (moment - datetime.now(timezone.utc)) / timedelta(minutes=1)


def wait_for_long_pause(exchange: Exchange, client: Client) -> None:
    """Wait until *client* pauses for minutes: the first pause after a lost connection is short."""

    def is_long() -> bool:
        at = client.health().next_attempt_at
        return at is not None and minutes_from_now(at) > 9

    exchange.wait_for(is_long)


# --- the client ---


def test_it_names_its_client(make_client: Callable[..., Client]) -> None:
    """So that the health of many clients can be told apart."""
    assert make_client(name="desk-7").health().name == "desk-7"


def test_the_next_attempt_is_told_while_the_client_pauses(paused: Client) -> None:
    """In UTC, by our clock."""
    assert paused.state is State.BACKING_OFF
    assert 9 < minutes_from_now(paused.health().next_attempt_at) < 10.1


def test_without_a_pause_no_next_attempt_is_told(exchange: Exchange, account: Account, client: Client) -> None:
    """Neither before the first connection nor after a pause."""
    assert client.health().next_attempt_at is None
    orders = client.subscribe_orders()
    exchange.drop()
    assert orders.get(timeout=10).gap
    assert client.health().next_attempt_at is None


def test_a_wait_for_the_connect_limit_is_a_pause(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """It has a next attempt, too."""
    client = make_client(connect_limit=ConnectLimit(refill=1, period=600.0, burst=1))
    client.subscribe_orders()
    exchange.drop()
    wait_for_long_pause(exchange, client)


def test_outages_and_downtime_are_those_that_the_status_told(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """The downtime is the sum of them."""
    told: list[StatusChange] = []
    client = make_client(on_status=told.append)
    orders = client.subscribe_orders()
    for _ in range(2):
        exchange.drop()
        assert orders.get(timeout=10).gap
    health = client.health()
    client.close()
    assert (health.outages, health.reconnects) == (2, 2)
    assert health.downtime == pytest.approx(sum(change.downtime or 0.0 for change in told))


def test_an_outage_that_lasts_is_counted(paused: Client) -> None:
    """Its downtime grows from call to call, though it has not ended."""
    first, second = paused.health(), paused.health()
    assert (first.outages, first.reconnects) == (1, 0)
    assert 0 < first.downtime < second.downtime


def test_the_downtime_of_a_closed_client_stands_still(paused: Client) -> None:
    """Nobody waits for its return."""
    paused.close()
    assert paused.health().downtime == paused.health().downtime > 0


def test_a_client_that_was_never_live_has_no_outage(exchange: Exchange, account: Account, client: Client) -> None:
    """There was nothing yet that it could have lost."""
    exchange.refuse_upgrade(503, times=2)
    client.subscribe_orders()
    assert (client.health().outages, client.health().downtime) == (0, 0.0)


# --- subscriptions ---


def test_subscriptions_are_numbered(client: Client) -> None:
    """From 1 on, and no number is given twice."""
    client.subscribe_orders()
    client.subscribe_positions().close()
    client.subscribe_orders()
    assert [subscription.id for subscription in client.health().subscriptions] == [1, 3]


def test_a_subscription_whose_close_has_returned_is_not_listed(client: Client) -> None:
    """Though the connection thread may not have noticed yet."""
    client.subscribe_orders()
    for _ in range(20):
        assert client.subscribe_orders().close()
        assert [subscription.id for subscription in client.health().subscriptions] == [1]


def test_repr_shows_no_stream_whose_subscription_is_closed(client: Client) -> None:
    """As `health` lists none."""
    client.subscribe_orders()
    client.subscribe_positions().close()
    assert repr(client).endswith("LIVE, orders>")


def test_gaps_are_counted_by_reason(exchange: Exchange, account: Account, client: Client) -> None:
    """When they are handed over."""
    orders = client.subscribe_orders(maxsize=1)
    exchange.drop()
    assert orders.get(timeout=10).gap
    push(account, "first", "second")
    exchange.wait_for(lambda: orders.dropped)
    assert client.health().subscriptions[0].gaps[GapReason.OVERFLOW] == 0
    assert orders.get(timeout=10).gap
    gaps = client.health().subscriptions[0].gaps
    assert {reason: number for reason, number in gaps.items() if number} == {"DISCONNECTED": 1, "OVERFLOW": 1}


def test_busy_since_is_when_the_running_call_began(exchange: Exchange, account: Account, client: Client) -> None:
    """And None between calls."""
    entered, go = threading.Event(), threading.Event()
    orders = client.subscribe_orders(lambda _: (entered.set(), go.wait(30)))
    assert client.health().subscriptions[0].busy_since is None
    before = datetime.now(timezone.utc)
    push(account, "one")
    assert entered.wait(10)
    since = client.health().subscriptions[0].busy_since
    assert since is not None
    assert before - timedelta(seconds=1) < since < datetime.now(timezone.utc) + timedelta(seconds=1)
    go.set()
    exchange.wait_for(lambda: orders.delivered and client.health().subscriptions[0].busy_since is None)


# --- totals ---


def test_totals_add_what_closed_subscriptions_had(account: Account, client: Client) -> None:
    """To what the open ones have."""
    for _ in range(2):
        with client.subscribe_orders() as orders:
            push(account, "one")
            orders.get(timeout=10)
        del orders
    rest = client.subscribe_orders()
    push(account, "two")
    rest.get(timeout=10)
    totals = client.health().totals
    assert {stream: total.delivered for stream, total in totals.items()} == {**dict.fromkeys(Stream, 0), Stream.ORDERS: 3}


def test_totals_count_on_while_a_closed_subscription_is_read(account: Account, client: Client, exchange: Exchange) -> None:
    """What was buffered is delivered after `close`."""
    orders = client.subscribe_orders()
    push(account, "one", "two")
    exchange.wait_for(lambda: orders.queued == 2)
    orders.close()
    assert client.health().totals[Stream.ORDERS].delivered == 0
    assert len(list(orders)) == 2
    assert client.health().totals[Stream.ORDERS].delivered == 2


def test_totals_have_every_counter_of_a_subscription(exchange: Exchange, account: Account, client: Client) -> None:
    """A callback that raises, rows that cannot be read, events that were dropped, gaps."""

    def fail(_event: Any) -> None:
        raise ValueError("no")

    client.subscribe_orders(fail)
    full = client.subscribe_orders(maxsize=1, overflow="drop_newest")
    account.push("orders", [{"category": "linear", "orderId": "bad", "qty": "seven"}])
    push(account, "two", "three")
    exchange.wait_for(lambda: full.dropped and client.health().totals[Stream.ORDERS].handler_errors >= 3)
    total, parts = client.health().totals[Stream.ORDERS], client.health().subscriptions
    assert total.undecodable == 2
    for name in ("delivered", "dropped", "undecodable", "handler_errors"):
        assert getattr(total, name) == sum(getattr(part, name) for part in parts), name
    assert total.gaps == {reason: sum(part.gaps[reason] for part in parts) for reason in GapReason}


def test_as_a_dict_numbers_stay_numbers(exchange: Exchange, account: Account, client: Client) -> None:
    """So that ``jq '.last_frame_age > 30'`` compares numbers."""
    client.subscribe_orders()
    push(account, "one")
    exchange.wait_for(
        lambda: client.health().ping_rtt is not None and client.health().subscriptions[0].last_push_lag is not None
    )
    told = json.loads(json.dumps(to_dict(client.health())))
    numbers = [told[name] for name in ("last_frame_age", "ping_rtt", "clock_offset", "downtime")]
    assert all(isinstance(number, float) for number in numbers)
    assert isinstance(told["subscriptions"][0]["last_push_lag"], float)
    assert told["totals"]["orders"]["gaps"]["OVERFLOW"] == 0


# --- subscribing and reconnecting while the client pauses ---


def test_a_subscription_that_ends_before_the_next_attempt_is_refused_at_once(paused: Client) -> None:
    """With the obstacle itself: there is nothing to wait for."""
    began = datetime.now(timezone.utc)
    with pytest.raises(HandshakeRejected, match="403"):
        paused.subscribe_positions(timeout=30)
    assert datetime.now(timezone.utc) - began < timedelta(seconds=20)
    assert paused.state is State.BACKING_OFF
    assert [subscription.stream for subscription in paused.health().subscriptions] == [Stream.ORDERS]


def test_a_subscription_that_waits_when_the_pause_begins_is_refused_at_once(exchange: Exchange, account: Account) -> None:
    """As one that is made in the pause."""
    with Banned(KEY, SECRET, environment=exchange.url, **FAST_ARGUMENTS) as client:
        client.subscribe_orders()
        exchange.hold_acks("subscribe")
        exchange.refuse_login("API key is invalid.", times=100)
        threading.Timer(1.0, exchange.drop).start()
        with pytest.raises(AuthenticationError):
            client.subscribe_positions(timeout=300)


def test_a_subscription_that_outlasts_the_pause_waits(paused: Client, exchange: Exchange) -> None:
    """It may still be confirmed."""
    made: list[BaseException | None] = []

    def subscribe() -> None:
        try:
            paused.subscribe_positions(timeout=900)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            made.append(error)

    thread = threading.Thread(target=subscribe)
    thread.start()
    exchange.wait_for(lambda: len(paused.health().subscriptions) == 2)
    thread.join(1)
    assert thread.is_alive()
    assert not made
    paused.close()
    thread.join(10)


def test_a_pause_for_what_may_pass_is_waited_for(exchange: Exchange, account: Account) -> None:
    """Too many requests, for one, is no error of the key: `ConnectTimeout`, as ever."""
    with Banned(KEY, SECRET, environment=exchange.url, **FAST_ARGUMENTS) as client:
        client.subscribe_orders()
        exchange.refuse_upgrade(429, times=100)
        exchange.drop()
        wait_for_long_pause(exchange, client)
        with pytest.raises(ConnectTimeout, match="429"):
            client.subscribe_positions(timeout=0.5)


def test_reconnect_tells_the_end_of_a_prescribed_pause(paused: Client) -> None:
    """Which it does not shorten."""
    assert 9 < minutes_from_now(paused.reconnect()) < 10.1
    assert minutes_from_now(paused.health().next_attempt_at) > 9


def test_reconnect_on_a_good_connection_is_now(client: Client) -> None:
    """Nothing is prescribed."""
    orders = client.subscribe_orders()
    assert abs(minutes_from_now(client.reconnect())) < 0.1
    assert orders.get(timeout=10).gap


def test_reconnect_ends_a_pause_that_nothing_prescribes(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """The backoff of minutes is over at once."""
    client = make_client(backoff=Backoff(initial=600, maximum=600))
    orders = client.subscribe_orders()
    exchange.drop()
    exchange.wait_for(lambda: client.health().next_attempt_at)
    assert abs(minutes_from_now(client.reconnect())) < 0.1
    assert orders.get(timeout=10).gap
