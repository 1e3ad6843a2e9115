"""Section I: callbacks, queues, and whoever reads them."""

from __future__ import annotations

import ctypes
import itertools
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bybit_sync import Client, Event, GapReason, QueueOverflow, State, Subscription
from bybit_sync.threads.waker import Interrupt
from tests.client.test_subscribing import in_background
from tests.conftest import KEY, SECRET, threads_of
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import hang_up, pushed, say
from tests.faults.history import History
from tests.faults.pace import until
from tests.faults.rows import row
from tests.faults.scene import Scene


class Odd(BaseException):
    """An exception of a user's that is no Exception."""


class Trying(History):
    """A history whose `record` does *act* with each event after it took the event down."""

    def __init__(self, act: Callable[[Event[Any]], object]) -> None:
        super().__init__()
        self._act = act

    def record(self, event: Event[Any]) -> None:
        """Take *event* down, then act."""
        super().record(event)
        self._act(event)

    put_nowait = record


def trying(scene: Scene, act: Callable[[Event[Any]], object]) -> Trying:
    """Subscribe to orders with a callback that does *act* with each event; its history is checked."""
    history = Trying(act)
    scene.histories.append(history)
    scene.client.subscribe_orders(history.record)
    return history


def raising(error: BaseException, name: str = "bad") -> Callable[[Event[Any]], None]:
    """Return an act that raises *error* for the order *name*."""

    def act(event: Event[Any]) -> None:
        if [order.order_id for order in event] == [name]:
            raise error

    return act


def push(scene: Scene, *names: object) -> None:
    """Push an order for each of *names*, one after the other."""
    for name in names:
        scene.exchange.push_order(str(name))


def names(subscription: Subscription[Any] | queue.Queue[Event[Any]], count: int) -> list[str]:
    """Return the orders of the next *count* events, which are no gaps."""
    return [subscription.get(timeout=pace.patience()).data[0].order_id for _ in range(count)]


def overflown(told: Event[Any], reason: GapReason, missed: int | None) -> None:
    """Make sure that *told* is a gap for *reason* with so many *missed* events."""
    assert told.gap is not None, told
    assert (told.gap.reason, told.gap.missed) == (reason, missed)


# --- callbacks that raise ---


@row(116, kills="what a callback raises ends its thread")
@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), queue.Empty(), MemoryError(), AssertionError("odd")])
def test_a_callback_that_raises_gets_the_next_event(play: Play, error: Exception) -> None:
    """An ERROR with the traceback, one more in `handler_errors`, a call of `on_error`, and the next event comes."""
    calls: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    scene = play(on_error=lambda *told: calls.put((*told, threading.current_thread())))
    orders = trying(scene, raising(error))
    push(scene, "bad", "next")
    event = orders.update("bad")
    orders.update("next")
    told, of, subscription, thread = calls.get(timeout=pace.patience())
    assert (told, of, subscription.stream) == (error, event, "orders")
    assert "orders" in thread.name
    text = scene.logged(["ERROR"])
    assert "Traceback" in text
    assert type(error).__name__ in text
    assert scene.client.health().subscriptions[0].handler_errors == 1
    scene.goes_on("another")


@row(117, kills="only an Exception is caught")
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), Odd("odd")], ids=repr)
def test_a_callback_that_wants_to_end_everything_gets_the_next_event(play: Play, error: BaseException) -> None:
    """No exception of any kind ends the thread in silence: CRITICAL with the traceback, and the next event comes."""
    calls: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    scene = play(on_error=lambda told, *_: calls.put(told))
    orders = trying(scene, raising(error))
    push(scene, "bad", "next")
    orders.update("bad")
    orders.update("next")
    assert calls.get(timeout=pace.patience()) is error
    assert "Traceback" in scene.logged(["CRITICAL"])
    assert scene.client.health().subscriptions[0].handler_errors == 1
    scene.goes_on("another")


@row(118, kills="what on_error raises ends the callback's thread")
@pytest.mark.parametrize("error", [ValueError("again"), SystemExit(2), Odd("again")], ids=repr)
def test_an_on_error_that_raises_does_not_matter(play: Play, error: BaseException) -> None:
    """It is logged like the exception that it was called for, and the next event comes."""

    def on_error(*_: object) -> None:
        raise error

    scene = play(on_error=on_error)
    orders = trying(scene, raising(ValueError("no")))
    push(scene, "bad", "next")
    orders.update("bad")
    orders.update("next")
    assert "on_error raised" in scene.logged(["ERROR", "ERROR"])
    scene.goes_on("another")


class Broken(logging.Handler):
    """A logging handler that raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def emit(self, record: logging.LogRecord) -> None:
        """Raise."""
        raise self._error


@pytest.fixture
def broken_handler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the library's log go to a handler that raises the test's parameter."""
    handler = Broken(request.param)
    logging.getLogger("bybit_sync").addHandler(handler)
    yield
    logging.getLogger("bybit_sync").removeHandler(handler)


@row(118, kills="what a logging handler raises ends the thread that logs")
@pytest.mark.parametrize("broken_handler", [OSError("disk full"), SystemExit(3), Odd("odd")], indirect=True, ids=repr)
@pytest.mark.usefixtures("broken_handler")
def test_a_logging_handler_that_raises_does_not_matter(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """In the callback's thread and in the connection's: a line on stderr for each record, and both go on."""
    scene = play()
    orders = trying(scene, raising(ValueError("no")))
    # The connection's thread has written what it has to say of the subscription once this arrives.
    push(scene, "first")
    orders.update("first")
    capsys.readouterr()
    push(scene, "bad", "next")
    orders.update("bad")
    orders.update("next")
    assert capsys.readouterr().err.count("\n") == 1
    scene.cause(hang_up)
    scene.is_found()
    orders.gap()
    push(scene, "back")
    orders.update("back")


# --- callbacks that take their time ---


@row(119, kills="the callback runs on the connection's thread")
def test_a_callback_that_blocks_costs_nothing_but_itself(play: Play) -> None:
    """Pings go on for as long as it blocks, what follows is queued, and a WARNING tells it after 5 s and then each minute."""
    scene = play(timings={"callback_reminders": (pace.seconds(5), pace.seconds(20))})
    go, blocked = threading.Event(), threading.Event()
    orders = trying(scene, lambda _: (blocked.set(), go.wait(pace.patience())))
    began = time.monotonic()
    push(scene, "one")
    assert blocked.wait(pace.patience())
    push(scene, "two", "three")
    until(lambda: scene.log.text.count("has been running for") >= 3)
    assert scene.client.health().subscriptions[0].queued == 2
    assert scene.client.health().last_frame_age < pace.within(10)  # type: ignore[operator]
    until(lambda: sum(r["op"] == "ping" for r in scene.exchange.talks[0].requests) >= 5)
    go.set()
    assert [orders.next().data[0].order_id for _ in range(3)] == ["one", "two", "three"]
    # A busy machine may have kept the test until more of them were due.
    told, lasted = scene.log.text.count("has been running for"), time.monotonic() - began
    assert told <= 1 + lasted / pace.seconds(20)
    scene.logged(["WARNING"] * told)
    scene.goes_on()


ELSEWHERE = """
import sys
from bybit_sync.simulator import Exchange

with Exchange() as exchange:
    account = exchange.account(sys.argv[1], sys.argv[2])
    # A pong is under way for a while, so that there are moments at which one is awaited.
    exchange.delay_answers(float(sys.argv[3]), "ping")
    print(exchange.url, flush=True)
    for line in sys.stdin:
        account.push("orders", [{"category": "linear", "orderId": line.strip()}])
"""


class Elsewhere:
    """An exchange in another process: it goes on while nothing in this one can."""

    def __init__(self, pong_delay: float) -> None:
        command = [sys.executable, "-c", ELSEWHERE, KEY, SECRET, str(pong_delay)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.url = self._out.readline().strip()

    def push_order(self, name: str) -> None:
        """Push an order; returns at once."""
        self._in.write(f"{name}\n")
        self._in.flush()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._process.wait(pace.patience())
        self._out.close()


def holding_the_gil(seconds: float) -> None:
    """Let no other thread of this process run for so many seconds."""
    ctypes.PyDLL(None).usleep(ctypes.c_uint(round(seconds * 1e6)))


def burning(seconds: float) -> None:
    """Keep a processor busy with Python for so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@row(120, kills="the deadline is judged before what lies ready is read")
@pytest.mark.skipif(sys.platform != "linux", reason="needs usleep in the C library")
@pytest.mark.parametrize("hog", [holding_the_gil, burning])
def test_a_callback_that_stops_the_process_costs_no_connection(hog: Callable[[float], None]) -> None:
    """A ping's answer arrives while nothing here can run, for longer than a silent peer is given: it counts."""
    got: queue.SimpleQueue[Event[Any]] = queue.SimpleQueue()

    def callback(event: Event[Any]) -> None:
        got.put(event)
        if event.index == 1:
            # Not before a ping is under way: that it is not answered for long must be blamed on us.
            while (client.health().last_frame_age or 0) < times["ping_interval"] - pong_delay + 0.08:
                pass
            exchange.push_order("meanwhile")
            hog(1.5 * (times["ping_interval"] + times["pong_timeout"]))

    changes: list[Any] = []
    # A pong that takes a second longer, for the other process gets no processor, is in time too.
    times, pong_delay = {"ping_interval": 0.25, "pong_timeout": 1.25}, 0.15
    with Elsewhere(pong_delay) as exchange, fast_client(exchange.url, changes, times) as client:
        client.subscribe_orders(callback)
        exchange.push_order("hold")
        assert [got.get(timeout=pace.patience()).data[0].order_id for _ in range(2)] == ["hold", "meanwhile"]
        for n in range(5):
            exchange.push_order(f"after-{n}")
            assert got.get(timeout=pace.patience()).data[0].order_id == f"after-{n}"
        assert client.health().epoch == 1
        assert [c.state for c in changes] == [State.CONNECTING, State.LIVE]


def fast_client(url: str, changes: list[Any], times: dict[str, float]) -> Client:
    """Return a client of *url* that notes its *changes*."""
    return pace.FaultClient(KEY, SECRET, environment=url, on_status=changes.append, **{**pace.arguments(), **times})


# --- callbacks that use the library ---


@row(121, kills="closing in a callback waits for the callback")
def test_a_callback_may_close_its_subscription(play: Play) -> None:
    """`close` returns at once, what waits for this callback is discarded, and the others go on."""
    scene = play()
    others = scene.subscribe()
    subscriptions: queue.SimpleQueue[Subscription[Any]] = queue.SimpleQueue()
    go, done = threading.Event(), threading.Event()

    def closing(event: Event[Any]) -> None:
        go.wait(pace.patience())
        subscriptions.get(timeout=pace.patience()).close(timeout=2 * pace.patience())
        done.set()

    orders = Trying(closing)
    subscription = scene.client.subscribe_orders(orders.record)
    subscriptions.put(subscription)
    push(scene, "one", "two")
    others.update("one")
    others.update("two")
    go.set()
    assert done.wait(pace.patience())
    assert subscription._receiver.remainder.wait_done(time.monotonic() + pace.patience())
    assert [e.data[0].order_id for e in orders.events] == ["one"]
    scene.goes_on()


@row(121, kills="closing the client in a callback waits for the callback")
def test_a_callback_may_close_the_client(play: Play) -> None:
    """`close` returns, the client is CLOSED, and no other callback starts."""
    scene = play()
    done = threading.Event()
    orders = trying(scene, lambda _: (scene.client.close(timeout=2 * pace.patience()), done.set()))
    push(scene, "one")
    assert done.wait(pace.patience())
    assert scene.client.wait(pace.patience())
    assert scene.client.state is State.CLOSED
    orders.update("one")
    orders.nothing_more()


@row(121, kills="health takes a lock that is held while a callback runs")
def test_a_callback_may_ask_for_health(play: Play) -> None:
    """Everything that only looks works from in there."""
    scene = play()
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    trying(scene, lambda _: told.put((scene.client.health(), scene.client.state, repr(scene.client), scene.client.wait(0))))
    push(scene, "one")
    health, state, text, closed = told.get(timeout=pace.patience())
    assert (health.state, state, closed) == (State.LIVE, State.LIVE, False)
    assert "LIVE" in text
    scene.histories[0].update("one")
    scene.goes_on()


@row(122, kills="the callback runs on the connection's thread")
def test_a_callback_may_subscribe_and_wait(play: Play) -> None:
    """The answer is read by another thread: `subscribe_*` returns in there, and the new subscription receives."""
    scene = play()
    made: queue.SimpleQueue[Subscription[Any]] = queue.SimpleQueue()
    orders = trying(
        scene, lambda event: made.put(scene.client.subscribe_balances(timeout=pace.patience())) if event.index == 1 else None
    )
    push(scene, "one")
    balances = made.get(timeout=pace.patience())
    assert balances.state == "LIVE"
    scene.exchange.do(say, pushed("wallet", [{"accountType": "UNIFIED"}]))
    assert balances.get(timeout=pace.patience()).data
    orders.update("one")
    scene.goes_on()


# --- readers that are too slow ---


def filling(play: Play, *, count: int, **options: Any) -> tuple[Scene, Subscription[Any]]:
    """Push *count* orders, 1 and up, to a subscription with room for three that nobody reads; return when all were read."""
    scene = play()
    slow = scene.client.subscribe_orders(maxsize=3, **options)
    # Second in line: what it gets, the slow one was offered before.
    witness = scene.subscribe()
    push(scene, *range(1, count + 1))
    for n in range(1, count + 1):
        witness.update(str(n))
    return scene, slow


@row(123, kills="the oldest are dropped and nobody is told")
def test_a_slow_reader_loses_the_oldest_and_is_told_at_the_head(play: Play) -> None:
    """One gap with their number stands where they stood, the newest follow, and one WARNING tells the episode."""
    scene, slow = filling(play, count=10)
    event = slow.get(timeout=pace.patience())
    overflown(event, GapReason.OVERFLOW, 7)
    assert names(slow, 3) == ["8", "9", "10"]
    scene.logged(["WARNING"])
    push(scene, "next")
    assert slow.get(timeout=pace.patience()).index == 5
    assert next(s for s in scene.client.health().subscriptions if s.dropped).dropped == 7


@row(123, kills="each event that fits ends the episode")
def test_a_reader_that_stays_behind_is_one_story(play: Play) -> None:
    """Somebody who takes one event while two arrive is warned about once; who has caught up and falls behind again, again."""
    scene, slow = filling(play, count=10)
    for n in range(11, 31, 2):
        assert slow.get(timeout=pace.patience()).gap
        assert slow.get(timeout=pace.patience()).data
        push(scene, n, n + 1)
        scene.histories[0].update(str(n))
        scene.histories[0].update(str(n + 1))
    scene.logged(["WARNING"])
    overflown(slow.get(timeout=pace.patience()), GapReason.OVERFLOW, 1)
    assert names(slow, 3) == ["28", "29", "30"]
    push(scene, *range(31, 35))
    for n in range(31, 35):
        scene.histories[0].update(str(n))
    scene.logged(["WARNING"])
    scene.goes_on()


@row(123, kills="the gap stands at the head, or needs room of its own")
def test_a_slow_reader_loses_the_newest_and_is_told_where_they_would_be(play: Play) -> None:
    """With "drop_newest" the oldest are there, then the gap; it needed no room, for there was none."""
    scene, slow = filling(play, count=10, overflow="drop_newest")
    assert names(slow, 3) == ["1", "2", "3"]
    event = slow.get(timeout=pace.patience())
    overflown(event, GapReason.OVERFLOW, 7)
    assert event.index == 4
    scene.logged(["WARNING"])
    push(scene, "next")
    assert names(slow, 1) == ["next"]


@row(123, kills="an overflow that is to fail drops")
def test_a_reader_that_must_miss_nothing_is_ended(play: Play) -> None:
    """With "fail" all that was buffered is delivered, then ENDED; the other subscription to the stream goes on."""
    scene, slow = filling(play, count=10, overflow="fail")
    assert names(slow, 3) == ["1", "2", "3"]
    overflown(slow.get(timeout=pace.patience()), GapReason.ENDED, None)
    with pytest.raises(QueueOverflow, match="maxsize"):
        slow.get()
    assert "QueueOverflow" not in scene.logged(["ERROR"])
    scene.goes_on()


@row(123, kills="a gap that finds the queue full is forgotten")
def test_a_full_queue_of_the_users_is_told_as_soon_as_there_is_room(play: Play) -> None:
    """The connection never waits for it; the gap is offered until it fits, before anything newer."""
    scene = play()
    full: queue.Queue[Event[Any]] = queue.Queue(maxsize=2)
    scene.client.subscribe_orders(full)
    witness = scene.subscribe()
    push(scene, *range(1, 6))
    for n in range(1, 6):
        witness.update(str(n))
    assert names(full, 2) == ["1", "2"]
    overflown(full.get(timeout=pace.patience()), GapReason.OVERFLOW, 3)
    push(scene, "next")
    witness.update("next")
    assert full.get(timeout=pace.patience()).index == 4
    scene.logged(["WARNING"])
    scene.goes_on("another")


@row(124, kills="a subscription that nobody reads is not told")
def test_a_reader_that_is_gone_is_told(play: Play) -> None:
    """Nobody took anything for long, and something waits: a WARNING; the rest is an overflow like others."""
    scene = play(timings={"reader_reminders": (max(1.0, pace.seconds(15)), pace.patience())})
    slow = scene.client.subscribe_orders(maxsize=3)
    witness = scene.subscribe()
    reader = threading.Thread(target=slow.get)
    reader.start()
    push(scene, 0)
    reader.join(pace.patience())
    push(scene, 1, 2)
    for n in range(3):
        witness.update(str(n))
    assert next(s.queued for s in scene.client.health().subscriptions if s.queued) == 2
    scene.log.wait_for("no event of orders has been taken")
    scene.logged(["WARNING"])
    push(scene, 3, 4)
    witness.update("3")
    witness.update("4")
    overflown(slow.get(timeout=pace.patience()), GapReason.OVERFLOW, 1)
    assert names(slow, 3) == ["2", "3", "4"]
    scene.goes_on()


class Raising:
    """A queue of a user's that raises after the first event."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.events: list[Event[Any]] = []

    def put_nowait(self, item: Event[Any], /) -> None:
        """Take the first, raise for the others."""
        if self.events:
            raise self.error
        self.events.append(item)


@row(125, kills="what a queue raises ends the connection, or is ignored")
@pytest.mark.parametrize("error", [OSError("disk full"), SystemExit(1), KeyboardInterrupt(), Odd("odd")], ids=repr)
def test_a_queue_that_raises_costs_its_own_subscription(play: Play, error: BaseException) -> None:
    """It ends with the error, which is logged and told; others to the same stream go on over the same connection."""
    scene = play()
    sink = Raising(error)
    broken = scene.client.subscribe_orders(sink)
    witness = scene.subscribe()
    push(scene, "one", "two")
    witness.update("one")
    witness.update("two")
    assert (broken.state, broken.error) == ("CLOSED", error)
    assert [e.data[0].order_id for e in sink.events] == ["one"]
    assert "has ended" in scene.logged(["ERROR"])
    scene.goes_on()
    told = scene.status.wait_for_end()
    assert (told.subscription, told.error) == (broken, error)
    assert [change for change in scene.status.changes if change.subscription] == [told]


@row(125, kills="what a queue raises ends the connection, or is ignored")
@pytest.mark.skipif(not hasattr(queue.Queue, "shutdown"), reason="queues can be shut down since Python 3.13")
def test_a_queue_that_was_shut_down_costs_its_own_subscription(play: Play) -> None:
    """`queue.ShutDown` is what the subscription ends with."""
    scene = play()
    sink: queue.Queue[Event[Any]] = queue.Queue()
    broken = scene.client.subscribe_orders(sink)
    scene.subscribe()
    getattr(sink, "shutdown")()  # noqa: B009 not there in older versions
    push(scene, "one")
    scene.histories[0].update("one")
    assert type(broken.error).__name__ == "ShutDown"
    scene.goes_on()


@row(126, kills="all callbacks of a stream share a thread, or a buffer")
def test_a_slow_callback_does_not_slow_the_other(play: Play) -> None:
    """One blocks on its first event; the other gets all of them meanwhile, and then the first one too."""
    scene = play()
    go, blocked = threading.Event(), threading.Event()
    slow = trying(scene, lambda _: (blocked.set(), go.wait(pace.patience())))
    quick = scene.subscribe()
    push(scene, *range(20))
    for n in range(20):
        quick.update(str(n))
    assert blocked.wait(pace.patience())
    assert len(slow.events) == 1
    go.set()
    for n in range(20):
        slow.update(str(n))
    scene.goes_on()


class Counter:
    """A callback that takes down only what is out of order."""

    def __init__(self) -> None:
        self.next = 0
        self.odd: list[Event[Any]] = []
        self.changed = threading.Condition()

    def __call__(self, event: Event[Any]) -> None:
        """Count *event*."""
        if [row.order_id for row in event] != [str(self.next)]:
            self.odd.append(event)
        with self.changed:
            self.next += 1
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many were counted."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.next >= count, pace.patience())


def resident() -> int:
    """Return how many bytes of this process are in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


@row(127, kills="what a reader does not take is kept without limit")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("count", [30_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_a_flood_arrives_in_order_and_takes_no_memory(play: Play, count: int) -> None:
    """Each push is delivered once, in order; a second subscription that nobody reads keeps its last hundred."""
    # While it pushes, the exchange answers no ping, and a busy machine may stop it inside a frame.
    scene = play(pong_timeout=pace.patience(), timings={"frame": pace.patience()})
    counter = Counter()
    unread = scene.client.subscribe_orders(maxsize=100)
    scene.client.subscribe_orders(counter)
    memory, cpu, size = resident(), time.process_time(), 1_000
    for start in range(0, count, size):
        rows = ([{"category": "linear", "orderId": str(n)}] for n in range(start, start + size))
        scene.exchange.do(say, *[pushed("order.linear", row) for row in rows])
        counter.wait_for(start - size)
    counter.wait_for(count)
    scene.measure("CPU of a thousand pushes, both ends", (time.process_time() - cpu) / count * 1_000)
    assert counter.odd == []
    assert resident() - memory < 32 * 2**20
    overflown(unread.get(timeout=pace.patience()), GapReason.OVERFLOW, count - 100)
    assert names(unread, 100) == [str(n) for n in range(count - 100, count)]
    assert scene.client.health().epoch == 1
    assert scene.log.text.count("too slow") == 1


# --- gaps that meet ---


def around_an_outage(scene: Scene, before: int, after: int) -> None:
    """Push so many orders *before* an outage and *after* it, and return when all were read; the witness is there already."""
    (witness,) = scene.histories
    numbers = itertools.count(1)
    for n in itertools.islice(numbers, before):
        push(scene, n)
        witness.update(str(n))
    scene.cause(hang_up)
    scene.is_found()
    witness.gap()
    for n in itertools.islice(numbers, after):
        push(scene, n)
        witness.update(str(n))


@row(128, kills="a gap is dropped like an event when there is no room")
def test_a_gap_that_is_pushed_out_stands_in_the_next(play: Play) -> None:
    """Five orders, an outage, four orders, and room for three: one gap tells it all, before the three that are left."""
    scene = play()
    slow = scene.client.subscribe_orders(maxsize=3)
    scene.subscribe()
    around_an_outage(scene, before=5, after=4)
    event = slow.get(timeout=pace.patience())
    overflown(event, GapReason.DISCONNECTED, None)
    assert event.gap is not None
    assert event.gap.since <= event.gap.until
    assert names(slow, 3) == ["7", "8", "9"]
    push(scene, "next")
    assert slow.get(timeout=pace.patience()).index == 5


@row(128, kills="the gap of an outage is dropped while the buffer is full")
@pytest.mark.parametrize("after", [0, 4])
def test_a_gap_finds_room_where_there_is_none(play: Play, after: int) -> None:
    """With "drop_newest" everything since the buffer was full is one gap: it counts what is known, or says that it is not."""
    scene = play()
    slow = scene.client.subscribe_orders(maxsize=3, overflow="drop_newest")
    scene.subscribe()
    around_an_outage(scene, before=5, after=after)
    assert names(slow, 3) == ["1", "2", "3"]
    overflown(slow.get(timeout=pace.patience()), GapReason.DISCONNECTED, None)
    push(scene, "next")
    assert slow.get(timeout=pace.patience()).index == 5


@row(128, kills="a full queue is offered a gap only once")
def test_a_full_queue_of_the_users_is_told_of_overflow_and_outage(play: Play) -> None:
    """Both are one gap, which arrives when there is room, though nothing else is pushed."""
    scene = play()
    full: queue.Queue[Event[Any]] = queue.Queue(maxsize=2)
    scene.client.subscribe_orders(full)
    scene.subscribe()
    around_an_outage(scene, before=4, after=2)
    assert names(full, 2) == ["1", "2"]
    overflown(full.get(timeout=pace.patience()), GapReason.DISCONNECTED, None)
    push(scene, "next")
    assert full.get(timeout=pace.patience()).index == 4


@row(128, kills="UNDECODABLE wins over what came before it, whatever that was")
def test_three_kinds_of_gap_that_meet_are_the_gravest(play: Play) -> None:
    """Dropped, unreadable, lost: the reader that comes back finds one gap, and then what is new."""
    scene = play()
    slow = scene.client.subscribe_orders(maxsize=1, overflow="drop_newest")
    witness = scene.subscribe()
    push(scene, 1, 2)
    witness.update("1")
    witness.update("2")
    scene.exchange.do(say, pushed("order.linear", [{}]))
    witness.gap(GapReason.UNDECODABLE)
    scene.cause(hang_up)
    scene.is_found()
    witness.gap(GapReason.DISCONNECTED)
    scene.exchange.do(say, pushed("order.linear", [{}]))
    witness.gap(GapReason.UNDECODABLE)
    assert names(slow, 1) == ["1"]
    event = slow.get(timeout=pace.patience())
    overflown(event, GapReason.DISCONNECTED, None)
    push(scene, "next")
    assert names(slow, 1) == ["next"]


# --- closing while a gap waits for room ---


class Inbox(queue.Queue["Event[Any]"]):
    """A queue of two that counts what it had no room for."""

    def __init__(self) -> None:
        super().__init__(2)
        self.refused = 0

    def put_nowait(self, item: Event[Any]) -> None:
        """Take *item*, or count it."""
        try:
            super().put_nowait(item)
        except queue.Full:
            self.refused += 1
            raise


def overfilled(scene: Scene) -> tuple[Inbox, Subscription[Any]]:
    """Subscribe with a queue of two, and push until it missed three orders."""
    inbox = Inbox()
    orders, witness = scene.client.subscribe_orders(inbox), scene.client.subscribe_orders()
    push(scene, *range(5))
    names(witness, 5)
    return inbox, orders


@row(211, kills="close() discards the gap that a queue missed, though somebody reads it")
@pytest.mark.parametrize("closing", ["subscription", "client"])
def test_closing_offers_a_gap_until_it_fits(play: Play, closing: str) -> None:
    """The queue is read only when that was tried in vain, and all is told: what came, then how many did not."""
    scene = play()
    inbox, orders = overfilled(scene)
    closed = in_background(lambda: (orders if closing == "subscription" else scene.client).close(timeout=pace.patience()))
    until(lambda: orders.state == "CLOSED")
    before = inbox.refused
    until(lambda: inbox.refused > before + 2)
    assert names(inbox, 2) == ["0", "1"]
    overflown(inbox.get(timeout=pace.patience()), GapReason.OVERFLOW, 3)
    assert closed.get(timeout=pace.patience()) is True


@row(211, kills="a connection thread that dials leaves the gap of a closed subscription waiting")
def test_closing_offers_a_gap_while_dialling_again(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection was lost, and the next one takes for ever."""

    def dial(*_: object, interrupt: Interrupt, **__: object) -> NoReturn:
        while True:
            interrupt.wait(pace.patience())

    scene = play()
    inbox, orders = overfilled(scene)
    monkeypatch.setattr("bybit_sync.engine.supervisor.open_websocket", dial)
    scene.client.reconnect()
    until(lambda: scene.client.state is State.CONNECTING)
    closed = in_background(lambda: orders.close(timeout=pace.patience()))
    until(lambda: orders._receiver in scene.client._engine.registry.unflushed())
    assert names(inbox, 2) == ["0", "1"]
    overflown(inbox.get(timeout=pace.patience()), GapReason.OVERFLOW, 3)
    assert closed.get(timeout=pace.patience()) is True


@row(211, kills="close() waits beyond its timeout for a queue that nobody reads, or hides that a gap was lost")
@pytest.mark.parametrize("closing", ["subscription", "client"])
def test_closing_gives_a_gap_up_at_its_timeout(play: Play, closing: str) -> None:
    """Nobody reads the queue: the close says False, and the log what was discarded."""
    scene = play()
    inbox, orders = overfilled(scene)
    assert (orders if closing == "subscription" else scene.client).close(timeout=0.2) is False
    assert names(inbox, 2) == ["0", "1"]
    assert inbox.empty()
    assert "closed with 1 events undelivered" in scene.log.text
    until(lambda: closing == "subscription" or not threads_of(scene.client))
