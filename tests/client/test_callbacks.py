"""Callbacks and queues: what they raise, what they miss, and that the stream goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Client, Event, GapReason, QueueOverflow, Subscription
from bybit_sync.simulator import Account, Exchange
from tests.conftest import push


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_callback_that_raises_gets_the_next_event(
    raised: BaseException, account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises is logged with its traceback, and costs nothing but itself."""
    got: queue.Queue[str] = queue.Queue()

    def raising(event: Event[Any]) -> None:
        got.put(event.data[0].order_id)
        if event.index == 1:
            raise raised

    orders = client.subscribe_orders(raising)
    push(account, "one", "two")
    assert [got.get(timeout=5), got.get(timeout=5)] == ["one", "two"]
    told = [r for r in log.records if r.exc_info and r.exc_info[1] is raised]
    assert [r.levelno for r in told] == [logging.ERROR if isinstance(raised, Exception) else logging.CRITICAL]
    assert client.health().subscriptions[0].handler_errors == 1
    assert orders.state == "LIVE"


async def awaitable() -> None:
    """Do nothing, later."""


async def asynchronous_generator() -> Any:
    """Do nothing, bit by bit."""
    yield


@pytest.mark.parametrize("make", [awaitable, asynchronous_generator, lambda: (row for row in "rows")])
def test_what_a_callback_returns_instead_of_running_is_told(
    make: Callable[[], Any], account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """It counts as raised: in the log, at `on_error`, in the health."""
    told: queue.Queue[BaseException] = queue.Queue()
    client = make_client(on_error=lambda error, *_: told.put(error))
    client.subscribe_orders(lambda event: make())
    push(account, "one")
    error = told.get(timeout=5)
    assert isinstance(error, TypeError)
    assert "nothing has run" in str(error)
    assert client.health().subscriptions[0].handler_errors == 1
    assert [r.levelname for r in log.records if r.exc_info and r.exc_info[1] is error] == ["ERROR"]


def test_a_coroutine_of_on_status_or_on_error_is_told(
    account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """These only have the log."""
    client = make_client(on_status=lambda change: awaitable(), on_error=lambda *_: awaitable())
    client.subscribe_orders(lambda event: awaitable())
    witness = client.subscribe_orders()
    push(account, "one")
    assert witness.get(timeout=5)
    assert client.close()
    told = {r.getMessage().removeprefix(f"{client.name}: ") for r in log.records if r.exc_info and r.exc_info[0] is TypeError}
    assert {"on_status raised", "on_error raised"} <= told


def test_on_error_is_handed_what_was_raised(account: Account, make_client: Callable[..., Client]) -> None:
    """It gets the exception, the event and the subscription, on the callback's own thread."""
    got: queue.Queue[tuple[Any, ...]] = queue.Queue()
    client = make_client(on_error=lambda *told: got.put((*told, threading.current_thread().name)))

    def raising(event: Event[Any]) -> None:
        raise LookupError(threading.current_thread().name)

    orders = client.subscribe_orders(raising)
    push(account, "one")
    error, event, subscription, thread = got.get(timeout=5)
    assert (str(error), event.data[0].order_id, subscription) == (thread, "one", orders)


def test_an_on_error_that_raises_does_not_matter_either(account: Account, make_client: Callable[..., Client]) -> None:
    """Even then the next event is delivered."""
    got: queue.Queue[str] = queue.Queue()

    def raising(*told: Any) -> None:
        got.put("called")
        raise RuntimeError

    client = make_client(on_error=raising)
    client.subscribe_orders(raising)
    push(account, "one", "two")
    assert [got.get(timeout=5) for _ in range(4)] == ["called"] * 4


def test_a_blocking_callback_does_not_cost_the_connection(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Pings go on while it blocks for many times the pong timeout, and the backlog is delivered in order."""
    client = make_client(ping_interval=0.05, pong_timeout=0.3)
    go, got = threading.Event(), queue.Queue[str]()

    def blocking(event: Event[Any]) -> None:
        go.wait(10)
        got.put(event.data[0].order_id)

    client.subscribe_orders(blocking)
    push(account, "one", "two", "three")
    exchange.wait_for(lambda: [r["op"] for r in exchange.connections[0].received].count("ping") > 30)
    go.set()
    assert [got.get(timeout=5) for _ in range(3)] == ["one", "two", "three"]
    assert client.health().epoch == 1


def fill_up(account: Account, client: Client, subscription: Subscription[Any], count: int) -> None:
    """Push *count* orders and wait until all of them have been read."""
    with client.subscribe_orders() as witness:
        push(account, *(str(n) for n in range(count)))
        for _ in range(count):
            witness.get(timeout=5)


def test_a_slow_consumer_loses_the_oldest_and_is_told_at_the_head(account: Account, client: Client) -> None:
    """The gap stands where the missing events stood and counts them; the newest are there."""
    orders = client.subscribe_orders(maxsize=3)
    fill_up(account, client, orders, 10)
    events = [orders.get(timeout=5) for _ in range(4)]
    gap = events[0].gap
    assert gap is not None
    assert (gap.reason, gap.missed) == (GapReason.OVERFLOW, 7)
    assert [e.data[0].order_id for e in events[1:]] == ["7", "8", "9"]
    assert [e.index for e in events] == [1, 2, 3, 4]


def test_drop_newest_keeps_the_oldest(account: Account, client: Client) -> None:
    """The gap then stands behind them."""
    orders = client.subscribe_orders(maxsize=3, overflow="drop_newest")
    fill_up(account, client, orders, 10)
    events = [orders.get(timeout=5) for _ in range(4)]
    assert [e.data[0].order_id for e in events[:3]] == ["0", "1", "2"]
    assert events[3].gap is not None
    assert events[3].gap.missed == 7


def test_fail_ends_the_subscription_behind_what_is_buffered(account: Account, client: Client) -> None:
    """Who must not miss anything is told by an end, not by a hole."""
    orders = client.subscribe_orders(maxsize=3, overflow="fail")
    fill_up(account, client, orders, 10)
    events = [orders.get(timeout=5) for _ in range(4)]
    assert [e.data[0].order_id for e in events[:3]] == ["0", "1", "2"]
    assert events[3].gap is not None
    assert events[3].gap.reason is GapReason.ENDED
    with pytest.raises(QueueOverflow, match="maxsize"):
        orders.get()


def test_a_full_queue_of_the_users_misses_the_newest_and_is_told(account: Account, client: Client) -> None:
    """The gap is offered until it fits, and before anything newer."""
    full: queue.Queue[Any] = queue.Queue(maxsize=2)
    orders = client.subscribe_orders(full)
    fill_up(account, client, orders, 5)
    assert [full.get(timeout=5).data[0].order_id for _ in range(2)] == ["0", "1"]
    gap = full.get(timeout=5).gap
    assert (gap.reason, gap.missed) == (GapReason.OVERFLOW, 3)
    push(account, "later")
    assert full.get(timeout=5).data[0].order_id == "later"


def test_a_full_queue_that_breaks_ends_its_subscription_with_the_next_event(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """Retrying the gap that it lacks does not end it; what cannot be delivered then does."""

    class Breaking(queue.Queue[Any]):
        broken, tried = False, threading.Event()

        def put_nowait(self, item: Any, /) -> None:
            if self.broken:
                self.tried.set()
                raise OSError("the disk is gone")
            super().put_nowait(item)

    full = Breaking(maxsize=1)
    orders = client.subscribe_orders(full)
    fill_up(account, client, orders, 3)
    full.broken = True
    assert full.tried.wait(5)
    assert orders.state == "LIVE"
    push(account, "next")
    exchange.wait_for(lambda: orders.state == "CLOSED")
    assert "disk" in str(orders.error)


def test_a_queue_that_raises_ends_its_own_subscription_only(account: Account, client: Client) -> None:
    """A broken queue is the end of what it was for, and of nothing else."""

    class Broken:
        def put_nowait(self, item: object, /) -> None:
            raise OSError("the disk is gone")

    broken = client.subscribe_orders(Broken())
    orders = client.subscribe_orders()
    push(account, "one", "two")
    assert [orders.get(timeout=5).data[0].order_id for _ in range(2)] == ["one", "two"]
    assert broken.state == "CLOSED"
    assert "disk" in str(broken.error)


def test_wait_raises_what_the_last_subscription_ended_with(account: Account, client: Client) -> None:
    """A main thread in `wait` does not sleep on when there is nothing left to wait for."""
    full: queue.Queue[Any] = queue.Queue(maxsize=1)
    client.subscribe_orders(full, overflow="fail")
    push(account, "one", "two")
    with pytest.raises(QueueOverflow):
        client.wait(timeout=5)
    assert full.get(timeout=5).data
    assert full.get(timeout=5).gap.reason is GapReason.ENDED


def test_a_logging_handler_that_raises_does_not_end_the_stream(
    account: Account, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, and the next event is delivered."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise MemoryError

    handler = Raising()
    logging.getLogger("bybit_sync").addHandler(handler)
    try:
        got: queue.Queue[Any] = queue.Queue()
        client.subscribe_orders(lambda event: (got.put(event.index), 1 / 0))
        push(account, "one", "two")
        assert [got.get(timeout=5), got.get(timeout=5)] == [1, 2]
    finally:
        logging.getLogger("bybit_sync").removeHandler(handler)
    assert "MemoryError" in capsys.readouterr().err
