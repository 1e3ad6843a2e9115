"""The public handle of a subscription, which `client.subscribe_*` returns."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from bybit_sync.config.arguments import not_negative
from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.errors import ConfigurationError, SubscriptionClosed, fresh_copy
from bybit_sync.model.events import Event, Stream
from bybit_sync.public import moved
from bybit_sync.status import SubscriptionState

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Subscription"]


T = TypeVar("T")


class Subscription(Generic[T]):
    """A subscription to one stream, made by ``client.subscribe_*``.

    Without a sink it is the queue itself: take events with `get` or by iterating, from
    one thread or several; each event goes to one of them. Iteration ends after `close`,
    and raises the error if it ended with one. It is a context manager that closes
    itself. Every method may be called from any thread.

    Example:
        >>> with client.subscribe_orders() as orders:
        ...     order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        ...     for event in orders:
        ...         print(event.data[0].order_status, orders)
        ...         break
        New <Subscription orders of main: LIVE, 1 delivered, 0 queued, 0 dropped>

    """

    def __init__(self, receiver: Receiver[T], events: Buffer[T] | None) -> None:
        self._receiver = receiver
        # None when it has a sink.
        self._events = events
        receiver.handle = self

    @property
    def stream(self) -> Stream:
        """Return which of the four streams it is."""
        return self._receiver.stream

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the names that it is subscribed to on the wire."""
        return self._receiver.topics

    @property
    def state(self) -> SubscriptionState:
        """Return PENDING, LIVE, STALE or CLOSED."""
        return self._receiver.state

    @property
    def error(self) -> BaseException | None:
        """Return the error that it ended with; None while open, and after `close`."""
        return self._receiver.error

    @property
    def delivered(self) -> int:
        """Return the number of events that were handed over, gaps included."""
        return self._receiver.counts.delivered

    @property
    def queued(self) -> int:
        """Return the number of events that wait for their consumer.

        With a queue of yours, it is the number of gaps that wait for room in it.
        """
        return self._receiver.sink.size

    @property
    def dropped(self) -> int:
        """Return the number of events that found the buffer, or your queue, full."""
        return self._receiver.counts.dropped

    def get(self, timeout: float | None = None) -> Event[T]:
        """Return the next event; wait up to *timeout* seconds (None: no limit) for it.

        Ctrl-C interrupts it.

        Example:
            >>> orders = client.subscribe_orders()
            >>> orders.get(timeout=0.01)
            Traceback (most recent call last):
            _queue.Empty

        Raises:
            queue.Empty: no event came in time.
            SubscriptionClosed: `close` was called and all that was buffered has been
                taken.
            BybitSyncError: the error that the subscription ended with, after its ENDED
                event.
            ConfigurationError: the subscription has a sink, or *timeout* is no number
                from 0 up.
            ClientClosed: this process was forked from the client's.

        """
        self._receiver.owner.check_process()
        if timeout is not None:
            not_negative(self, "timeout", timeout)
        events = self._readable()
        event = events.take(timeout)
        if event is not None:
            return event
        if not events.is_spent:
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

    def refresh(self) -> None:
        """Read REST, and deliver the result in band.

        The result is a snapshot, or for user trades every missing execution: those
        since the earliest gap that is not mended, also the ones that a slow consumer
        had no room for (OVERFLOW). Without a missing execution no event is delivered.
        Returns at once. Does nothing once the subscription has ended.

        Example:
            >>> recover = Recovery(base_url=exchange.rest_url)
            >>> with Client("KEY", "SECRET", environment=exchange.url, recover=recover) as client:
            ...     positions = client.subscribe_positions()
            ...     first = positions.get(timeout=5)
            ...     positions.refresh()
            ...     positions.get(timeout=5).snapshot
            True

        Raises:
            ConfigurationError: the client has no ``recover``.
            ClientClosed: this process was forked from the client's.

        """
        self._receiver.owner.check_process()
        self._receiver.owner.refresh(self._receiver)

    def close(self, timeout: float = 5.0) -> bool:
        """End the subscription; buffered events are still delivered.

        It accepts no more events.

        Waits up to *timeout* seconds for the callback to have run; 0 never waits.
        Returns False if it still ran then: undelivered events are discarded and no
        further call starts. Inside a callback of the same client it does not wait, and
        discards the buffered events of the callback's own subscription. Never hold a
        lock that your callback takes.

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
        self._receiver.owner.check_process()
        return self._receiver.close(time.monotonic() + timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<Subscription {self.stream.value} of {self._receiver.owner.name}: {self.state.value}, "
            f"{self.delivered} delivered, {self.queued} queued, {self.dropped} dropped>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Subscription cannot be pickled or copied: it belongs to a thread of this process")

    def _readable(self) -> Buffer[T]:
        if self._events is None:
            raise ConfigurationError("this subscription delivers to its sink; subscribe without one to use get() or to iterate")
        return self._events

    def _end(self) -> BaseException:
        if self.error is not None:
            return fresh_copy(self.error)
        return SubscriptionClosed(f"the subscription to {self.stream.value} is closed, and all that it received has been taken")


if not TYPE_CHECKING:
    __getattr__ = moved("SubscriptionHealth")
