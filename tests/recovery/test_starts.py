"""How a subscription begins: with a snapshot, or with every fill since a time."""

from __future__ import annotations

import queue
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bybit_sync import Client, ConfigurationError, Event, GapReason, Source
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET, FastClient
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import Reader, booked, buy, coins, held_positions, indices, recovered, snapshot, told

LONG_AGO = timedelta(hours=1)


def now() -> datetime:
    """Return our time."""
    return datetime.now(timezone.utc)


# --- snapshots ---


def test_positions_begin_with_those_that_are_open(recovering: Recovering, account: Account) -> None:
    """Before any push, as they are in the exchange's books."""
    buy(account)
    reader = Reader(recovering().subscribe_positions())
    (event,) = reader.until(snapshot)
    assert held_positions([event]) == {("BTCUSDT", 0): account.position("BTCUSDT").size}
    assert (event.source, event.recovered, event.gap, event.index) == (Source.REST, None, None, 1)


def test_a_state_without_rows_begins_with_an_empty_snapshot(recovering: Recovering) -> None:
    """It says that nothing is open."""
    (event,) = Reader(recovering().subscribe_orders()).until(snapshot)
    assert event.data == ()


def test_balances_begin_with_every_coin(recovering: Recovering, account: Account) -> None:
    """In one row of the account."""
    (event,) = Reader(recovering().subscribe_balances()).until(snapshot)
    assert coins([event]) == {name: account.balance(name).wallet for name in ("USDT", "BTC", "ETH")}


def test_a_queue_of_the_users_is_served_likewise(recovering: Recovering, account: Account) -> None:
    """In the same order."""
    inbox = queue.Queue[Event[Any]]()
    recovering().subscribe_orders(inbox)
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert [inbox.get(timeout=10).source for _ in range(2)] == [Source.REST, Source.STREAM]


@row(172, kills="a subscription waits for REST")
def test_subscribing_does_not_wait_for_the_snapshot(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """It returns when the stream is confirmed; pushes wait."""
    exchange.rest.slow(600.0)
    reader = Reader(recovering(hold=60.0).subscribe_orders())
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    exchange.wait_for(lambda: reader.subscription.queued)
    exchange.rest.heal()
    assert [event.source for event in reader.until(lambda event: event.source == Source.STREAM)] == [Source.REST, Source.STREAM]


@row(172, kills="a start that takes longer than `hold` is not told")
def test_a_start_that_is_not_read_in_time_is_told(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Pushes flow; the snapshot that mends it follows."""
    exchange.rest.slow(600.0)
    reader = Reader(recovering(hold=0.2).subscribe_orders())
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    (first,) = reader.until(told)
    exchange.rest.heal()
    last = reader.until(recovered)[-1]
    assert first.gap is not None
    assert (first.gap.reason, first.gap.recovering) == (GapReason.START, True)
    assert last.recovered is not None
    assert (last.snapshot, last.recovered.since, len(last.data)) == (True, first.gap.since, 1)


@row(172, kills="a start that is refused is not told")
def test_a_start_that_is_refused_is_told(recovering: Recovering, exchange: Exchange) -> None:
    """For good, with endpoint and remedy."""
    exchange.rest.refuse(10005, "order/realtime", "order/history")
    (event,) = Reader(recovering().subscribe_orders()).until(told)
    assert event.gap is not None
    assert (event.gap.reason, event.gap.recovering) == (GapReason.START, False)
    assert "order/realtime" in event.gap.detail
    assert "permission" in event.gap.detail


def test_a_start_that_was_refused_is_mended_by_the_next_outage(recovering: Recovering, exchange: Exchange) -> None:
    """Once the key has the permission."""
    exchange.rest.refuse(10005, "order/realtime", "order/history")
    reader = Reader(recovering().subscribe_orders())
    (start,) = reader.until(told)
    exchange.rest.heal()
    exchange.drop()
    event = reader.until(recovered)[-1]
    assert start.gap is not None
    assert event.recovered is not None
    assert event.recovered.since <= start.gap.since
    assert event.snapshot


# --- since= ---


@row(187, kills="the overlap brings fills from before `since`")
def test_fills_begin_at_a_given_time(recovering: Recovering, account: Account) -> None:
    """With every one since then, the oldest first, and nothing older."""
    for _ in range(3):
        buy(account)
    begin = account.executions()[1].time
    reader = Reader(recovering().subscribe_user_trades(since=datetime.fromtimestamp(begin / 1000, timezone.utc)))
    expected = [e.exec_id for e in account.executions() if e.time >= begin]
    assert reader.until_fills(len(expected)) == expected
    assert {event.source for event in reader.events} == {Source.REST}


@row(187, kills="a start is one event of any size")
@pytest.mark.parametrize("count", [0, 1_100])
def test_a_start_comes_in_events_of_at_most_a_thousand(recovering: Recovering, account: Account, count: int) -> None:
    """And what is pushed meanwhile comes last, once."""
    if count:
        order = account.place_order("BTCUSDT", "Buy", qty=str(count), price="20000")
        account.sweep(order, [("1", "20000")] * count)
    reader = Reader(recovering(hold=60.0).subscribe_user_trades(since=now() - LONG_AGO))
    buy(account)
    assert reader.until_fills(count + 1) == booked(account)
    assert max(len(event.data) for event in reader.events) <= 1_000
    assert indices(reader.events)


def test_without_a_time_fills_begin_with_nothing(recovering: Recovering, account: Account) -> None:
    """What was filled before is history."""
    buy(account)
    reader = Reader(recovering().subscribe_user_trades())
    buy(account)
    assert reader.until_fills(1) == booked(account)[1:]


def test_nothing_older_than_the_confirmation_comes_with_an_outage(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Though the read begins earlier."""
    buy(account)
    client = recovering()
    client.subscribe_orders()  # the exchange's clock is known from here on
    exchange.wait_for(lambda: client.health().fresh_as_of)
    reader = Reader(client.subscribe_user_trades())
    exchange.drop()
    (event,) = reader.until(recovered)
    assert event.data == ()


WRONG: dict[str, tuple[Any, str]] = {
    "naive": (datetime(2026, 1, 31), "aware"),  # noqa: DTZ001 - as said
    "no time": ("2026-01-31", "aware"),
    "more than a day ahead": (now() + timedelta(days=1, hours=1), "ahead"),
    "over two years ago": (now() - timedelta(days=740), "two years"),
}


@row(187, kills="`since` is not checked")
@pytest.mark.parametrize("case", WRONG)
def test_a_time_that_cannot_work_is_refused(recovering: Recovering, case: str) -> None:
    """At once, with the remedy."""
    since, words = WRONG[case]
    with pytest.raises(ConfigurationError, match=words):
        recovering().subscribe_user_trades(since=since)


def test_a_time_needs_recovery(client: Client) -> None:
    """What was filled before is read over REST."""
    with pytest.raises(ConfigurationError, match="recover=True"):
        client.subscribe_user_trades(since=now())


# --- what cannot work ---


def test_v3_has_no_rest_any_more(exchange: Exchange) -> None:
    """Told when the client is made."""
    with pytest.raises(ConfigurationError, match="v3"):
        FastClient(KEY, SECRET, environment=exchange.url, dialect="v3", recover=True)


def test_an_unknown_host_needs_its_rest_url(exchange: Exchange) -> None:
    """Which is not guessed."""
    with pytest.raises(ConfigurationError, match="base_url"):
        FastClient(KEY, SECRET, environment=exchange.url, recover=True)


def test_what_is_no_option_is_refused() -> None:
    """With what is one."""
    with pytest.raises(ConfigurationError, match="Recovery"):
        Client(KEY, SECRET, recover="yes")  # type: ignore[arg-type]
