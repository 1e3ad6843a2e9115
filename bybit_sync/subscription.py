"""One subscriber's end of a stream: a callback, a queue or an iterator, until closed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeVar

from attrs import evolve

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.config.arguments import check_ran, not_negative
from bybit_sync.config.timings import Timings, due
from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.gaps import with_gap
from bybit_sync.delivery.queue_sink import Outlet
from bybit_sync.errors import ConfigurationError, SubscriptionClosed, describe, fresh_copy
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event, Gap, GapReason, Stream, new_event
from bybit_sync.threads.waiting import SLICE, Flag, join, start_thread, wait_for

if TYPE_CHECKING:
    from typing_extensions import Self

from bybit_sync.status import SubscriptionHealth, SubscriptionState

__all__ = ["CallbackThread", "Owner", "Subscription"]


T = TypeVar("T")


class Owner(Protocol):
    """What a subscription needs of its client's connection."""

    name: str
    log: ClientLog

    def check_process(self) -> None:
        """Raise `ClientClosed` in a process that was forked from the client's."""

    def is_inside(self) -> bool:
        """Say whether this is a thread that runs a user's code for this client."""

    def release(self, subscription: Subscription[Any]) -> None:
        """Deliver nothing more to *subscription*. Any thread; takes no lock."""

    def report_error(self, error: BaseException, event: Event[Any], subscription: Subscription[Any]) -> None:
        """Tell what a callback raised."""


class CallbackThread(threading.Thread):
    """A thread that runs a user's code for *owner*: from there, closing does not wait."""

    def __init__(
        self, owner: object, name: str, target: Callable[[], None], subscription: Subscription[Any] | None = None
    ) -> None:
        super().__init__(name=name, target=target, daemon=True)
        self.owner = owner
        self.subscription = subscription


class Subscription(Generic[T]):
    """A subscription to one stream, made by ``client.subscribe_*``.

    Without a sink it is the queue itself: take events with `get` or by iterating, from one thread or several; each event goes
    to one of them. Iteration ends after `close`, and raises the error if it ended with one. It is a context manager that
    closes itself. Every method may be called from any thread.

    Example:
        >>> with client.subscribe_orders() as orders:
        ...     order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        ...     for event in orders:
        ...         print(event.data[0].order_status, orders)
        ...         break
        New <Subscription orders of main: LIVE, 1 delivered, 0 queued, 0 dropped>

    """

    def __init__(
        self,
        owner: Owner,
        stream: Stream,
        topics: tuple[str, ...],
        way: Buffer[T] | Outlet[T],
        callback: Callable[[Event[T]], object] | None,
        keep_alive: object,
    ) -> None:
        self.stream = stream
        """Which of the four."""
        self.topics = topics
        """The names that it is subscribed to on the wire."""
        self.error: BaseException | None = None
        """Why it ended, None while it has not and after `close`."""
        self._owner = owner
        self._way = way
        self._callback = callback
        # An open subscription keeps its client from being collected; a closed one does not.
        self._keep_alive: object | None = keep_alive
        # Reentrant: `close` may run in a signal handler that interrupts any of these methods.
        self._lock = threading.RLock()
        self.awaited: bool = False
        """Whether `subscribe_*` waits for its confirmation: a failure before that is raised there, not told in band."""
        self.unborn: bool = False
        """Whether it ended while `subscribe_*` waited."""
        self._state = SubscriptionState.PENDING
        self._settled = Flag()
        self._done = Flag()
        self._thread: CallbackThread | None = None
        self._abandoned = False
        self._lost_events = 0
        # The number of the event that the callback was called with last, and came back from.
        self._finished = 0
        self._busy_since: float | None = None
        self._reminders = 0
        self._reminded: float | None = None
        # How many events were taken at the last look, and since when it has been so many.
        self._taken = 0
        self._untouched: float | None = None
        # When it was last asked for, and what has been read since; their time by the exchange's clock is told as late as
        # possible, as each pong makes it more exact. None while nothing can be missing: a confirmation then needs no gap.
        self._asked: Moment | None = None
        self._coverage: Coverage | None = None
        # Why the connection was lost.
        self._lost: BaseException | None = None
        self._undecodable = 0
        self._handler_errors = 0
        self._last: tuple[int, datetime, datetime | None] | None = None

    # --- for users ---

    @property
    def state(self) -> SubscriptionState:
        """PENDING, LIVE, STALE or CLOSED."""
        return self._state

    def get(self, timeout: float | None = None) -> Event[T]:
        """Return the next event, waiting up to *timeout* seconds for it (None: without limit). Ctrl-C interrupts it.

        Example:
            >>> orders = client.subscribe_orders()
            >>> orders.get(timeout=0.01)
            Traceback (most recent call last):
            _queue.Empty

        Raises:
            queue.Empty: nothing came in time.
            SubscriptionClosed: `close` was called and all that was buffered has been taken.
            BybitSyncError: the error that the subscription ended with, after its ENDED event.
            ConfigurationError: the subscription has a sink, or *timeout* is no number from 0 up.
            ClientClosed: this process was forked from the client's.

        """
        self._owner.check_process()
        if timeout is not None:
            not_negative(self, "timeout", timeout)
        event = self._readable().take(timeout)
        if event is not None:
            return event
        if not self._readable().is_spent:
            raise queue.Empty
        raise self._end()

    def __iter__(self) -> Iterator[Event[T]]:
        self._readable()
        return self

    def __next__(self) -> Event[T]:
        try:
            return self.get()
        except SubscriptionClosed:
            raise StopIteration from None

    def close(self, timeout: float = 5.0) -> bool:
        """End the subscription: nothing more is taken in, what is buffered is still delivered.

        Waits up to *timeout* seconds for the callback to have run; 0 never waits. Returns False if it still ran then: what is
        undelivered is discarded and no further call starts. Inside a callback of the same client it does not wait, and
        discards what is buffered for the callback's own subscription. Never hold a lock that your callback takes.

        Example:
            >>> orders = client.subscribe_orders()
            >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
            >>> exchange.wait_for(lambda: client.health().subscriptions[0].queued)
            1
            >>> orders.close()
            True
            >>> [event.data[0].order_status for event in orders]  # what was buffered is still there
            [OrderStatus('New')]

        Raises:
            ConfigurationError: *timeout* is no number from 0 up.
            ClientClosed: this process was forked from the client's.

        """
        not_negative(self, "timeout", timeout)
        self._owner.check_process()
        self._leave()
        return self.wait_done(time.monotonic() + timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<Subscription {self.stream.value} of {self._owner.name}: {self._state.value}, "
            f"{self._way.index} delivered, {self._way.size} queued, {self._way.dropped} dropped>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Subscription cannot be pickled or copied: it belongs to a thread of this process")

    # --- for the client ---

    def start(self, name: str) -> None:
        """Start the callback's thread, if there is a callback. Raises what starting a thread raises."""
        if self._callback is not None:
            self._thread = CallbackThread(self._owner, name, self._run, self)
            start_thread(self._thread)
        else:
            self._done.set()

    def wait_settled(self, deadline: float | None) -> bool:
        """Wait until it is confirmed or has ended; False when *deadline* passes first."""
        return wait_for(self._settled, deadline)

    @property
    def is_closed(self) -> bool:
        """Say whether it has ended."""
        return self._state is SubscriptionState.CLOSED

    def shut(self) -> None:
        """Take nothing more in; what is buffered is still delivered."""
        with self._lock:
            self._state = SubscriptionState.CLOSED
        self._way.close()
        self._settled.set()
        self._keep_alive = None

    def withdraw(self, error: BaseException) -> None:
        """End it with *error* as if it had never been."""
        self.error = error
        self._leave()
        self._way.discard()

    def _leave(self) -> None:
        # Both, also when it is closed already: Ctrl-C may have come in between.
        self.shut()
        self._owner.release(self)

    def wait_done(self, deadline: float) -> bool:
        """Wait until nothing more is delivered; False when a callback still runs at *deadline*: then discard the rest."""
        # Without a number it was never started: Ctrl-C came before.
        if self._thread is None or self._thread.ident is None:
            return self._queue_done(deadline)
        if threading.current_thread() is self._thread:
            return self._abandon()
        if self._owner.is_inside():
            return self._done.is_set() or (self._way.size == 0 and not self._has_one_in_hand())
        if not wait_for(self._done, deadline):
            return self._abandon()
        join(self._thread, deadline)
        return True

    def _queue_done(self, deadline: float) -> bool:
        if not isinstance(self._way, Outlet):
            return True
        # Inside of the queue itself there is nothing to wait for.
        rests = self._owner.is_inside() or self._wait_empty(self._way, deadline)
        done = self._abandon() and rests
        if not rests:
            # So that the connection thread sees at once that nothing is left to be offered.
            self._owner.release(self)
        return done

    def _wait_empty(self, outlet: Outlet[T], deadline: float) -> bool:
        while not outlet.wait_empty(min(deadline, time.monotonic() + SLICE)):
            if time.monotonic() >= deadline:
                return False
            # Again: while it dials, the connection thread retries a gap only when a command arrives.
            self._owner.release(self)
        return True

    def _abandon(self) -> bool:
        # Said before looking at the thread's hand, which looks at this before it begins a call: one of us sees the other.
        self._abandoned = True
        self._warn_of_loss(self._way.discard())
        return not self._lost_events and not self._has_one_in_hand()

    def _has_one_in_hand(self) -> bool:
        return self._thread is not None and self._way.index != self._finished

    def _warn_of_loss(self, events: int) -> None:
        if events:
            self._lost_events += events
            self._owner.log.warning("%s closed with %d events undelivered", self.stream.value, events)

    def _readable(self) -> Buffer[T]:
        if self._callback is not None or isinstance(self._way, Outlet):
            raise ConfigurationError("this subscription delivers to its sink; subscribe without one to use get() or to iterate")
        return self._way

    def _end(self) -> BaseException:
        if self.error is not None:
            return fresh_copy(self.error)
        return SubscriptionClosed(f"the subscription to {self.stream.value} is closed, and all that it received has been taken")

    # --- only the connection thread ---

    def deliver(self, event: Event[T]) -> None:
        """Pass *event* on. Raises what the sink raises: the subscription has to end with it."""
        overflowing = self._way.overflowing
        if event.gap is None:
            self._last = (event.received_ns, event.received_at, event.created_at)
        elif event.gap.reason is GapReason.UNDECODABLE:
            self._undecodable += event.gap.missed or 1
            event = self._clipped(event, event.gap)
        self._way.put(event)
        if self._way.overflowing and not overflowing:
            self._owner.log.warning("%s: the consumer is too slow, events are dropped", self.stream.value)

    def confirm(self, coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> None:
        """Count as subscribed, *now*, and tell the gap before it if there is one; from here on *coverage* tells what was read.

        What is lost later may have been pushed since *asked*: the exchange began to push before its answer was read.
        """
        with self._lock:
            if self._state is SubscriptionState.CLOSED:
                return
            self._state = SubscriptionState.LIVE
        misses, complete_until, until = self._coverage is not None, self._complete_until(), coverage.clock.latest(now)
        self._asked, self._coverage = asked, coverage
        if misses:
            since = min(complete_until or until, until)
            detail = f"the connection was lost: {self._lost}"
            self.deliver(self._gap(GapReason.DISCONNECTED, since, until, detail, self._lost, now, epoch))
        self._settled.set()

    def uncover(self, asked: Moment, clock: ExchangeClock) -> None:
        """Count nothing as read that was pushed since *asked*, when its stream was asked for: it is not delivered.

        To one that was never confirmed a gap will tell that; one that is STALE misses more already.
        """
        if self._coverage is None:
            self._asked = asked
        if self._coverage is None or self._state is SubscriptionState.LIVE:
            self._coverage = Coverage(clock)

    def lose(self, error: BaseException) -> None:
        """Count as stale, if it was confirmed: nothing is known after what was read until now, because of *error*."""
        with self._lock:
            if self._state not in (SubscriptionState.PENDING, SubscriptionState.LIVE):
                return
            if self._state is SubscriptionState.LIVE:
                self._state = SubscriptionState.STALE
        if self._coverage is not None:
            self._coverage = evolve(self._coverage)
        self._lost = error

    def end(self, error: BaseException, clock: ExchangeClock, now: Moment, epoch: int) -> bool:
        """End with *error*, told in band after all that is buffered, or by the `subscribe_*` that waits.

        Returns whether it is told in band; not so either when it was closed before.
        """
        with self._lock:
            if self._state is SubscriptionState.CLOSED:
                return False
            unborn = self.unborn = self.awaited and self._state is SubscriptionState.PENDING
            self._state = SubscriptionState.CLOSED
            self.error = error
        until = clock.latest(now)
        since = min(self._complete_until() or until, until)
        if unborn:
            self._way.discard()
        else:
            self._way.end(self._gap(GapReason.ENDED, since, until, describe(error), error, now, epoch))
        if not self.has_queue:
            self._keep_alive = None
        self._settled.set()
        return not unborn

    def _began(self) -> datetime | None:
        """Return the exchange's time when it was last asked for, as it is known by now; None before a confirmation."""
        return self._coverage.clock.earliest(self._asked) if self._coverage and self._asked else None

    def _complete_until(self) -> datetime | None:
        """Return the exchange's time up to which nothing is missing, as it is known by now; None before a confirmation."""
        began, read = self._began(), self._coverage.complete_until() if self._coverage else None
        return max(began, read) if began is not None and read is not None else began

    def _clipped(self, event: Event[T], gap: Gap) -> Event[T]:
        """Return *event*, its gap saying nothing about a time before this subscription."""
        began = self._began()
        if began is None or gap.since >= began:
            return event
        return with_gap(event, evolve(gap, since=min(began, gap.until)), raw=event.raw)

    def _gap(
        self,
        reason: GapReason,
        since: datetime,
        until: datetime,
        detail: str,
        error: BaseException | None,
        now: Moment,
        epoch: int,
    ) -> Event[T]:
        gap = Gap(reason=reason, since=since, until=until, missed=None, detail=detail, error=error)
        return new_event(
            stream=self.stream,
            topic=self.topics[0] if len(self.topics) == 1 else "",
            gap=gap,
            received_at=now.utc,
            received_ns=now.ns,
            client=self._owner.name,
            epoch=epoch,
        )

    @property
    def has_queue(self) -> bool:
        """Say whether it delivers to a queue of the user's."""
        return isinstance(self._way, Outlet)

    @property
    def has_gap_left(self) -> bool:
        """Say whether a gap waits for room in a queue of the user's."""
        return self.has_queue and self._way.size > 0

    def settle_debts(self) -> bool:
        """Offer the user's queue what it is owed; say whether nothing is owed any more."""
        try:
            paid = self._way.offer() if isinstance(self._way, Outlet) else True
        except BaseException:  # noqa: BLE001 - beyond repair: it was told by its error, its state and `on_status`
            paid = True
            if self.is_closed:
                self._way.discard()
        if paid and self.is_closed:
            # Not before: whoever holds nothing but the queue still gets the last word.
            self._keep_alive = None
        return paid

    def remind(self, now: float, times: Timings) -> None:
        """Warn when the callback runs for long, or nobody takes what waits; *now* is the monotonic time."""
        if self._callback is not None:
            text, since = "the callback of %s has been running for %.0f s", self._busy_since
        else:
            text, since = "nobody has taken an event of %s for %.0f s", self._unread_since(now)
        reminders = times.callback_reminders if self._callback is not None else times.reader_reminders
        if since != self._reminded:
            self._reminded, self._reminders = since, 0
        if since is not None and now - since >= due(self._reminders, reminders):
            self._reminders += 1
            self._owner.log.warning(text, self.stream.value, now - since)

    def _unread_since(self, now: float) -> float | None:
        """Return since when something waits and nothing is taken, as far as could be seen."""
        taken = self._way.index
        if taken != self._taken or not self._way.size:
            self._taken, self._untouched = taken, None
        elif self._untouched is None:
            self._untouched = now
        return self._untouched

    def health(self, clock: ExchangeClock | None, now: Moment) -> SubscriptionHealth:
        """Return its part of the client's health."""
        last = self._last
        offset = (clock.offset if clock is not None else None) or 0.0
        return SubscriptionHealth(
            stream=self.stream,
            state=self._state,
            delivered=self._way.index,
            queued=self._way.size,
            dropped=self._way.dropped,
            undecodable=self._undecodable,
            handler_errors=self._handler_errors,
            last_push_age=max(0.0, (now.ns - last[0]) * 1e-9) if last else None,
            last_push_lag=(last[1] - last[2]).total_seconds() + offset if last and last[2] else None,
        )

    # --- only the callback's thread ---

    def _run(self) -> None:
        assert self._callback is not None
        while (event := self._way.take()) is not None:
            if self._abandoned:
                self._warn_of_loss(1)
                break
            self._busy_since = time.monotonic()
            try:
                check_ran(self._callback(event))
            except BaseException as error:  # noqa: BLE001 - nothing that a callback raises ends its stream
                self._raised(error, event)
            self._busy_since = None
            self._finished = event.index
        self._finished = self._way.index
        self._done.set()

    def _raised(self, error: BaseException, event: Event[T]) -> None:
        self._handler_errors += 1
        level = self._owner.log.error if isinstance(error, Exception) else self._owner.log.critical
        level("the callback of %s raised; the next event is delivered all the same", self.stream.value, exc_info=error)
        self._owner.report_error(error, event, self)
