"""The way into a queue that is not ours: only ever put to, never waited for."""

from __future__ import annotations

import queue
from typing import Final, Generic, Protocol, TypeVar

from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.gaps import merge, missed_by
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, set_index
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["EventQueue", "QueueSink"]


T = TypeVar("T")
E_contra = TypeVar("E_contra", contravariant=True)

# An overflow is over when nothing was dropped for this long. A queue that is full most of the time takes an event now and
# then: each of these would otherwise begin a new story, and a new warning.
OVERFLOW_QUIET_NS: Final = 60 * 10**9


class EventQueue(Protocol[E_contra]):
    """Anything with ``put_nowait``, such as a ``queue.Queue``; full means ``queue.Full``."""

    def put_nowait(self, item: E_contra, /) -> object:
        """Take *item* at once, or raise ``queue.Full``."""


class QueueSink(Generic[T]):
    """Hands events to a user's queue, in order and numbered. Only the connection thread.

    What a full queue misses becomes one gap, which is owed until it fits.
    """

    def __init__(self, sink: EventQueue[Event[T]], overflow: Overflow) -> None:
        self._sink = sink
        self._overflow = overflow
        # Replaced, never changed: another thread may discard it while this one offers it.
        self._pending: tuple[Event[T], ...] = ()
        self._open = True
        self._putting = False
        self._condition = SignalSafeCondition()
        self.dropped: int = 0
        self.index: int = 0
        """The number of the event put last."""
        self.overflowing: bool = False
        """Whether events were dropped within the last minute."""
        self._dropped_ns = 0

    @property
    def unflushed(self) -> int:
        """Return how many gaps wait for room."""
        return len(self._pending)

    @property
    def size(self) -> int:
        """Return the same: nothing but gaps waits here."""
        return len(self._pending)

    def put(self, event: Event[T]) -> None:
        """Put *event*, or remember that it did not fit. Raises `QueueOverflow`, and whatever the queue raises."""
        # Said before looking whether it is closed; who closes it looks at this afterwards.
        self._putting = True
        try:
            if self._open:
                self._put(event)
        finally:
            self._putting = False
            if not self._open:
                self._condition.wake()

    def wait_flushed(self, deadline: float) -> bool:
        """Wait until nothing is being put and no gap waits for room; False when *deadline* passes first. Any thread."""
        return self._condition.wait(lambda: not self._putting and not self._pending, deadline)

    def _put(self, event: Event[T]) -> None:
        if event.received_ns - self._dropped_ns > OVERFLOW_QUIET_NS:
            self.overflowing = False
        if self.flush() and self._fits(event):
            return
        if event.gap is not None:
            self._add_pending(event)
        else:
            self._drop(event)

    def _drop(self, event: Event[T]) -> None:
        if self._overflow is Overflow.FAIL:
            raise QueueOverflow(
                f"the queue given for {event.stream.value} is full and overflow='fail' drops nothing: consume faster"
            )
        self.overflowing = True
        self._dropped_ns = event.received_ns
        self.dropped += 1
        self._add_pending(missed_by(event, detail="the queue was full"))

    def _add_pending(self, gap: Event[T]) -> None:
        self._pending = (merge(self._pending[0], gap) if self._pending else gap,)

    def _fits(self, event: Event[T]) -> bool:
        try:
            set_index(event, self.index + 1)
            self._sink.put_nowait(event)
        except queue.Full:
            return False
        self.index += 1
        return True

    def flush(self) -> bool:
        """Offer again what is owed; say whether nothing is owed any more."""
        while pending := self._pending:
            if not self._fits(pending[0]):
                return False
            self._pending = pending[1:]
            if not self._open:
                self._condition.wake()
        return True

    def end(self, last: Event[T]) -> None:
        """Take nothing more in but *last*, which is owed until it fits."""
        if self._open:
            self._open = False
            self._pending += (last,)

    def stop_accepting(self) -> None:
        """Take nothing more in. Any thread."""
        self._open = False

    def discard(self) -> int:
        """Owe nothing any more, and return how many gaps that were. Any thread."""
        self._open = False
        lost, self._pending = len(self._pending), ()
        return lost
