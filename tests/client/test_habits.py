"""Client and Subscription do what a Python programmer expects of such things: in with statements, pools, logging, signals."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
import logging.config
import logging.handlers
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bybit_sync import AnyEvent, Client, Event, OrderUpdate, State, Subscription, SubscriptionClosed, SubscriptionState
from bybit_sync.simulator import Account, Exchange
from tests.conftest import threads_of


def place(account: Account, count: int = 1) -> None:
    """Place orders: each is an event of the orders stream."""
    for _ in range(count):
        account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")


# --- contextlib ---


def test_an_exit_stack_closes_what_entered_it_last_first(account: Account, make_client: Callable[..., Client]) -> None:
    """Several clients and subscriptions, as many as there are, under one ``with``."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(make_client()) for _ in range(2)]
        orders = [stack.enter_context(client.subscribe_orders()) for client in clients]
        assert [client.state for client in clients] == [State.LIVE] * 2
    assert [subscription.state for subscription in orders] == [SubscriptionState.CLOSED] * 2
    assert [client.state for client in clients] == [State.CLOSED] * 2


def test_an_exit_stack_that_fails_half_way_leaves_nothing_open(account: Account, make_client: Callable[..., Client]) -> None:
    """The error is the caller's, and every thread has ended."""
    client = make_client()
    with pytest.raises(ZeroDivisionError), contextlib.ExitStack() as stack:
        stack.enter_context(client)
        stack.callback(client.subscribe_orders(print).close)
        raise ZeroDivisionError
    assert (client.state, threads_of(client)) == (State.CLOSED, [])


def test_a_stack_hands_an_open_client_over(account: Account, client: Client) -> None:
    """``pop_all`` keeps what was made well, as a constructor does that makes several things."""
    with contextlib.ExitStack() as stack:
        orders = stack.enter_context(stack.enter_context(client).subscribe_orders())
        kept = stack.pop_all()
    place(account)
    assert orders.get(timeout=5).index == 1
    kept.close()
    assert client.state is State.CLOSED


def test_closing_closes(account: Account, client: Client) -> None:
    """For whoever writes it that way."""
    with contextlib.closing(client), contextlib.closing(client.subscribe_orders()) as orders:
        assert orders.state is SubscriptionState.LIVE
    assert orders.state is SubscriptionState.CLOSED


# --- concurrent.futures ---


def test_a_pool_subscribes_several_clients_at_once(account: Account, make_client: Callable[..., Client]) -> None:
    """Each on a thread of the pool, and the subscriptions outlive it."""
    clients = [make_client() for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        orders = list(pool.map(lambda client: client.subscribe_orders(), clients))
    place(account)
    assert [subscription.get(timeout=5).client for subscription in orders] == [client.name for client in clients]


def test_a_subscription_can_be_awaited_in_a_future(account: Account, client: Client) -> None:
    """Closing it ends the call that waits in the pool."""
    orders = client.subscribe_orders()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future: concurrent.futures.Future[Event[OrderUpdate]] = pool.submit(orders.get)
        place(account)
        assert future.result(timeout=5).data[0].symbol == "BTCUSDT"
        waiting = pool.submit(orders.get)
        orders.close()
        assert isinstance(waiting.exception(timeout=5), SubscriptionClosed)


def test_a_callback_may_hand_its_events_to_a_pool(account: Account, client: Client) -> None:
    """``partial(pool.submit, work)`` is a sink like any other."""
    done: queue.Queue[int] = queue.Queue()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        client.subscribe_orders(functools.partial(pool.submit, lambda event: done.put(event.index)))
        place(account, 10)
        assert sorted(done.get(timeout=5) for _ in range(10)) == list(range(1, 11))
        client.close()


# --- logging.config ---


@pytest.fixture
def configured() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Configure logging as a program does at its start, and put everything back afterwards."""
    # Those below a logger that is configured are made as new, whatever the configuration says of them.
    names = [None, "bybit_sync", *(name for name in logging.root.manager.loggerDict if name.startswith("bybit_sync."))]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate, logger.disabled) for logger in loggers]

    def configure(config: dict[str, Any]) -> None:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **config})

    yield configure
    for logger, handlers, level, propagate, disabled in before:
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers, logger.propagate, logger.disabled = handlers, propagate, disabled
        logger.setLevel(level)


def test_dict_config_names_the_logger_and_each_record_its_client(
    configured: Callable[[dict[str, Any]], None],
    exchange: Exchange,
    account: Account,
    make_client: Callable[..., Client],
    tmp_path: Path,
) -> None:
    """The logger is ``bybit_sync``; ``%(client)s`` is the client's name."""
    configured(
        {
            "formatters": {"plain": {"format": "%(levelname)s [%(client)s] %(message)s"}},
            "handlers": {"file": {"class": "logging.FileHandler", "filename": tmp_path / "log", "formatter": "plain"}},
            "loggers": {"bybit_sync": {"level": "INFO", "handlers": ["file"], "propagate": False}},
        }
    )
    orders = make_client(name="main").subscribe_orders()
    exchange.drop()
    assert orders.get(timeout=5).gap
    lines = exchange.wait_for(lambda: [li for li in (tmp_path / "log").read_text().splitlines() if "live after" in li])
    assert lines[0].startswith("INFO [main] main: live after ")
    (warning,) = [li for li in (tmp_path / "log").read_text().splitlines() if "WARNING" in li]
    assert warning.startswith("WARNING [main] main: ")


def test_a_level_silences_what_is_below_it(
    configured: Callable[[dict[str, Any]], None], exchange: Exchange, account: Account, client: Client, tmp_path: Path
) -> None:
    """Also when it is set after the client was made."""
    configured(
        {
            "handlers": {"file": {"class": "logging.FileHandler", "filename": tmp_path / "log"}},
            "loggers": {"bybit_sync": {"level": "ERROR", "handlers": ["file"], "propagate": False}},
        }
    )
    orders = client.subscribe_orders()
    exchange.drop()
    assert orders.get(timeout=5).gap
    assert (tmp_path / "log").read_text() == ""


def test_a_queue_handler_takes_the_records_off_the_connection_thread(
    configured: Callable[[dict[str, Any]], None], exchange: Exchange, account: Account, client: Client
) -> None:
    """What logging has for slow handlers: a listener on another thread writes them."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    written: queue.Queue[str] = queue.Queue()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.put(f"{threading.current_thread().name != record.threadName} {record.getMessage()}")

    configured({"loggers": {"bybit_sync": {"level": "WARNING", "propagate": False}}})
    logging.getLogger("bybit_sync").addHandler(logging.handlers.QueueHandler(records))
    listener = logging.handlers.QueueListener(records, Slow())
    listener.start()
    client.subscribe_orders()
    exchange.drop()
    assert written.get(timeout=5).startswith(f"True {client.name}: ")
    listener.stop()


# --- signals ---


@pytest.fixture
def on_sigterm() -> Iterator[Callable[[Callable[[int, FrameType | None], object]], None]]:
    """Set a handler of SIGTERM for one test."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda handler: signal.signal(signal.SIGTERM, handler) and None
    signal.signal(signal.SIGTERM, before)


def send(number: int) -> threading.Timer:
    """Let this process be signalled in a moment."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.start()
    return timer


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends a process there")


@needs_signals
def test_a_handler_of_sigterm_closes_the_client_and_wait_returns(account: Account, client: Client, on_sigterm: Any) -> None:
    """``close(timeout=0)`` never waits, and what the main thread waits for is over."""
    client.subscribe_orders(print)
    on_sigterm(lambda *_: client.close(timeout=0))
    timer = send(signal.SIGTERM)
    assert client.wait(timeout=10) is True
    timer.join()


@needs_signals
def test_a_handler_may_raise_through_an_iteration(account: Account, client: Client, on_sigterm: Any) -> None:
    """The usual ``sys.exit`` in a handler ends the loop, and the with statements close everything."""
    on_sigterm(lambda *_: sys.exit(0))
    timer = send(signal.SIGTERM)
    with pytest.raises(SystemExit), client, client.subscribe_orders() as orders:
        for _ in orders:
            pass
    timer.join()
    assert (client.state, threads_of(client)) == (State.CLOSED, [])


@needs_signals
def test_ctrl_c_ends_a_loop_that_takes_from_a_queue_of_one_s_own(account: Account, client: Client) -> None:
    """``queue.Queue.get`` is interrupted, as ever, and the client closes as the ``with`` ends."""
    inbox: queue.Queue[AnyEvent] = queue.Queue()
    timer = send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), client:
        client.subscribe_orders(inbox)
        inbox.get(timeout=10)
    timer.join()
    assert threads_of(client) == []


# --- queues ---


class Urgent(queue.PriorityQueue[Any]):
    """Gaps first; events cannot be compared with one another, what goes before them can."""

    def put_nowait(self, item: AnyEvent) -> None:
        """Put what can be sorted."""
        super().put_nowait((0 if item.gap else 1, item.received_ns, item.index, item))


class Counting(queue.Queue[AnyEvent]):
    """Counts what it is given, where `queue.Queue` itself puts it."""

    given = 0

    def _put(self, item: AnyEvent) -> None:
        self.given += 1
        super()._put(item)


def test_a_priority_queue_of_one_s_own_lets_gaps_go_first(exchange: Exchange, account: Account, client: Client) -> None:
    """``put_nowait`` is where an event becomes what the queue can sort."""
    inbox = Urgent()
    client.subscribe_orders(inbox)
    place(account, 2)
    exchange.drop()
    exchange.wait_for(lambda: inbox.qsize() == 3)
    taken = [inbox.get(timeout=5)[-1] for _ in range(3)]
    assert [event.index for event in taken] == [3, 1, 2]


def test_a_bare_priority_queue_is_told_to_be_none_for_events(account: Account, client: Client) -> None:
    """It cannot compare two of them: the subscription ends with what it raised, rather than in silence."""
    orders = client.subscribe_orders(queue.PriorityQueue())
    place(account, 2)
    with pytest.raises(TypeError, match="not supported between instances of 'Event'"):
        client.wait(timeout=5)
    assert (orders.state, type(orders.error)) == (SubscriptionState.CLOSED, TypeError)


def test_a_lifo_queue_gives_the_newest_first(exchange: Exchange, account: Account, client: Client) -> None:
    """For whoever wants only the present: the rest may be thrown away."""
    inbox: queue.LifoQueue[AnyEvent] = queue.LifoQueue()
    client.subscribe_orders(inbox)
    place(account, 3)
    exchange.wait_for(lambda: inbox.qsize() == 3)
    assert inbox.get_nowait().index == 3


def test_a_simple_queue_is_enough(account: Account, client: Client) -> None:
    """It has ``put_nowait`` and no limit."""
    inbox: queue.SimpleQueue[AnyEvent] = queue.SimpleQueue()
    client.subscribe_orders(inbox)
    place(account)
    assert inbox.get(timeout=5).index == 1


def test_a_queue_that_counts_counts_and_can_be_joined(account: Account, client: Client) -> None:
    """A subclass keeps what it overrides, and workers say ``task_done`` as ever."""
    inbox = Counting()
    worker = threading.Thread(target=lambda: [(inbox.get(timeout=5), inbox.task_done()) for _ in range(3)])
    worker.start()
    client.subscribe_orders(inbox)
    place(account, 3)
    worker.join(10)
    inbox.join()
    assert (inbox.given, inbox.qsize()) == (3, 0)


def test_a_subscription_is_an_iterator_like_any_other(account: Account, client: Client) -> None:
    """``next``, ``zip`` and ``islice`` take from it."""
    orders: Subscription[OrderUpdate] = client.subscribe_orders()
    place(account, 3)
    assert next(iter(orders)).index == 1
    assert [(number, event.index) for number, event in zip(range(2), orders, strict=False)] == [(0, 2), (1, 3)]
