"""Callbacks on the connection thread: what they may do, what they raise, and how they end."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import AnyEvent, Client, ConfigurationError, Event, GapReason, Inline, Recovery, Subscription
from bybit_sync.delivery.inline import SLOW, InlineSink
from bybit_sync.simulator import Account, Exchange
from tests.client.test_subscribing import in_background
from tests.client.test_threads import taken
from tests.conftest import push, threads_of


class Held:
    """A callback whose first call lasts until `go` is set."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.events: list[Event[Any]] = []

    def __call__(self, event: Event[Any]) -> None:
        """Wait."""
        self.events.append(event)
        self.entered.set()
        assert self.go.wait(30)


@pytest.fixture
def held(client: Client) -> Any:
    """A callback that runs, at the end of the test no longer: before its client is closed."""
    held = Held()
    yield held
    held.go.set()


def test_it_runs_on_the_connection_thread(account: Account, client: Client) -> None:
    """And has none of its own."""
    names: queue.Queue[str] = queue.Queue()
    client.subscribe_orders(Inline(lambda _: names.put(threading.current_thread().name)))
    push(account, "one")
    assert names.get(timeout=10) == f"{client.name}-connection"
    assert threads_of(client) == [f"{client.name}-connection"]


def test_one_serves_all_streams(account: Account, client: Client) -> None:
    """As one queue does: each event says whose it is."""
    seen: queue.Queue[AnyEvent] = queue.Queue()
    inline = Inline(seen.put)
    client.subscribe_orders(inline)
    client.subscribe_positions(inline)
    account.push("positions", [{"category": "linear", "symbol": "BTCUSDT"}])
    push(account, "one")
    assert [seen.get(timeout=10).stream.value for _ in range(2)] == ["positions", "orders"]


def test_what_it_raises_is_isolated(
    account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """In the log, at `on_error`, in the health, as for any callback; the next event comes."""
    told: queue.Queue[Any] = queue.Queue()
    client = make_client(on_error=lambda *call: told.put((*call, threading.current_thread().name)))

    def fail(event: Event[Any]) -> None:
        raise SystemExit(event.index)

    orders = client.subscribe_orders(Inline(fail))
    push(account, "one", "two")
    for index in (1, 2):
        error, event, subscription, thread = told.get(timeout=10)
        assert (str(error), event.index, subscription, thread) == (str(index), index, orders, f"{client.name}-connection")
    assert client.health().subscriptions[0].handler_errors == 2
    assert "the callback of orders raised" in log.text


@pytest.mark.parametrize("inside", [False, True])
def test_closing_logs_how_often_it_raised_again(
    account: Account, client: Client, log: pytest.LogCaptureFixture, *, inside: bool
) -> None:
    """From outside and from inside; the first one has a traceback."""
    seen: queue.Queue[int] = queue.Queue()

    def fail(event: Event[Any]) -> None:
        seen.put(event.index)
        if inside and event.index == 3:
            orders.close()
        raise ValueError(event.index)

    orders = client.subscribe_orders(Inline(fail))
    push(account, "one", "two", "three")
    assert [seen.get(timeout=10) for _ in range(3)] == [1, 2, 3]
    assert client.close()
    assert len(re.findall("raised again: ValueError in .*, 2 more times", log.text)) == 1


def test_a_slow_one_is_warned_about_once(account: Account, client: Client, log: pytest.LogCaptureFixture) -> None:
    """It delays its client, and says so."""
    over: queue.Queue[int] = queue.Queue()
    orders = client.subscribe_orders(Inline(lambda event: (threading.Event().wait(2 * SLOW), over.put(event.index))))
    push(account, "one", "two")
    assert [over.get(timeout=10) for _ in range(2)] == [1, 2]
    assert orders.close()
    told = [record for record in log.records if "inline callback of orders" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]


def test_health_tells_of_the_running_call(account: Account, client: Client, held: Held) -> None:
    """And counts it as delivered, as for a callback on a thread."""
    orders = client.subscribe_orders(Inline(held))
    push(account, "one")
    assert held.entered.wait(10)
    assert client.health().subscriptions[0].busy_since is not None
    assert (orders.delivered, orders.queued, held.events[0].index) == (1, 0, 1)
    held.go.set()


# --- closing ---


@pytest.mark.parametrize("close", [lambda orders, _: orders.close(60), lambda _, client: client.close(60)])
def test_closing_waits_for_the_running_call(
    close: Callable[[Subscription[Any], Client], bool], account: Account, client: Client, held: Held
) -> None:
    """True then means that no call runs, and none will."""
    orders = client.subscribe_orders(Inline(held))
    push(account, "one", "two")
    assert held.entered.wait(10)
    closed = in_background(lambda: (close(orders, client), len(held.events)))
    with pytest.raises(queue.Empty):
        closed.get(timeout=0.3)
    held.go.set()
    assert closed.get(timeout=10) == (True, 1)


@pytest.mark.parametrize("close", [lambda orders, _: orders.close(0.2), lambda _, client: client.close(0.2)])
def test_closing_returns_false_when_the_call_goes_on(
    close: Callable[[Subscription[Any], Client], bool], account: Account, client: Client, held: Held
) -> None:
    """And no further one starts."""
    orders = client.subscribe_orders(Inline(held))
    push(account, "one", "two")
    assert held.entered.wait(10)
    assert close(orders, client) is False
    held.go.set()
    assert client.close()
    assert len(held.events) == 1


def test_one_that_was_never_started_closes() -> None:
    """Ctrl-C came before."""
    sink = InlineSink(Inline(print))
    sink.stop_accepting()
    assert sink.wait_done(0.0)


@pytest.mark.parametrize("whole_client", [False, True])
def test_closing_inside_does_not_wait(account: Account, client: Client, *, whole_client: bool) -> None:
    """It is the last call: False says that it still runs."""
    done: queue.Queue[bool] = queue.Queue()
    orders: Subscription[Any] = client.subscribe_orders(
        Inline(lambda _: done.put(client.close() if whole_client else orders.close()))
    )
    push(account, "one", "two")
    assert done.get(timeout=10) is False
    assert client.close()
    assert done.empty()


def test_another_callback_s_close_does_not_wait_either(account: Account, client: Client, held: Held) -> None:
    """Two callbacks of a client may close each other."""
    started, done = threading.Event(), queue.Queue[bool]()
    client.subscribe_positions(lambda _: (started.set(), held.entered.wait(30), done.put(orders.close())))
    orders = client.subscribe_orders(Inline(held))
    account.push("positions", [{"category": "linear", "symbol": "BTCUSDT"}])
    assert started.wait(10)
    push(account, "one")
    assert done.get(timeout=10) is False


# --- what it may call ---


def test_it_may_subscribe_without_waiting(exchange: Exchange, account: Account, client: Client) -> None:
    """Waiting for the exchange's answer would be for ever: it is refused."""
    told: queue.Queue[Any] = queue.Queue()

    def subscribe(_: Event[Any]) -> None:
        try:
            client.subscribe_positions()
        except ConfigurationError as error:
            told.put(str(error))
        told.put(client.subscribe_positions(wait=False))

    client.subscribe_orders(Inline(subscribe))
    push(account, "one")
    assert "give wait=False" in told.get(timeout=10)
    positions = told.get(timeout=10)
    exchange.wait_for(lambda: positions.state == "LIVE")
    account.push("positions", [{"category": "linear", "symbol": "BTCUSDT"}])
    assert positions.get(timeout=10)


def test_it_is_no_place_to_get_from(client: Client) -> None:
    """The subscription has a sink."""
    with pytest.raises(ConfigurationError, match="delivers to its sink"):
        client.subscribe_orders(Inline(print)).get(timeout=0)


@pytest.mark.parametrize("wrong", [None, 7, queue.Queue()])
def test_what_cannot_be_called_is_refused(wrong: Any) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=r"callback=.* cannot work: give something that can be called"):
        Inline(wrong)


def test_its_repr_names_the_callback() -> None:
    """For logs, and for errors about arguments."""
    assert repr(Inline(print)) == "Inline(<built-in function print>)"


# --- gaps ---


def test_outages_and_the_end_are_told_in_order(exchange: Exchange, account: Account, client: Client) -> None:
    """As to every kind of sink."""
    seen: queue.Queue[Event[Any]] = queue.Queue()
    orders = client.subscribe_orders(Inline(seen.put))
    push(account, "one")
    assert taken(seen, 1) == ["one"]
    client.reconnect()
    assert taken(seen, 1) == ["DISCONNECTED"]
    push(account, "two")
    assert taken(seen, 1) == ["two"]
    exchange.refuse_login()
    exchange.drop()
    last = seen.get(timeout=10)
    assert last.gap is not None
    assert (last.gap.reason, last.index) == (GapReason.ENDED, orders.delivered)


@pytest.mark.parametrize("refuse", [Exchange.refuse_login, lambda exchange: exchange.refuse_topic("order.linear")])
def test_closing_the_client_waits_for_the_call_with_the_end(
    refuse: Callable[[Exchange], None], exchange: Exchange, account: Account, client: Client, held: Held
) -> None:
    """The subscription has ended, but its last call runs."""
    client.subscribe_orders(Inline(held))
    refuse(exchange)
    exchange.drop()
    assert held.entered.wait(30)
    closed = in_background(client.close)
    with pytest.raises(queue.Empty):
        closed.get(timeout=0.3)
    held.go.set()
    assert closed.get(timeout=10)


def test_recovery_s_events_come_inline_too(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """The same sink, behind recovery's: the snapshot, what an outage hid, and the close."""
    seen: queue.Queue[tuple[str, Event[Any]]] = queue.Queue()
    client = make_client(recover=Recovery(base_url=exchange.rest_url))
    inline = Inline[Event[Any]](lambda event: seen.put((threading.current_thread().name, event)))
    balances = client.subscribe_balances(inline)
    thread, first = seen.get(timeout=10)
    assert (thread, first.snapshot) == (f"{client.name}-connection", True)
    client.reconnect()
    assert seen.get(timeout=10)[1].recovered
    assert balances.close()


def test_closing_delivers_what_recovery_holds(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """The gate in front of it opens first."""
    seen: queue.Queue[Event[Any]] = queue.Queue()
    client = make_client(recover=Recovery(base_url="http://127.0.0.1:1", hold=60))
    orders, witness = client.subscribe_orders(Inline(seen.put)), client.subscribe_balances(wait=False)
    push(account, "one")
    exchange.wait_for(lambda: orders.queued)
    assert orders.close()
    assert "one" in [row.order_id for _ in range(seen.qsize()) for row in seen.get()]
    assert witness.close()
