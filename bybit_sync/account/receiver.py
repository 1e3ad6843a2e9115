"""The connection thread's end of an account view, which applies events to it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from bybit_sync.account.feed import Feed
from bybit_sync.account.reducer import Reducer
from bybit_sync.account.watch import OrderWatch
from bybit_sync.config.arguments import not_negative, plain_callable, whole
from bybit_sync.delivery.buffer import Buffer, Overflow
from bybit_sync.delivery.callback import Callback
from bybit_sync.delivery.receiver import Owner, Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.errors import ConfigurationError, SubscriptionClosed, fresh_copy
from bybit_sync.model.events import Event, Stream
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.recovery.windows import Windows
from bybit_sync.status import SubscriptionState
from bybit_sync.subscription import Subscription
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["ViewOwner", "ViewReceiver"]

# The most events that wait for `on_change`. Newer ones are dropped, as one gap for each
# stream: the view itself has them all.
_CHANGES: Final = 10_000
# Seconds between two looks at what is mended: the mender notes that only after its
# event was applied.
_LOOK: Final = 0.05


class ViewOwner(Owner, Protocol):
    """The client's thread, as far as a view needs it."""

    registry: SubscriptionRegistry

    def is_own_thread(self) -> bool:
        """Return whether the calling thread is the connection thread."""


class ViewReceiver:
    """Applies the events of *streams* to one state, and knows whether it is current.

    *on_change* is called with each event after that, on a thread of its own.
    """

    def __init__(
        self, owner: ViewOwner, streams: Iterable[Stream], *, trades: int, on_change: Callable[[Event[Any]], object] | None
    ) -> None:
        whole(self, "trades", trades)
        self.owner = owner
        self.reducer: Reducer = Reducer(streams, trades=trades)
        """The state; any thread may read it."""
        self._process = os.getpid()
        self._condition = SignalSafeCondition()
        self._changes = None if on_change is None else Buffer[Any](_CHANGES, Overflow.DROP_NEWEST, owner.registry.wake_round)
        self._callback = None if on_change is None or self._changes is None else Callback(on_change, self._changes)
        # Threads that wait for orders add and discard; the connection thread copies.
        self._watches: set[OrderWatch] = set()
        # The subscriptions, with their gaps that wait to be read over REST.
        self._ends: tuple[tuple[Receiver[Any], Windows], ...] = ()
        self._feeds = tuple(
            # The first one has the callback: one thread for all streams.
            Feed(stream, self._apply, self._closed, None if number else self._changes)
            for number, stream in enumerate(self.reducer.validity)
        )

    def connect(self, receive: Callable[..., Receiver[Any]]) -> Sequence[Receiver[Any]]:
        """Make the receivers of its streams; *receive* returns that of a feed."""
        for feed in self._feeds:
            callback = self._callback if feed.changes is not None else None
            receiver = receive(feed, callback=callback, on_stale=partial(self.reducer.lose, feed.stream))
            # Its sink mends gaps, and has this feed inside.
            feed.receiver, feed.windows = receiver, receiver.sink.mender.windows  # type: ignore[attr-defined]
            Subscription(receiver, None)
            self._ends += ((receiver, feed.windows),)
        return [receiver for receiver, _ in self._ends]

    # --- the connection thread ---

    def _apply(self, feed: Feed, event: Event[Any]) -> None:
        self.reducer.take(event, is_live=feed.is_live)
        if event.stream is Stream.ORDERS:
            for watch in self._watches.copy():
                watch.see(event)
        self._condition.wake()
        if self._changes is not None:
            self._changes.put(event)

    def _closed(self) -> None:
        """Let the thread of `on_change` end when no stream is open. Any thread."""
        if self._changes is not None and self._is_over:
            self._changes.stop_accepting()
        self._condition.wake()

    @property
    def _is_over(self) -> bool:
        return not any(feed.is_open for feed in self._feeds)

    # --- any thread ---

    @property
    def is_current(self) -> bool:
        """Return whether nothing is known to be missing."""
        if not self.reducer.is_current:
            return False
        for receiver, windows in self._ends:  # a loop: half the time of all()
            if receiver.state is not SubscriptionState.LIVE or not windows.are_known:
                return False
        # A forked child has no connection, and nothing here would notice.
        return os.getpid() == self._process

    @property
    def as_of(self) -> datetime | None:
        """Return the exchange's time up to which nothing is missing."""
        # The validities have the order of the feeds.
        times = list(map(Feed.complete_until, self._feeds, self.reducer.validity.values()))
        return None if None in times else min(times)  # type: ignore[type-var]

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Return what is missing, a text for each stream; () when it is current."""
        if self._is_over:
            return ("nothing: it is closed",)
        return tuple(filter(None, map(self._lack, self._feeds)))

    def _lack(self, feed: Feed) -> str:
        text = self.reducer.validity[feed.stream].waits_for(feed.stream)
        if text:
            return text
        if not feed.is_live:
            return f"{feed.stream.value}: the connection"
        return "" if feed.windows.are_known else f"{feed.stream.value}: what REST has not shown yet"

    def wait(self, wanted: Callable[[], object], deadline: float | None) -> bool:
        """Wait until *wanted* returns what is true; raise when it cannot come."""
        self.owner.check_process()
        if self.owner.is_own_thread():
            raise ConfigurationError("a view cannot wait on the client's own thread, which has to read what it waits for")
        while not wanted():
            self._check_open()
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return False
            soon = now + _LOOK
            self._condition.wait(lambda: bool(wanted()), soon if deadline is None else min(soon, deadline))
        return True

    def _check_open(self) -> None:
        for receiver, _ in self._ends:
            if receiver.error is not None:
                raise fresh_copy(receiver.error)
        if self._is_over:
            raise SubscriptionClosed("the account view is closed: it keeps its last state")

    # --- orders that are waited for ---

    def wait_for_order(
        self,
        order_id: str | None,
        order_link_id: str | None,
        until: Callable[[OrderUpdate], object] | str,
        timeout: float | None,
    ) -> OrderUpdate:
        """Wait for an order, as `Client.wait_for_order` describes it."""
        if (order_id is None) == (order_link_id is None):
            raise ConfigurationError("give either order_id or order_link_id=")
        if timeout is not None:
            not_negative(self, "timeout", timeout)
        decide = None if until == "final" else plain_callable("until", until)
        watch = OrderWatch(order_id, order_link_id, decide)
        # Added before the look at what is there: no row is missed.
        self._watches.add(watch)
        try:
            watch.begin(self.reducer.state.orders, self.reducer.ended_orders.copy())
            self.wait(watch.check, None if timeout is None else time.monotonic() + timeout)
        finally:
            self._watches.discard(watch)
        if watch.found is None:
            raise TimeoutError(str(watch))
        return watch.found

    def refresh(self) -> None:
        """Have each stream read over REST."""
        self.owner.check_process()
        for receiver, _ in self._ends:
            self.owner.refresh(receiver)

    def close(self, deadline: float) -> bool:
        """End its subscriptions; wait until `on_change` has had every event.

        Return False when *deadline* passes first.
        """
        self.owner.check_process()
        for receiver, _ in self._ends:
            # All of them first: the thread of `on_change` ends after the last one.
            receiver.stop_accepting()
        done = [receiver.close(deadline) for receiver, _ in self._ends]
        return all(done)
