"""Outages of a whole client against the simulated exchange, whose books say what is right."""

from __future__ import annotations

import pytest

from bybit_sync import Client, GapReason, Source, State
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import (
    Reader,
    booked,
    buy,
    coins,
    fills,
    held_orders,
    held_positions,
    indices,
    recovered,
    rest,
    sell,
    snapshot,
    told,
)

PATIENT = {"ping_interval": 20.0, "pong_timeout": 20.0}


@row(165, kills="a fill of the overlap, delivered before, comes again")
@pytest.mark.parametrize("missed", [0, 1, 30])
def test_every_fill_of_an_outage_is_delivered_once(
    recovering: Recovering, exchange: Exchange, account: Account, missed: int
) -> None:
    """In one event, in the place of the gap, by the exchange's own books."""
    reader = Reader(recovering().subscribe_user_trades())
    buy(account)
    reader.until_fills(1)
    exchange.stop_listening()
    for _ in range(missed):
        buy(account)
    exchange.listen()
    (event,) = reader.until(recovered)
    assert (len(event.data), event.gap, event.source) == (missed, None, Source.REST)
    assert event.recovered is not None
    assert event.recovered.reason == GapReason.DISCONNECTED
    buy(account)
    assert reader.until_fills(missed + 2) == booked(account)
    assert indices(reader.events)


@row(165, kills="only the first page is read")
def test_500_fills_of_an_outage_come_in_one_event(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Over several pages."""
    reader = Reader(recovering(hold=60.0).subscribe_user_trades())
    exchange.stop_listening()
    order = account.place_order("BTCUSDT", "Buy", qty="5", price="20000")
    account.sweep(order, [("0.01", "20000")] * 500)
    exchange.listen()
    (event,) = reader.until(recovered)
    assert fills([event]) == booked(account)


@row(165, kills="a closed position is left out of the snapshot")
def test_positions_are_right_after_an_outage(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """One was opened, one closed, one flipped; the closed one with the exchange's own flat row."""
    buy(account, "BTCUSDT")
    buy(account, "ETHUSDT", price="2000")
    reader = Reader(recovering().subscribe_positions())
    assert [symbol for symbol, _ in held_positions(reader.until(snapshot))] == ["BTCUSDT", "ETHUSDT"]
    exchange.stop_listening()
    sell(account, "BTCUSDT")
    sell(account, "ETHUSDT", qty="0.3", price="2000")
    buy(account, "SOLUSDT", qty="1", price="100")
    exchange.listen()
    (event,) = reader.until(recovered)
    assert event.snapshot
    assert {row.symbol: (str(row.side), str(row.size)) for row in event.data} == {
        "BTCUSDT": ("None", "0"),
        "ETHUSDT": ("Sell", "0.2"),
        "SOLUSDT": ("Buy", "1"),
    }


@row(165, kills="an order that was placed and ended in the outage is left out")
def test_orders_are_right_after_an_outage(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """One was filled, one cancelled, one amended, one placed, one placed and cancelled; one did not change."""
    waiting, filled, cancelled, amended = (account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000") for _ in range(4))
    reader = Reader(recovering().subscribe_orders())
    assert len(reader.until(snapshot)[0].data) == 4
    exchange.stop_listening()
    account.fill(filled)
    account.cancel(cancelled)
    account.amend(amended, qty="0.7")
    placed = account.place_order("BTCUSDT", "Sell", qty="0.5", price="30000")
    short = account.cancel(account.place_order("BTCUSDT", "Sell", qty="0.5", price="30000"))
    exchange.listen()
    (event,) = reader.until(recovered)
    assert {row.order_id: (str(row.order_status), str(row.qty)) for row in event.data} == {
        waiting.order_id: ("New", "0.5"),
        filled.order_id: ("Filled", "0.5"),
        cancelled.order_id: ("Cancelled", "0.5"),
        amended.order_id: ("New", "0.7"),
        placed.order_id: ("New", "0.5"),
        short.order_id: ("Cancelled", "0.5"),
    }
    assert (event.snapshot, event.unresolved) == (True, ())


@row(182, kills="a coin that is not listed any more is not asked for")
def test_balances_are_right_after_an_outage(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """A coin that is gone comes with the exchange's own zero."""
    account.transfer("SOL", "2")
    reader = Reader(recovering().subscribe_balances())
    reader.until(snapshot)
    exchange.stop_listening()
    account.transfer("USDT", "250.5")
    account.transfer("SOL", "-2")
    exchange.listen()
    (event,) = reader.until(recovered)
    assert event.data[0].coin("SOL").wallet_balance == 0
    assert coins([event]) == {name: account.balance(name).wallet for name in ("BTC", "ETH", "USDT")}


@row(171, kills="the window begins anew with each outage")
def test_a_second_outage_widens_the_window(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """One event mends both; what was held in between follows."""
    reader = Reader(recovering(hold=60.0, overlap=0.0).subscribe_user_trades())
    exchange.rest.slow(600.0, "execution/list")
    for count in (1, 2):
        exchange.stop_listening()
        buy(account)
        exchange.listen()
        exchange.wait_for_topics(["execution"])
        buy(account)
        exchange.wait_for(lambda count=count: exchange.rest.calls and reader.subscription.queued == count)  # type: ignore[misc]
    exchange.rest.heal()
    events = reader.until(recovered)
    assert len(events) == 1
    assert sorted(reader.until_fills(4)) == sorted(booked(account))
    assert len(fills(reader.events)) == 4
    assert indices(reader.events)


@row(165, kills="the gap of a stream whose read has succeeded is told all the same")
def test_all_four_streams_are_mended_together(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Each by one event."""
    client = recovering()
    readers = {
        "user_trades": Reader(client.subscribe_user_trades()),
        "positions": Reader(client.subscribe_positions()),
        "orders": Reader(client.subscribe_orders()),
        "balances": Reader(client.subscribe_balances()),
    }
    exchange.stop_listening()
    buy(account)
    exchange.listen()
    mended = {name: reader.until(recovered)[-1] for name, reader in readers.items()}
    assert all(len(event.data) == 1 for event in mended.values())
    assert client.state == State.LIVE
    assert not [event for reader in readers.values() for event in reader.events if event.gap]


def test_two_subscriptions_of_a_stream_are_mended_each(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """By its own event, from one read; what the second one got before it was made is not told to it."""
    client = recovering()
    first = Reader(client.subscribe_user_trades())
    buy(account)
    first.until_fills(1)
    second = Reader(client.subscribe_user_trades())
    exchange.stop_listening()
    buy(account)
    exchange.rest.forget_calls()
    exchange.listen()
    for reader in (first, second):
        reader.until(recovered)
    assert fills(first.events) == booked(account)
    assert fills(second.events)[-1:] == booked(account)[-1:]
    asked = [call.parameters for call in exchange.rest.calls if call.name == "execution/list"]
    assert len({(parameters["category"], parameters["startTime"]) for parameters in asked}) == 2


def test_a_subscription_to_a_live_stream_begins_with_its_own_snapshot(recovering: Recovering, account: Account) -> None:
    """The other one gets no second snapshot."""
    client = recovering()
    first = Reader(client.subscribe_orders())
    first.until(snapshot)
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    first.until(lambda event: event.data)
    second = Reader(client.subscribe_orders())
    (event,) = second.until(snapshot)
    assert [row.order_id for row in event.data] == [order.order_id]
    account.cancel(order)
    assert [e.source for e in first.until(lambda e: e.data)] == [Source.STREAM]


@row(181, kills="only executions of the type Trade are delivered")
def test_funding_and_liquidations_are_recovered(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """With their own kinds."""
    buy(account)
    reader = Reader(recovering().subscribe_user_trades())
    exchange.stop_listening()
    account.fund("BTCUSDT", "0.0001")
    account.liquidate("BTCUSDT", price="15000")
    exchange.listen()
    (event,) = reader.until(recovered)
    assert [str(row.exec_type) for row in event.data] == ["Funding", "BustTrade"]


@row(166, kills="pushes are delivered while REST is read")
def test_pushes_that_arrive_during_the_read_follow_it(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """In order, and once."""
    reader = Reader(recovering(hold=60.0).subscribe_user_trades())
    exchange.rest.slow(600.0, "execution/list")
    exchange.stop_listening()
    buy(account)
    exchange.listen()
    exchange.wait_for_topics(["execution"])
    exchange.wait_for(lambda: exchange.rest.calls)
    for _ in range(5):
        buy(account)
    exchange.wait_for(lambda: reader.subscription.queued == 5)
    exchange.rest.heal()
    first = reader.until(recovered)[0]
    assert len(first.data) == 1
    assert reader.until_fills(6) == booked(account)


@row(170, kills="the seq of what was read is not kept for later pushes")
def test_an_answer_ahead_of_the_stream_leaves_out_what_is_older(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Pushes of before it, which arrive after it, are not delivered: no position goes back in time."""
    reader = Reader(recovering(hold=60.0, client=PATIENT).subscribe_positions())
    reader.until(snapshot)
    exchange.rest.refuse(10016)
    exchange.drop()
    exchange.wait_for(lambda: exchange.rest.calls[-1].code == 10016)
    exchange.freeze()
    buy(account)
    buy(account)
    exchange.rest.heal()
    reader.until(recovered)
    exchange.thaw()
    buy(account)
    reader.until(lambda event: held_positions([event]) == held_positions_of(account))
    sizes = [row.size for event in reader.events for row in event.data]
    assert sizes == sorted(sizes)


def held_positions_of(account: Account) -> dict[tuple[str, int], object]:
    """Return the position in BTCUSDT, by the exchange's own books."""
    return {("BTCUSDT", 0): account.position("BTCUSDT").size}


def test_what_rest_reads_is_counted(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """And when it last succeeded."""
    client: Client = recovering()
    reader = Reader(client.subscribe_user_trades())
    before = client.health().recovery
    assert before is not None
    assert (before.requests, before.pending, before.last_error, before.last_success) == (0, (), None, None)
    exchange.drop()
    reader.until(recovered)
    after = client.health().recovery
    assert after is not None
    assert after.requests >= 2
    assert after.last_success is not None


def test_without_recovery_there_is_none_to_report(client: Client) -> None:
    """And gaps are told as ever."""
    reader = Reader(client.subscribe_user_trades())
    assert client.health().recovery is None
    client.reconnect()
    (event,) = reader.until(told)
    assert event.gap is not None
    assert not event.gap.recovering
    assert rest(reader.events) == []
    assert held_orders(reader.events) == {}
