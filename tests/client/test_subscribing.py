"""Subscribing: confirmed before it returns, refused in the caller, withdrawn when it fails."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import (
    AuthenticationError,
    Client,
    ConnectTimeout,
    Event,
    GapReason,
    State,
    StatusChange,
    SubscriptionClosed,
    SubscriptionRejected,
)
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, threads_of


def in_background(function: Callable[[], Any]) -> queue.Queue[Any]:
    """Run *function* on a thread and return where its result, or what it raised, will be."""
    result: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            result.put(function())
        except BaseException as error:  # noqa: BLE001 - it is the result
            result.put(error)

    threading.Thread(target=run, daemon=True).start()
    return result


def test_it_returns_only_once_confirmed(exchange: Exchange, account: Account, client: Client) -> None:
    """As long as the exchange holds its answer back, the caller waits."""
    exchange.hold_acks("subscribe")
    result = in_background(client.subscribe_orders)
    exchange.wait_for(lambda: exchange.connections and len(exchange.connections[0].topics) == 2)
    with pytest.raises(queue.Empty):
        result.get(timeout=0.1)
    exchange.release_acks()
    assert result.get(timeout=5).state == "LIVE"


def test_a_refused_stream_leaves_no_topic_behind(exchange: Exchange, account: Account, client: Client) -> None:
    """The half of a stream that was confirmed is unsubscribed when the other half is refused."""
    client.subscribe_balances()
    exchange.refuse_topic("position.inverse")
    with pytest.raises(SubscriptionRejected):
        client.subscribe_positions()
    exchange.wait_for(lambda: exchange.connections[0].topics == ("wallet",))


def test_a_refused_first_subscription_makes_the_client_idle_again(exchange: Exchange, account: Account, client: Client) -> None:
    """Nothing was confirmed, so nothing stays: no connection, no thread."""
    exchange.refuse_topic("wallet")
    with pytest.raises(SubscriptionRejected):
        client.subscribe_balances()
    exchange.wait_for(lambda: not exchange.connections and not threads_of(client))
    assert client.state is State.IDLE


def test_a_subscription_that_on_status_makes_is_refused_like_any(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """The thread that it holds up meanwhile is not the connection's, which ends."""
    exchange.refuse_topic("wallet")
    refused: list[SubscriptionRejected] = []
    tried = threading.Event()

    def on_status(change: StatusChange) -> None:
        if change.state is State.IDLE and not refused:
            with pytest.raises(SubscriptionRejected) as raised:
                client.subscribe_balances()
            refused.append(raised.value)
            tried.set()

    client = make_client(on_status=on_status)
    with pytest.raises(SubscriptionRejected):
        client.subscribe_balances()
    assert tried.wait(5)


def test_a_client_is_not_live_for_what_was_refused(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Nothing was confirmed: it never was LIVE, and what comes later is no return."""
    told: queue.SimpleQueue[StatusChange] = queue.SimpleQueue()
    client = make_client(on_status=told.put)
    exchange.refuse_topic("wallet", times=1)
    with pytest.raises(SubscriptionRejected):
        client.subscribe_balances()
    assert [told.get(timeout=5).state for _ in range(2)] == [State.CONNECTING, State.IDLE]
    client.subscribe_balances()
    assert client.health().reconnects == 0


def test_a_refused_client_can_try_again(exchange: Exchange, account: Account, client: Client) -> None:
    """After a refusal the next `subscribe_*` starts afresh."""
    exchange.refuse_topic("wallet", times=1)
    with pytest.raises(SubscriptionRejected):
        client.subscribe_balances()
    assert client.subscribe_balances().state == "LIVE"


def test_a_wrong_secret_raises_in_the_caller_and_leaves_no_thread(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """A login that is refused is an error where it was caused, with a remedy, and not a silent stream."""
    client = make_client(KEY, "not the secret".replace(" ", "-"))
    with pytest.raises(AuthenticationError) as caught:
        client.subscribe_orders()
    assert caught.value.remedy
    assert "testnet" in str(caught.value)
    exchange.wait_for(lambda: not threads_of(client))
    assert client.state is State.IDLE


def test_an_exchange_that_comes_up_in_time_is_reached(
    account: Account, make_client: Callable[..., Client], exchange: Exchange
) -> None:
    """The caller who waits long enough gets the subscription."""
    client = make_client()
    exchange.outage(0.3)
    assert client.subscribe_orders(timeout=10).state == "LIVE"


def test_the_connection_that_drops_between_login_and_subscribe_is_made_again(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """A cut in the middle of the start is retried within the same call, without a gap: nothing was promised before."""
    exchange.hold_acks("auth")
    result = in_background(client.subscribe_orders)
    exchange.wait_for(lambda: exchange.connections and exchange.connections[0].received)
    exchange.release_acks(discard=True)
    exchange.drop(reset=True)
    orders = result.get(timeout=5)
    account.push("orders", [{"category": "linear", "orderId": "first"}])
    assert orders.get(timeout=5).data[0].order_id == "first"


def test_without_waiting_a_refusal_comes_in_band(exchange: Exchange, account: Account, client: Client) -> None:
    """`wait=False` returns at once; the subscription tells its end itself: ENDED, then the error."""
    exchange.refuse_topic("wallet")
    balances = client.subscribe_balances(wait=False)
    event = balances.get(timeout=5)
    assert event.gap is not None
    assert event.gap.reason is GapReason.ENDED
    with pytest.raises(SubscriptionRejected):
        balances.get(timeout=5)
    assert isinstance(balances.error, SubscriptionRejected)


def test_without_waiting_a_callback_is_told_its_end(exchange: Exchange, account: Account, client: Client) -> None:
    """A callback hears ENDED too: its stream cannot end in silence."""
    exchange.refuse_topic("wallet")
    got: queue.Queue[Event[Any]] = queue.Queue()
    client.subscribe_balances(got.put, wait=False)
    event = got.get(timeout=5)
    assert event.gap is not None
    assert event.gap.reason is GapReason.ENDED


def test_a_closed_subscription_gives_what_it_has_and_then_ends(account: Account, client: Client) -> None:
    """What was buffered before `close` can still be taken; then `get` and iteration end."""
    orders = client.subscribe_orders()
    other = client.subscribe_orders()
    account.push("orders", [{"category": "linear", "orderId": "last"}])
    other.get(timeout=5)
    assert orders.close()
    assert [event.data[0].order_id for event in orders] == ["last"]
    with pytest.raises(SubscriptionClosed):
        orders.get()


def test_v3_on_an_environment_of_bybits_says_that_it_was_switched_off() -> None:
    """Whoever cannot connect there learns why, and what to give instead."""
    client = Client("key", "secret", dialect="v3", environment="mainnet", proxy="http://127.0.0.1:1")
    with pytest.raises(ConnectTimeout, match="switched V3 off in January 2025.*gateway"):
        client.subscribe_orders(timeout=1)
    assert client.close()
