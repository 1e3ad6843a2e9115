"""The connection thread's end of a subscription, which passes events to a sink."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.config.timings import Timings
from bybit_sync.delivery.callback import Consumer
from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.remainder import Remainder
from bybit_sync.delivery.sink import EventSink
from bybit_sync.delivery.slow_consumer import SlowConsumerWarning
from bybit_sync.delivery.window import CompleteWindow
from bybit_sync.errors import describe
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event, Gap, GapReason, Stream, new_event
from bybit_sync.status import SubscriptionHealth, SubscriptionState
from bybit_sync.threads.waiting import SignalSafeEvent, wait_for

__all__ = ["Owner", "Receiver"]


T = TypeVar("T")


class Owner(Protocol):
    """The client's thread, as far as a subscription needs it."""

    name: str
    log: ClientLog

    def check_process(self) -> None:
        """Raise `ClientClosed` in a process that was forked from the client's."""

    def is_inside(self) -> bool:
        """Return whether this is a thread that runs a user's code for this client."""

    def release(self, receiver: Receiver[Any]) -> None:
        """Deliver nothing more to *receiver*. Any thread; takes no lock."""

    def refresh(self, receiver: Receiver[Any]) -> None:
        """Have the missing updates of *receiver* read over REST.

        Any thread; no lock.
        """

    def report_error(self, error: BaseException, event: Event[Any], receiver: Receiver[Any]) -> None:
        """Pass an exception of a callback to the user."""


class Receiver(Generic[T]):
    """A subscription to one stream, as the connection thread sees it.

    The user holds its `handle`.
    """

    def __init__(
        self,
        owner: Owner,
        stream: Stream,
        topics: tuple[str, ...],
        sink: EventSink[T],
        *,
        callback: Consumer | None = None,
        fast: bool = False,
        keep_alive: object = None,
        tells_start: bool = False,
        on_stale: Callable[[datetime | None], None] | None = None,
    ) -> None:
        self.owner = owner
        self.stream = stream
        self.topics = topics
        """The names that it is subscribed to on the wire."""
        self.fast: bool = fast
        """True for the topics of lower latency."""
        self.sink = sink
        self.counts: Counts = sink.counts
        """Its counters, which outlive it."""
        self.id: int = 0
        """Its number among those of the client: 1, 2, …; 0 before it is registered."""
        self.handle: Any = None
        """The public `Subscription`, which sets it. Untyped: this package knows nothing
        of those above it.
        """
        self.error: BaseException | None = None
        """The error that it ended with; None while it is open, and after `close`."""
        self.keep_alive: object | None = keep_alive
        """An open subscription keeps its client from being collected; a closed one does
        not.
        """
        self.confirm_awaited: bool = False
        """True while `subscribe_*` waits for its confirmation, and raises a failure
        before it.
        """
        self.confirm_deadline: float | None = None
        """The monotonic time until which `subscribe_*` waits; None without a limit."""
        self.failed_before_confirm: bool = False
        """True if it ended while `subscribe_*` waited."""
        self.remainder: Remainder = Remainder(
            owner.log, stream, sink, callback, is_inside=owner.is_inside, retry=partial(owner.release, self)
        )
        """The events that it still holds when it is closed."""
        self._callback = callback
        # Whether the sink is told of the first confirmation, as a gap before it.
        self._tells_start = tells_start
        # Called when it becomes STALE, with the time up to which it was complete.
        self._on_stale = on_stale
        # Protects the steps of `_state`. Reentrant: `close` may run in a signal handler
        # that interrupts any of these methods.
        self._lock = threading.RLock()
        self._state = SubscriptionState.PENDING
        self._settled = SignalSafeEvent()
        self._window = CompleteWindow()
        self._slowness = SlowConsumerWarning(owner.log, stream, sink, callback)
        # The error with which the connection was lost.
        self._lost_by: BaseException | None = None
        # The time at which the last push was read (ns, UTC), and the exchange made it.
        self._last: tuple[int, datetime, datetime | None] | None = None

    # --- any thread ---

    @property
    def state(self) -> SubscriptionState:
        """Return PENDING, LIVE, STALE or CLOSED."""
        return self._state

    @property
    def is_closed(self) -> bool:
        """Return whether it has ended."""
        return self._state is SubscriptionState.CLOSED

    @property
    def proven_until(self) -> datetime | None:
        """Return the exchange's time up to which the last pong proves it complete.

        Returns None before a confirmation.
        """
        return self._window.proven_until()

    def gives_up_before(self, deadline: float) -> bool:
        """Return whether its `subscribe_*` waits, and stops before *deadline*."""
        waits = self.confirm_awaited and self._state is SubscriptionState.PENDING
        return waits and self.confirm_deadline is not None and self.confirm_deadline < deadline

    def start(self, name: str) -> None:
        """Start the callback's thread, if there is a callback.

        Raises the errors of starting a thread.
        """
        if self._callback is not None:
            self._callback.start(name, self.owner, self, self.remainder.count_lost)

    def wait_settled(self, deadline: float | None) -> bool:
        """Wait until it is confirmed or has ended.

        Return False when *deadline* passes first.
        """
        return wait_for(self._settled, deadline)

    def stop_accepting(self) -> None:
        """Accept nothing more; buffered events are still delivered."""
        with self._lock:
            self._state = SubscriptionState.CLOSED
        self.sink.stop_accepting()
        self._settled.set()
        self.keep_alive = None

    def close(self, deadline: float) -> bool:
        """Accept nothing more, and wait until every event was delivered.

        Return False when *deadline* passes first.
        """
        self._leave()
        return self.remainder.wait_done(deadline)

    def cancel(self, error: BaseException) -> None:
        """End it with *error*, as if it had never been made."""
        self.error = error
        self._leave()
        self.sink.discard()

    def _leave(self) -> None:
        # Both steps, also when it is closed already: Ctrl-C may have come between them.
        self.stop_accepting()
        self.owner.release(self)

    # --- only the connection thread ---

    def deliver(self, event: Event[T]) -> None:
        """Put *event* into the sink.

        Raises the errors of the sink; the caller then ends the subscription.
        """
        overflowing = self.sink.overflowing
        if event.gap is None:
            self._last = (event.received_ns, event.received_at, event.created_at)
        elif event.gap.reason is GapReason.UNDECODABLE:
            self.counts.undecodable += event.gap.missed or 1
            event = self._window.clip(event, event.gap)
        self.sink.put(event)
        if self.sink.overflowing and not overflowing:
            self.owner.log.warning("%s: the consumer is too slow, events are dropped", self.stream.value)

    def confirm(self, coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> None:
        """Become LIVE at *now*, and deliver the gap before it, if there is one.

        From then on *coverage* measures what was read. A later loss may begin at
        *asked*, because the exchange begins to push before its answer is read.
        """
        with self._lock:
            if self._state is SubscriptionState.CLOSED:
                return
            is_first = self._state is SubscriptionState.PENDING
            self._state = SubscriptionState.LIVE
        misses, complete_until, until = self._window.is_begun, self._window.complete_until(), coverage.clock.latest(now)
        self._window.begin(asked, coverage)
        if is_first and self._tells_start:
            since = min(self._window.began() or until, until)
            detail = "what was there before could not be read in time"
            self.deliver(self._gap(GapReason.START, since, until, detail, None, now, epoch))
        if misses:
            since = min(complete_until or until, until)
            detail = f"the connection was lost: {self._lost_by}"
            self.deliver(self._gap(GapReason.DISCONNECTED, since, until, detail, self._lost_by, now, epoch))
        self._settled.set()

    def uncover(self, asked: Moment, clock: ExchangeClock) -> None:
        """Count nothing as read that was pushed since *asked*, the subscribe.

        Such pushes are not delivered. A subscription that was never confirmed gets a
        gap for them; a STALE one already misses more.
        """
        self._window.uncover(asked, clock, is_live=self._state is SubscriptionState.LIVE)

    def mark_stale(self, error: BaseException) -> None:
        """Become STALE, if it is LIVE, because *error* ended the connection."""
        with self._lock:
            if self._state not in (SubscriptionState.PENDING, SubscriptionState.LIVE):
                return
            was_live = self._state is SubscriptionState.LIVE
            if was_live:
                self._state = SubscriptionState.STALE
        self._window.freeze()
        self._lost_by = error
        if was_live and self._on_stale is not None:
            self._on_stale(self._window.complete_until())

    def end(self, error: BaseException, clock: ExchangeClock, now: Moment, epoch: int) -> bool:
        """End with *error*.

        The consumer gets it after the buffered events, or a waiting `subscribe_*`
        raises it. Returns whether the consumer gets it; False also when the
        subscription was closed before.
        """
        with self._lock:
            if self._state is SubscriptionState.CLOSED:
                return False
            failed_before_confirm = self.failed_before_confirm = (
                self.confirm_awaited and self._state is SubscriptionState.PENDING
            )
            self._state = SubscriptionState.CLOSED
            self.error = error
        in_band = False
        if failed_before_confirm:
            self.sink.discard()
        else:
            in_band = self.sink.end(self._ended(error, clock, now, epoch))
            # `close` came after the lock and before the sink: it has ended by that.
            self.error = error if in_band else None
        self._release_client()
        self._settled.set()
        return in_band

    def _ended(self, error: BaseException, clock: ExchangeClock, now: Moment, epoch: int) -> Event[T]:
        until = clock.latest(now)
        since = min(self._window.complete_until() or until, until)
        return self._gap(GapReason.ENDED, since, until, describe(error), error, now, epoch)

    def _release_client(self) -> None:
        # Only when the last gap fits: a user who keeps only the queue still gets it.
        if self.is_closed and not self.sink.unflushed:
            self.keep_alive = None

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
            client=self.owner.name,
            epoch=epoch,
        )

    def flush(self) -> bool:
        """Retry the gaps for which the user's queue had no room.

        Return True when none are left.
        """
        try:
            flushed = self.sink.flush()
        except BaseException:  # noqa: BLE001 - the queue is broken; the next event ends an open subscription
            flushed = True
            if self.is_closed:
                self.sink.discard()
        self._release_client()
        return flushed

    def warn_if_slow(self, now: float, times: Timings) -> None:
        """Warn about a callback that runs long, or about events that are not taken.

        *now* is the monotonic time.
        """
        self._slowness.warn_if_slow(now, times)

    def health(self, clock: ExchangeClock | None, now: Moment) -> SubscriptionHealth:
        """Return its part of the client's health. Any thread."""
        last, counts = self._last, self.counts
        offset = (clock.offset if clock is not None else None) or 0.0
        return SubscriptionHealth(
            id=self.id,
            stream=self.stream,
            state=self._state,
            delivered=counts.delivered,
            queued=self.sink.size,
            dropped=counts.dropped,
            undecodable=counts.undecodable,
            handler_errors=counts.handler_errors,
            gaps=counts.gaps.copy(),
            busy_since=self._busy_since(now),
            last_push_age=max(0.0, (now.ns - last[0]) * 1e-9) if last else None,
            last_push_lag=(last[1] - last[2]).total_seconds() + offset if last and last[2] else None,
        )

    def _busy_since(self, now: Moment) -> datetime | None:
        """Return when the running call of the callback began, in UTC."""
        since = self._callback.busy_since if self._callback is not None else None
        return None if since is None else now.utc_at(since)
