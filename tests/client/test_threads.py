"""Threads that meet at the worst moment, and Ctrl-C at any place: nothing is lost, nobody waits for ever, all is told once."""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, TypeVar

import pytest

from bybit_sync import (
    AuthenticationError,
    Client,
    ClientClosed,
    ConfigurationError,
    ConnectLimit,
    ConnectTimeout,
    Event,
    GapReason,
    Inline,
    QueueOverflow,
    State,
    StatusChange,
    Stream,
    Subscription,
    SubscriptionRejected,
)
from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.inline import InlineSink
from bybit_sync.delivery.queue_sink import QueueSink
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import Ended
from bybit_sync.engine.notifier import Notifier
from bybit_sync.engine.rate_limit import RateLimiter, rate_limiter
from bybit_sync.engine.state import ClientState
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.engine.supervisor import Supervisor
from bybit_sync.engine.worker import Worker
from bybit_sync.logs import ClientLog
from bybit_sync.session.session import Session
from bybit_sync.simulator import Account, Exchange
from bybit_sync.threads.waiting import start_thread
from tests.client.test_subscribing import in_background
from tests.conftest import KEY, FastClient, push, threads_of
from tests.faults.pace import until
from tests.peers import closed_port
from tests.talking import at

T = TypeVar("T")

LIBRARY = os.sep + "bybit_sync" + os.sep


def taken(sink: queue.Queue[Event[Any]], count: int) -> list[str]:
    """Take *count* events from *sink*: the orders by name, gaps by reason."""
    events = [sink.get(timeout=10) for _ in range(count)]
    return [name for e in events for name in ([e.gap.reason.value] if e.gap else [row.order_id for row in e])]


# --- the worst moment ---


class Halt:
    """Stops the first thread that begins in its ``with`` block where it calls *function*, or returns something from it.

    The event "c_return" is where *function* comes back from the built-in function *called*.
    """

    def __init__(self, function: Any, event: str = "call", called: str = "") -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._code: CodeType = function.__code__
        self._event = event
        self._called = called

    def __enter__(self) -> Halt:
        threading.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        threading.setprofile(None)

    def _look(self, frame: FrameType, event: str, value: Any) -> None:
        if frame.f_code is not self._code or self.reached.is_set():
            return
        # Since Python 3.14 the `__enter__` of a lock is told as well.
        wanted = value.__name__ == self._called if event == "c_return" else event == "call" or value
        if event == self._event and wanted:
            self.reached.set()
            self.go.wait(60)


class Interruption:
    """Ctrl-C on this thread at its *number*-th place in the library: where CPython looks for signals, and only there."""

    def __init__(self, number: int) -> None:
        self.place = ""
        self._left = number
        # CPython only borrows it while it runs: with no other reference, taking it away in mid-run would free it.
        self._looking = self._look

    def __enter__(self) -> Interruption:
        # What is raised while the collector ends an object of another test is swallowed there: it would interrupt nothing.
        gc.disable()
        sys.setprofile(self._looking)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _look(self, frame: FrameType, event: str, value: object) -> None:
        if event not in ("call", "c_return") or not self._counts(frame, getattr(value, "__name__", "")):
            return
        self._left -= 1
        if self._left == 0:
            # CPython takes away a profile function that raises.
            self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            raise KeyboardInterrupt

    @staticmethod
    def _counts(frame: FrameType, called: str) -> bool:
        return LIBRARY in frame.f_code.co_filename and called not in ("__enter__", "setprofile")


def interrupted_everywhere(make: Callable[[], T], call: Callable[[T], Any]) -> Iterator[tuple[str, T]]:
    """Have *call* of a new subject interrupted at its first place, of the next at its second, …; yield each afterwards."""
    for number in range(1, 1000):
        subject = make()
        with suppress(KeyboardInterrupt), Interruption(number) as interruption:
            call(subject)
        if not interruption.place:
            return
        yield interruption.place, subject


@contextmanager
def logged(words: str, act: Callable[[], None]) -> Iterator[None]:
    """Have *act* run in a logging handler, once, on the thread that logs *words*."""

    class Acting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                logger.removeHandler(self)
                act()

    logger, handler = logging.getLogger("bybit_sync"), Acting()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Raising:
    """A queue that breaks at once."""

    def put_nowait(self, item: object, /) -> None:
        """Fail."""
        raise OSError("the disk is gone")


class Slow:
    """A queue that takes its time."""

    def __init__(self) -> None:
        self.inside, self.go = threading.Event(), threading.Event()
        self.items: list[Any] = []

    def put_nowait(self, item: object, /) -> None:
        """Take *item* when told to go on."""
        self.inside.set()
        self.go.wait(10)
        self.items.append(item)


# --- Ctrl-C ---


# Half-made sockets are closed by the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore:unclosed <socket", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_anywhere_in_subscribing_leaves_a_client_that_works(
    account: Account, make_client: Callable[..., Client]
) -> None:
    """The next `subscribe_*` of the same client succeeds, and it closes as any other."""
    for place, client in interrupted_everywhere(make_client, lambda client: client.subscribe_orders(lambda event: None)):
        orders = client.subscribe_orders(timeout=3)
        assert (orders.state, list(client._engine.registry)) == ("LIVE", [orders._receiver]), place
        assert client.close(timeout=2), place
        assert client.state is State.CLOSED, place


@pytest.mark.parametrize("sink", [None, lambda event: None], ids=["iterator", "callback"])
def test_ctrl_c_anywhere_in_closing_a_subscription_and_then_once_more(
    sink: Any, exchange: Exchange, account: Account, client: Client
) -> None:
    """The second `close` ends it for good: the exchange is asked to stop, too."""
    client.subscribe_balances()
    for place, orders in interrupted_everywhere(lambda: client.subscribe_orders(sink), Subscription.close):
        assert orders.close(), place
        exchange.wait_for(lambda: exchange.connections[0].topics == ("wallet",))


def test_ctrl_c_anywhere_in_closing_a_client_and_then_once_more(account: Account, make_client: Callable[..., Client]) -> None:
    """The second `close` finishes what the first began."""

    def subscribed() -> Client:
        client = make_client()
        client.subscribe_orders(lambda event: None)
        return client

    for place, client in interrupted_everywhere(subscribed, Client.close):
        assert client.close(), place
        assert (client.state, threads_of(client)) == (State.CLOSED, []), place


def interrupted(seconds: float, call: Callable[[], object]) -> bool:
    """Have Ctrl-C come *seconds* after *call* began, and say whether it came out of it."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


@pytest.fixture
def alarms() -> Iterator[None]:
    """The timer's signal does what Ctrl-C does."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    # What is raised while the collector ends an object is swallowed there.
    gc.disable()
    yield
    gc.enable()
    signal.signal(signal.SIGALRM, before)


def test_ctrl_c_at_any_moment_of_starting_a_thread_leaves_none(alarms: None) -> None:
    """Two thousand of them, a real signal each: every thread ran and ended, or never was."""
    threads = [threading.Thread(target=int) for _ in range(2000)]
    hits = sum(interrupted(1e-6 * (1 + n % 400), partial(start_thread, thread)) for n, thread in enumerate(threads))
    for thread in threads:
        if thread.ident is not None:
            thread.join(10)
    assert [thread for thread in threading.enumerate() if thread in threads] == []
    assert hits > 200


@pytest.mark.filterwarnings("ignore:unclosed <socket", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_at_any_moment_of_subscribing_lets_the_client_close_at_once(alarms: None) -> None:
    """A real signal each, while the threads of callback and connection are started: neither is left."""
    hits, place = 0, f"ws://127.0.0.1:{closed_port()}"
    clients = [FastClient(KEY, "secret", environment=place) for _ in range(200)]
    for number, client in enumerate(clients):
        subscribe = partial(client.subscribe_orders, lambda event: None, wait=False)
        hits += interrupted(5e-6 * (1 + number), subscribe)
        started = time.monotonic()
        assert client.close()
        assert time.monotonic() - started < 2
        assert threads_of(client) == []
    assert hits > 20


def test_ctrl_c_before_a_callback_thread_is_started_is_raised_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a thread that never was."""

    def interrupt(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bybit_sync.delivery.callback.start_thread", interrupt)
    monkeypatch.setattr("bybit_sync.client._CANCEL_TIMEOUT", 20.0)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.subscribe_orders(lambda event: None)
    assert time.monotonic() - started < 10


def test_ctrl_c_anywhere_in_closing_leaves_no_notifier_that_nobody_started(make_client: Callable[..., Client]) -> None:
    """The second `close` does not wait for what `on_status` will never be told."""
    told: queue.Queue[StatusChange] = queue.Queue()
    for place, client in interrupted_everywhere(lambda: make_client(on_status=told.put), Client.close):
        assert client.close(timeout=2), place


@pytest.mark.parametrize("call", [Client.wait, Client.wait_live, lambda client: client.subscribe_orders(wait=False).get()])
def test_a_signal_that_another_thread_gets_is_noticed(call: Any, make_client: Callable[..., Client]) -> None:
    """It wakes nobody, and the blocking call still ends by its exception, soon: here, and where it came a moment too early."""
    client, helper = make_client(environment=f"ws://127.0.0.1:{closed_port()}"), threading.Event()
    thread = threading.Thread(target=helper.wait)
    thread.start()
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(thread.ident or 0, signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call(client)
    helper.set()
    assert time.monotonic() - started < 5


def test_ctrl_c_in_a_log_call_is_no_fault_of_a_handler(client: Client, log: pytest.LogCaptureFixture) -> None:
    """What a signal raises on the user's thread comes out of the call that it interrupted."""
    with logged("CLOSED", lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        client.close()


# --- failing at the moment of subscribing ---


def test_a_subscription_made_in_the_moment_of_failing_does_not_hide_the_failure(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """It ends with the same error, and so does every `wait`."""
    late: list[Subscription[Any]] = []
    orders = client.subscribe_orders()
    exchange.refuse_login("API key is invalid")
    with logged("has failed", lambda: late.append(client.subscribe_balances(wait=False))):
        exchange.drop()
        with pytest.raises(AuthenticationError):
            list(orders)
    with pytest.raises(AuthenticationError):
        client.wait(timeout=1)
    with pytest.raises(AuthenticationError):
        list(late[0])


@pytest.mark.parametrize(
    ("sink", "end"),
    [(None, Buffer.end), (queue.Queue(), QueueSink.end), (Inline(lambda _: None), InlineSink.end)],
    ids=["buffer", "queue", "inline"],
)
def test_a_subscription_closed_just_before_its_last_event_has_no_error(
    exchange: Exchange, account: Account, client: Client, sink: Any, end: Any
) -> None:
    """It ended by that: the event that would tell the error does not come."""
    with Halt(end) as halt:
        orders = client.subscribe_orders(sink)
        exchange.refuse_login("API key is invalid")
        exchange.drop()
        assert halt.reached.wait(30)
        orders.close(timeout=0)
        halt.go.set()
    with pytest.raises(AuthenticationError):
        client.wait(timeout=30)
    until(lambda: orders.error is None)
    assert orders.delivered == 0


def test_a_call_that_was_let_in_before_the_failure_does_not_hide_it_either(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """It found the client in order, and gives it new hope when that is gone already."""
    client.subscribe_orders()
    with Halt(ClientState.clear_error) as halt:
        late = in_background(lambda: client.subscribe_balances(wait=False))
        assert halt.reached.wait(5)
    exchange.refuse_login("API key is invalid")
    exchange.drop()
    with pytest.raises(AuthenticationError):
        client.wait(timeout=10)
    halt.go.set()
    assert isinstance(late.get(timeout=5), Subscription)
    with pytest.raises(AuthenticationError):
        client.wait(timeout=1)


def test_wait_tells_an_end_although_somebody_else_still_waited(exchange: Exchange, account: Account, client: Client) -> None:
    """One wish was there without a caller, one with: the first one's end is not forgotten over the second's."""
    exchange.hold_acks("auth")
    exchange.refuse_login("API key is invalid")
    client.subscribe_orders(wait=False)
    result = in_background(client.subscribe_user_trades)
    exchange.wait_for(lambda: exchange.connections[0].received and len(list(client._engine.registry)) == 2)
    exchange.release_acks()
    assert isinstance(result.get(timeout=5), AuthenticationError)
    with pytest.raises(AuthenticationError):
        client.wait(timeout=1)


def test_wait_live_does_not_wait_for_what_cannot_come(exchange: Exchange, account: Account, client: Client) -> None:
    """Where nothing is wished for any more, it says why."""
    exchange.refuse_login("API key is invalid")
    client.subscribe_orders(wait=False)
    with pytest.raises(AuthenticationError):
        client.wait_live(timeout=2)


def test_an_end_right_after_the_confirmation_is_told_once(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Confirmed and broken in one breath: the subscription is returned, `on_status` and `wait` say why it ended."""
    told: queue.Queue[StatusChange] = queue.Queue()
    client = make_client(on_status=told.put)
    exchange.hold_acks("subscribe")
    result = in_background(lambda: client.subscribe_orders(Raising()))
    exchange.wait_for(lambda: len(exchange.connections[0].topics) == 2)
    push(account, "early")
    exchange.release_acks()
    orders = result.get(timeout=5)
    with pytest.raises(OSError, match="disk"):
        client.wait(timeout=2)
    assert orders.state == "CLOSED"
    assert client.close()
    assert [str(c.error) for c in told.queue if c.subscription] == ["the disk is gone"]


def test_a_confirmation_that_comes_too_late_confirms_nothing(exchange: Exchange, account: Account, client: Client) -> None:
    """Between the timeout and the withdrawal: what `subscribe_*` did not return does not keep a client connected."""
    exchange.hold_acks("subscribe")
    with Halt(Receiver.cancel) as halt:
        result = in_background(lambda: client.subscribe_balances(timeout=0.2))
        assert halt.reached.wait(5)
    exchange.release_acks()
    exchange.wait_for(lambda: client.health().subscriptions[0].state == "LIVE")
    halt.go.set()
    assert isinstance(result.get(timeout=5), ConnectTimeout)
    assert (client.state, threads_of(client)) == (State.IDLE, [])


def test_the_client_is_live_when_subscribing_returns(exchange: Exchange, account: Account, client: Client) -> None:
    """Also when pushes came before the confirmation, and are still being delivered."""
    sink = Slow()
    exchange.hold_acks("subscribe")
    result = in_background(lambda: (client.subscribe_orders(sink), client.state)[1])
    exchange.wait_for(lambda: len(exchange.connections[0].topics) == 2)
    push(account, "early")
    exchange.release_acks()
    assert sink.inside.wait(5)
    with suppress(queue.Empty):
        result.put(result.get(timeout=0.2))
    sink.go.set()
    assert result.get(timeout=5) is State.LIVE


def test_subscribing_on_the_clients_own_thread_is_refused(account: Account, client: Client) -> None:
    """It could only wait for itself."""
    results: queue.Queue[Any] = queue.Queue()

    class Subscribing:
        def put_nowait(self, item: object, /) -> None:
            try:
                results.put(client.subscribe_balances(timeout=1))
            except BaseException as error:  # noqa: BLE001 - it is the result
                results.put(error)

    client.subscribe_orders(Subscribing())
    push(account, "one")
    assert isinstance(results.get(timeout=5), ConfigurationError)


# --- what an error says, and what it keeps ---


def test_an_idle_client_counts_no_outage(
    exchange: Exchange, account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """A second attempt that fails is a second story: it gets a WARNING of its own."""
    client = make_client(environment=f"ws://127.0.0.1:{closed_port()}")
    for _ in range(2):
        with pytest.raises(ConnectTimeout):
            client.subscribe_orders(timeout=0.4)
        assert client.state is State.IDLE
    assert [r.levelname for r in log.records if "next attempt" in r.getMessage()].count("WARNING") == 2


def test_a_timeout_names_no_failure_of_an_earlier_call(make_client: Callable[..., Client]) -> None:
    """What went wrong an hour ago is not why nobody answers now."""
    port = closed_port()
    client = make_client(environment=f"ws://127.0.0.1:{port}")
    with pytest.raises(ConnectTimeout, match="refused"):
        client.subscribe_orders(timeout=0.4)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConnectTimeout) as caught:
        client.subscribe_orders(timeout=0.4)
    assert "refused" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_gap_that_is_kept_keeps_no_connection(exchange: Exchange, account: Account, client: Client) -> None:
    """Nor does the last error: of three sessions only the present one is left."""
    orders, gaps = client.subscribe_orders(), []
    for _ in range(2):
        exchange.drop(reset=True)
        gaps.append(orders.get(timeout=10))
        assert client.wait_live(timeout=10)
    gc.collect()
    sessions = [o for o in gc.get_objects() if isinstance(o, Session) and o._config.client == client.name]
    assert len(sessions) == 1


def test_an_error_that_was_raised_keeps_no_client(exchange: Exchange, account: Account) -> None:
    """Who caught it and lets go of client and subscription is rid of the connection, too."""

    def use() -> None:
        client = FastClient(account.key, account.secret, environment=exchange.url)
        client.subscribe_orders(Raising())
        push(account, "one")
        with pytest.raises(OSError, match="disk"):
            client.wait(timeout=5)

    def use_and_forget() -> None:
        use()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed"):
        use_and_forget()
    exchange.wait_for(lambda: not exchange.connections)


def test_a_users_exception_keeps_its_words(account: Account, client: Client) -> None:
    """However it builds its text, `wait` raises what `put_nowait` raised."""

    class Coded(Exception):
        def __init__(self, code: int) -> None:
            super().__init__(f"code {code}")

    class Failing:
        def put_nowait(self, item: object, /) -> None:
            raise Coded(5)

    client.subscribe_orders(Failing())
    push(account, "one")
    with pytest.raises(Coded, match=r"^code 5$"):
        client.wait(timeout=5)


def test_no_age_is_negative(account: Account, client: Client) -> None:
    """However fast data arrives while `health` looks."""
    client.subscribe_orders(maxsize=1)
    over = threading.Event()
    flood = threading.Thread(target=lambda: [push(account, "one") for _ in iter(over.is_set, True)])
    flood.start()
    ages = [client.health() for _ in range(1000)]
    over.set()
    flood.join()
    assert all((h.last_frame_age or 0) >= 0 and (h.subscriptions[0].last_push_age or 0) >= 0 for h in ages)


# --- the last word, and what is lost ---


def test_an_event_in_the_hand_is_not_dropped_in_silence(
    account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """The callback's thread has taken it and not called yet: a `close` that does not wait says that something is lost."""
    calls: list[Any] = []
    with Halt(Buffer.take, "return") as halt:
        orders = client.subscribe_orders(calls.append)
    push(account, "one")
    assert halt.reached.wait(5)
    done = orders.close(timeout=0)
    halt.go.set()
    assert client.close()
    assert done is bool(calls)
    assert calls or "1 events undelivered" in log.text


def test_a_queue_whose_client_nobody_holds_gets_the_last_word(account: Account, exchange: Exchange) -> None:
    """It was full when its subscription ended; the client lives until ENDED is in it."""
    sink: queue.Queue[Event[Any]] = queue.Queue(maxsize=2)
    ended = threading.Event()
    FastClient(account.key, account.secret, environment=exchange.url).subscribe_orders(sink, overflow="fail")
    with logged("has ended", ended.set):
        push(account, "one", "two", "three")
        assert ended.wait(5)
    with pytest.warns(ResourceWarning, match="unclosed") as warned:  # noqa: PT031 - it comes a moment after ENDED
        assert taken(sink, 3) == ["one", "two", "ENDED"]
        until(lambda: warned)


def test_a_refused_call_takes_no_last_word_away(exchange: Exchange, account: Account, client: Client) -> None:
    """A failed client still owes ENDED to a full queue, whatever else it is asked meanwhile."""
    sink: queue.Queue[Event[Any]] = queue.Queue(maxsize=1)
    client.subscribe_orders(sink)
    push(account, "one")
    exchange.refuse_login("API key is invalid")
    exchange.drop()
    with pytest.raises(AuthenticationError):
        client.wait(timeout=10)
    with pytest.raises(AuthenticationError):
        client.subscribe_balances()
    assert taken(sink, 2) == ["one", "ENDED"]


def test_a_hole_that_no_queue_was_told_of_is_told_in_the_log(
    account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """The queue is still full when its subscription is closed: the gap finds no place, and that is said."""
    sink: queue.Queue[Event[Any]] = queue.Queue(maxsize=1)
    orders, witness = client.subscribe_orders(sink), client.subscribe_orders()
    push(account, "one", "two", "three")
    assert [witness.get(timeout=5).data[0].order_id for _ in range(3)] == ["one", "two", "three"]
    assert not orders.close(timeout=0.2)
    assert "undelivered" in log.text
    assert taken(sink, 1) == ["one"]
    assert sink.empty()


def test_nothing_is_put_into_a_queue_after_its_subscription_was_closed(account: Account, client: Client) -> None:
    """A `put_nowait` that is under way is waited for."""
    sink = Slow()
    orders = client.subscribe_orders(sink)
    push(account, "one")
    assert sink.inside.wait(5)
    closed = in_background(lambda: (orders.close(), list(sink.items)))
    with suppress(queue.Empty):
        closed.put(closed.get(timeout=0.2))
    sink.go.set()
    done, items = closed.get(timeout=5)
    assert done
    assert len(items) == 1


def test_an_idle_subscription_closed_from_another_ones_callback_is_closed(account: Account, client: Client) -> None:
    """False is for a callback that still runs."""
    done: queue.Queue[bool] = queue.Queue()
    idle = client.subscribe_balances(lambda event: None)
    client.subscribe_orders(lambda event: done.put(idle.close()))
    push(account, "one")
    assert done.get(timeout=5) is True


def test_every_event_goes_to_one_of_several_readers(account: Account, client: Client) -> None:
    """Eight threads read one subscription: each event once, each number once, and all of them end with it."""
    orders = client.subscribe_orders()
    readers = [in_background(lambda: [event.index for event in orders]) for _ in range(8)]
    with client.subscribe_orders() as witness:
        push(account, *(str(n) for n in range(200)))
        for _ in range(200):
            witness.get(timeout=5)
    assert orders.close()
    assert sorted(index for reader in readers for index in reader.get(timeout=5)) == list(range(1, 201))


def test_an_end_by_error_reaches_every_reader(account: Account, client: Client) -> None:
    """One gets the ENDED, all get the error, each an exception of its own."""
    orders = client.subscribe_orders(maxsize=1, overflow="fail")
    push(account, "one", "two")
    with pytest.raises(QueueOverflow):
        client.wait(timeout=5)
    readers = [in_background(lambda: list(orders)) for _ in range(4)]
    errors = [reader.get(timeout=5) for reader in readers]
    assert all(isinstance(error, QueueOverflow) for error in errors)
    assert len({id(error) for error in errors}) == 4


def test_one_slow_call_after_another_is_told_each_time(
    account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """Their reminders do not count together."""
    client, going = make_client(ping_interval=0.05), queue.Queue[None]()

    def slow(event: Event[Any]) -> None:
        until(lambda: log.text.count("has been running") >= event.index)
        going.put(None)

    client.subscribe_orders(slow)
    push(account, "one", "two", "three")
    for _ in range(3):
        going.get(timeout=20)


# --- what is told of the state ---


@pytest.mark.parametrize("last", ["change", "end"])
def test_what_a_thread_tells_while_another_closes_the_client_comes_before_the_close(last: str) -> None:
    """Behind it, the change would keep the notifier's thread waiting for ever."""
    told: list[tuple[State, State]] = []
    notifier = Notifier(lambda change: told.append((change.previous, change.state)), start_daemon, ClientLog("test"))
    reporter = StatusReporter(ClientState(at(0).utc), notifier, ClientLog("test"))
    reporter.change(State.CONNECTING)
    receiver: Any = SimpleNamespace(stream=Stream.ORDERS, handle=None)
    ended = Ended(receiver, OSError("gone"), in_band=True)
    with Halt(Notifier.add) as halt:
        telling = in_background(lambda: reporter.change(State.LIVE) if last == "change" else reporter.subscription_ended(ended))
    assert halt.reached.wait(5)
    closing = in_background(lambda: reporter.change(State.CLOSED))
    with suppress(queue.Empty):
        closing.put(closing.get(timeout=0.2))
    halt.go.set()
    assert (telling.get(timeout=5), closing.get(timeout=5)) == (None, None)
    assert reporter.wait_idle(time.monotonic() + 5)
    assert [previous for previous, _ in told[1:]] == [state for _, state in told[:-1]]


def post(notifier: Notifier, change: StatusChange) -> None:
    """Have *change* told."""
    notifier.add(change)
    notifier.catch_up()


def start_daemon(run: Callable[[], None], name: str) -> None:
    """Start a thread, as a client does."""
    threading.Thread(target=run, name=name, daemon=True).start()


def test_a_change_posted_as_its_thread_ends_leaves_no_thread() -> None:
    """However post and end fall together, everything is told, and the end is seen."""
    told: queue.Queue[StatusChange] = queue.Queue()
    threads: list[threading.Thread] = []

    def start(target: Callable[[], None], name: str) -> None:
        threads.append(threading.Thread(target=target, daemon=True))
        threads[-1].start()

    notifier = Notifier(told.put, start, ClientLog("test"))
    post(notifier, StatusChange(previous=State.IDLE, state=State.LIVE, at=at(0).utc))
    with Halt(Notifier.add, "c_return", "put") as halt:
        posted = in_background(lambda: post(notifier, StatusChange(previous=State.LIVE, state=State.CLOSED, at=at(1).utc)))
    assert halt.reached.wait(5)
    assert [told.get(timeout=5).state for _ in range(2)] == [State.LIVE, State.CLOSED]
    threads[0].join(0.2)
    halt.go.set()
    assert posted.get(timeout=5) is None
    assert notifier.idle.wait(5)


def test_many_posts_of_many_threads_are_all_told() -> None:
    """And then the thread rests."""
    told: list[StatusChange] = []
    notifier = Notifier(told.append, start_daemon, ClientLog("test"))
    change = StatusChange(previous=State.LIVE, state=State.IDLE, at=at(0).utc)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        posts = [in_background(lambda: [post(notifier, change) for _ in range(500)]) for _ in range(4)]
        assert all(post.get(timeout=10) for post in posts)
    finally:
        sys.setswitchinterval(interval)
    assert notifier.idle.wait(5)
    assert len(told) == 2000


def test_a_client_that_never_connected_tells_its_close(make_client: Callable[..., Client]) -> None:
    """Once, before `close` returns, however long `on_status` takes."""
    told: list[tuple[State, State]] = []
    go = threading.Event()
    client = make_client(on_status=lambda change: (go.wait(5), told.append((change.previous, change.state))))
    closing = in_background(client.close)
    with suppress(queue.Empty):
        closing.put(closing.get(timeout=0.1))
    go.set()
    assert closing.get(timeout=5)
    assert told == [(State.IDLE, State.CLOSED)]
    assert client.close()
    assert len(told) == 1


def test_on_status_may_close_its_client(account: Account, make_client: Callable[..., Client]) -> None:
    """It does not wait for itself, and still hears of the end."""
    told: queue.Queue[State] = queue.Queue()

    def on_status(change: StatusChange) -> None:
        told.put(change.state)
        if change.state is State.LIVE:
            client.close()

    client = make_client(on_status=on_status)
    with suppress(ClientClosed):
        client.subscribe_orders()
    assert [told.get(timeout=5) for _ in range(3)] == [State.CONNECTING, State.LIVE, State.CLOSED]


def test_on_status_may_subscribe(account: Account, make_client: Callable[..., Client]) -> None:
    """The answer is read by another thread."""
    results: queue.Queue[Any] = queue.Queue()

    def on_status(change: StatusChange) -> None:
        if change.state is State.LIVE:
            results.put(client.subscribe_balances().state)

    client = make_client(on_status=on_status)
    client.subscribe_orders()
    assert results.get(timeout=5) == "LIVE"


def test_a_subscription_that_was_closed_does_not_end_with_an_error(
    account: Account, make_client: Callable[..., Client]
) -> None:
    """Its queue breaks in the moment after `close`: nobody is told of an end that was wished for."""
    told: list[StatusChange] = []
    client = make_client(on_status=told.append)

    class Closing:
        def put_nowait(self, item: object, /) -> None:
            orders.close(timeout=0)
            raise OSError("too late")

    orders, witness = client.subscribe_orders(Closing()), client.subscribe_orders()
    push(account, "one")
    assert witness.get(timeout=5)
    witness.close()
    assert not client.wait(timeout=0.1)
    assert client.close()
    assert (orders.error, [change for change in told if change.subscription]) == (None, [])


# --- starting and ending at once ---


def test_a_client_that_goes_idle_and_on_keeps_its_connect_limit(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """The thread that ends takes nothing from the one that begins."""
    client = make_client(connect_limit=ConnectLimit(refill=1000, period=1, burst=1000))
    exchange.refuse_topic("wallet")
    with Halt(RateLimiter.remove) as halt, pytest.raises(SubscriptionRejected):
        client.subscribe_balances()
    assert halt.reached.wait(5)
    result = in_background(client.subscribe_orders)
    with suppress(queue.Empty):
        result.put(result.get(timeout=0.5))
    halt.go.set()
    assert result.get(timeout=30).state == "LIVE"
    exchange.wait_for(lambda: len(threads_of(client)) == 1, timeout=30)
    assert weakref.ref(client._engine._supervisor) in rate_limiter("127.0.0.1", time.monotonic)._users


def test_reconnect_does_not_jump_the_connect_limit(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Whoever asks: the host is dialled no more often than was agreed."""
    # By another name than in other tests: the limit is the host's, and outlives its clients.
    url = exchange.url.replace("127.0.0.1", "localhost")
    client = make_client(environment=url, connect_limit=ConnectLimit(refill=1, period=1000, burst=1))
    orders = client.subscribe_orders()
    client.reconnect()
    exchange.wait_for(lambda: orders.state == "STALE" and client.state is State.CONNECTING)
    for _ in range(3):
        client.reconnect()
        assert not client.wait_live(timeout=0.1)
    assert exchange.accepted == 1


@pytest.mark.parametrize("moment", [Worker._start, Worker._run, Supervisor.serve, Worker._cleanup])
def test_a_client_that_is_closed_while_its_thread_starts_or_ends(
    moment: Any, account: Account, make_client: Callable[..., Client]
) -> None:
    """Whoever subscribes is told that it is closed, and nothing of it is left."""
    told: list[State] = []
    client = make_client(on_status=lambda change: told.append(change.state))
    with Halt(moment) as halt:
        result = in_background(client.subscribe_orders)
        closing = in_background(client.close) if moment is Worker._cleanup else None
        assert halt.reached.wait(5)
    closing = closing or in_background(client.close)
    with suppress(queue.Empty):
        closing.put(closing.get(timeout=0.1))
    halt.go.set()
    assert closing.get(timeout=5)
    assert isinstance(result.get(timeout=5), (ClientClosed, Subscription))
    assert client.close()
    assert told.count(State.CLOSED) == 1
    assert (client.state, list(client._engine.registry)) == (State.CLOSED, [])


@pytest.mark.parametrize("way", [Client.subscribe_orders, Client.close], ids=["subscribe", "close"])
def test_a_child_that_was_forked_at_a_bad_moment_is_refused_at_once(
    way: Callable[[Client], Any], account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """The thread that ended in the parent held its locks: the child does not wait for it."""
    forked, go = threading.Event(), threading.Event()
    client.subscribe_orders()
    with logged("LIVE -> CLOSED", lambda: (forked.set(), go.wait(10))[0]):
        closed = in_background(client.close)
        assert forked.wait(5)
        child = os.fork()
        if child == 0:
            # The parent's thread goes on when this child has ended: one that waits for it is killed.
            signal.alarm(5)
            code = 1
            try:
                way(client)
            except ClientClosed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go.set()
    assert closed.get(timeout=5)


def test_a_child_keeps_nothing_of_what_was_being_dialled(make_client: Callable[..., Client]) -> None:
    """The parent gives the attempt up, and the server sees it, though the child lives on."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = make_client(environment=f"ws://127.0.0.1:{mute.getsockname()[1]}", connect_timeout=60)
        result = in_background(client.subscribe_orders)
        connection, _ = mute.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(65536)
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                signal.pause()
            assert client.close()
            assert connection.recv(1) == b""
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert isinstance(result.get(timeout=5), ClientClosed)


def test_many_threads_subscribe_and_close_while_the_client_closes(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Each call ends by what it promises, and nothing is left of any of them."""
    for number in range(20):
        client = make_client(name=f"hammered-{number}")
        begin = threading.Barrier(5)

        def work(stream: Stream, client: Client = client, begin: threading.Barrier = begin) -> None:
            begin.wait(5)
            with suppress(ClientClosed):
                for _ in range(10):
                    getattr(client, f"subscribe_{stream.value}")(lambda event: None, timeout=5).close()

        workers = [in_background(lambda stream=stream: work(stream)) for stream in Stream]
        begin.wait(5)
        time.sleep(0.002 * number)
        assert client.close()
        assert [worker.get(timeout=5) for worker in workers] == [None] * 4
        assert client.close()
        assert (list(client._engine.registry), threads_of(client)) == ([], [])


def test_the_gap_reason_of_an_end_is_ended(account: Account, client: Client) -> None:
    """Whatever the sink: here a callback that hears the last word after all that was buffered."""
    got: queue.Queue[Event[Any]] = queue.Queue()
    go = threading.Event()
    client.subscribe_orders(lambda event: (go.wait(5), got.put(event)), maxsize=2, overflow="fail")
    push(account, "one", "two", "three", "four")
    with pytest.raises(QueueOverflow):
        client.wait(timeout=5)
    go.set()
    events = [got.get(timeout=5)]
    while not (events[-1].gap and events[-1].gap.reason is GapReason.ENDED):
        events.append(got.get(timeout=5))
    assert [event.index for event in events] == list(range(1, len(events) + 1))
    assert KEY not in str(events[-1])
