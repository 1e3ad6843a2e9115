"""Closing: from anywhere, at any time, at once, with nothing left behind."""

from __future__ import annotations

import gc
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Backoff, Client, ClientClosed, State
from bybit_sync.simulator import Account, Exchange
from tests.client.test_subscribing import in_background
from tests.conftest import FAST, FastClient, evolved, open_descriptors, threads_of
from tests.peers import PATIENCE


@pytest.fixture(autouse=True)
def nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no reminder wake a connection thread that `close` has not woken."""
    monkeypatch.setattr(FastClient, "_timings", evolved(FAST, outage_reminders=(10 * PATIENCE,)))


def closes_at_once(client: Client) -> bool:
    """Close *client* and say whether it waited for nothing, which would take minutes, and left no thread."""
    return client.close(timeout=PATIENCE) and not threads_of(client) and client.state is State.CLOSED


def test_a_client_that_never_connected(client: Client) -> None:
    """Nothing to do, and it is closed."""
    assert closes_at_once(client)


def test_a_live_client(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """Three streams, three ways of delivery, one call, and nothing that is due soon."""
    client = make_client(ping_interval=300, pong_timeout=300)
    client.subscribe_orders(lambda event: None)
    client.subscribe_balances(queue.Queue())
    positions = client.subscribe_positions()
    assert closes_at_once(client)
    assert list(positions) == []
    exchange.wait_for(lambda: not exchange.connections)


def test_while_connecting(make_client: Callable[..., Client]) -> None:
    """A server that accepts and says nothing does not hold the close."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = make_client(environment=f"ws://127.0.0.1:{mute.getsockname()[1]}", connect_timeout=300)
        result = in_background(client.subscribe_orders)
        connection, _ = mute.accept()
        with connection:
            assert closes_at_once(client)
        assert isinstance(result.get(timeout=PATIENCE), ClientClosed)


def test_while_waiting_for_the_confirmation(exchange: Exchange, account: Account, client: Client) -> None:
    """The caller that still waits is told."""
    exchange.hold_acks("subscribe")
    result = in_background(client.subscribe_orders)
    exchange.wait_for(lambda: exchange.connections and exchange.connections[0].topics)
    assert closes_at_once(client)
    assert isinstance(result.get(timeout=PATIENCE), ClientClosed)


def test_while_backing_off(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """The pause is no obstacle."""
    client = make_client(backoff=Backoff(initial=300, factor=1, maximum=300))
    client.subscribe_orders(lambda event: None)
    exchange.stop_listening()
    exchange.wait_for(lambda: client.state is State.BACKING_OFF)
    assert closes_at_once(client)


def test_twice_and_from_many_threads(account: Account, client: Client) -> None:
    """Every call returns, and says the same."""
    client.subscribe_orders(lambda event: None)
    barrier = threading.Barrier(16)
    results = [in_background(lambda: (barrier.wait(), client.close())[1]) for _ in range(16)]
    assert [r.get(timeout=PATIENCE) for r in results] == [True] * 16
    assert client.close()


@pytest.mark.parametrize("what", ["subscription", "client"])
def test_from_a_callback(what: str, account: Account, client: Client) -> None:
    """A callback that ends its own stream returns at once, and is not called again."""
    calls: queue.Queue[Any] = queue.Queue()
    ready = threading.Event()

    def close(event: Any) -> None:
        ready.wait(PATIENCE)
        calls.put((subscription if what == "subscription" else client).close())

    subscription = client.subscribe_orders(close)
    for n in range(3):
        account.push("orders", [{"category": "linear", "orderId": f"{n}"}])
    ready.set()
    calls.get(timeout=PATIENCE)
    assert client.close()
    assert calls.empty()
    assert subscription.state == "CLOSED"


def test_two_callbacks_that_close_each_other(account: Account, client: Client) -> None:
    """Neither waits for the other, so neither waits for ever."""
    both = threading.Barrier(2)
    done: queue.Queue[Any] = queue.Queue()
    subscriptions: list[Any] = []
    started = threading.Event()

    def closing(other: int) -> Callable[[Any], None]:
        def close(event: Any) -> None:
            started.wait(PATIENCE)
            both.wait(PATIENCE)
            subscriptions[other].close()
            done.put(other)

        return close

    subscriptions += [client.subscribe_orders(closing(1)), client.subscribe_orders(closing(0))]
    started.set()
    account.push("orders", [{"category": "linear", "orderId": "one"}])
    assert {done.get(timeout=PATIENCE), done.get(timeout=PATIENCE)} == {0, 1}


def test_what_is_buffered_is_delivered_first(account: Account, client: Client) -> None:
    """Closing a callback subscription loses nothing that had arrived."""
    go, got = threading.Event(), []

    def slow(event: Any) -> None:
        go.wait(PATIENCE)
        got.append(event.data[0].order_id)

    orders, witness = client.subscribe_orders(slow), client.subscribe_orders()
    for n in range(5):
        account.push("orders", [{"category": "linear", "orderId": f"{n}"}])
        witness.get(timeout=PATIENCE)
    closed = in_background(orders.close)
    go.set()
    assert closed.get(timeout=PATIENCE) is True
    assert got == ["0", "1", "2", "3", "4"]


def test_a_callback_that_does_not_end_in_time(account: Account, client: Client, log: pytest.LogCaptureFixture) -> None:
    """The close says False and what it discarded; no further call starts."""
    running, go, calls = threading.Event(), threading.Event(), []

    def stuck(event: Any) -> None:
        calls.append(event)
        running.set()
        go.wait(PATIENCE)

    orders, witness = client.subscribe_orders(stuck), client.subscribe_orders()
    for n in range(3):
        account.push("orders", [{"category": "linear", "orderId": f"{n}"}])
        witness.get(timeout=PATIENCE)
    assert running.wait(PATIENCE)
    assert orders.close(timeout=0) is False
    go.set()
    assert client.close()
    assert len(calls) == 1
    assert "2 events undelivered" in log.text


def test_nothing_is_left(exchange: Exchange, account: Account) -> None:
    """Twenty clients come and go, and every descriptor and thread is back."""
    # The exchange opens what it listens with on a thread of its own: the first client has waited for that.
    come_and_go(account, exchange)
    before, threads = open_descriptors(), threading.active_count()
    for _ in range(20):
        come_and_go(account, exchange)
    exchange.wait_for(lambda: threading.active_count() <= threads, 60)
    exchange.wait_for(lambda: open_descriptors() <= before, 60)


def come_and_go(account: Account, exchange: Exchange) -> None:
    """Have a client subscribe and close, and wait until the exchange has noticed."""
    with FastClient(account.key, account.secret, environment=exchange.url) as client:
        client.subscribe_orders(lambda event: None)
        client.subscribe_balances()
    exchange.wait_for(lambda: not exchange.connections, 60)


def test_an_open_subscription_keeps_its_client(account: Account, exchange: Exchange) -> None:
    """Nobody holds client or subscription, and the callback is still called."""
    got: queue.Queue[Any] = queue.Queue()
    client = FastClient(account.key, account.secret, environment=exchange.url)
    client.subscribe_orders(lambda event: got.put(event.index))
    del client
    gc.collect()
    account.push("orders", [{"category": "linear", "orderId": "one"}])
    assert got.get(timeout=PATIENCE) == 1
    next(o for o in gc.get_objects() if isinstance(o, FastClient) and o.state is State.LIVE).close()


def test_a_client_without_subscriptions_can_be_collected(account: Account, exchange: Exchange) -> None:
    """Forgetting to close is a warning, and still ends the connection."""
    client = FastClient(account.key, account.secret, environment=exchange.url)
    client.subscribe_orders().close()
    holder = [client]
    del client
    with pytest.warns(ResourceWarning, match="unclosed"):
        holder.clear()
    exchange.wait_for(lambda: not exchange.connections)


def test_wait_ends_with_close(account: Account, client: Client) -> None:
    """A main thread that waits is let go by whoever closes."""
    client.subscribe_orders(lambda event: None)
    assert client.wait(timeout=0.05) is False
    waiting = in_background(client.wait)
    client.close()
    assert waiting.get(timeout=PATIENCE) is True


def test_no_thread_is_left_when_close_returns(exchange: Exchange, account: Account) -> None:
    """Not even for a moment, whoever counts them next."""
    for _ in range(30):
        client = FastClient(account.key, account.secret, environment=exchange.url, on_status=lambda change: None)
        client.subscribe_orders(lambda event: None)
        assert client.close()
        assert [name for name in threads_of(client) if "status" not in name] == []
