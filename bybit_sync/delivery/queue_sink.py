"""Delivery into a user's queue, without waiting for it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.gaps import merge, missed_by
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, set_index
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["EventQueue", "QueueSink"]


T = TypeVar("T")
E_contra = TypeVar("E_contra", contravariant=True)

# An overflow is over when nothing was dropped for this long. A queue that is full most
# of the time takes an event now and then; each of these would otherwise end the
# overflow, and the next drop would log a new warning.
OVERFLOW_QUIET_NS: Final = 60 * 10**9


class EventQueue(Protocol[E_contra]):
    """Any object with ``put_nowait``, such as a ``queue.Queue``.

    A full one raises ``queue.Full``.
    """

    def put_nowait(self, item: E_contra, /) -> object:
        """Take *item* at once, or raise ``queue.Full``."""


class QueueSink(Generic[T]):
    """A sink that puts numbered events into a user's queue, in order.

    Only the connection thread uses it, unless a method says otherwise. Events that do
    not fit become one gap, which is retried until it fits.
    """

    gaps_may_wait: bool = True

    def __init__(self, sink: EventQueue[Event[T]], overflow: Overflow) -> None:
        self._sink = sink
        self._overflow = overflow
        # The gaps that wait for room. Replaced as a whole, never changed in place:
        # another thread may discard them while the connection thread retries one.
        self._pending: tuple[Event[T], ...] = ()
        self._open = True
        self._is_discarded = False
        self._putting = False
        self._condition = SignalSafeCondition()
        self.counts: Counts = Counts()
        """The counters of what was put, and dropped."""
        self.overflowing: bool = False
        """True if events were dropped within the last minute."""
        self.on_drop: Callable[[Event[Any]], None] | None = None
        """Called with each event that is dropped."""
        self._dropped_ns = 0

    @property
    def unflushed(self) -> int:
        """Return the number of gaps that wait for room."""
        return len(self._pending)

    @property
    def size(self) -> int:
        """Return the number of events that wait for room; only gaps do."""
        return len(self._pending)

    def put(self, event: Event[T]) -> None:
        """Put *event*, or keep a gap when it does not fit.

        Raises `QueueOverflow`, and the errors of the queue.
        """
        # Set the flag before checking `_open`; a thread that closes checks the flag
        # afterwards, so at least one side notices.
        self._putting = True
        try:
            if self._open:
                self._put(event)
        finally:
            self._putting = False
            if not self._open:
                self._condition.wake()

    def wait_flushed(self, deadline: float) -> bool:
        """Wait until no put runs and no gap waits.

        Returns False when *deadline* passes first. Any thread.
        """
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
        self.counts.dropped += 1
        if self.on_drop is not None:
            self.on_drop(event)
        self._add_pending(missed_by(event, detail="the queue was full"))

    def _add_pending(self, gap: Event[T]) -> None:
        pending = self._pending
        self._keep((merge(pending[0], gap) if pending else gap,))

    def _keep(self, pending: tuple[Event[T], ...]) -> None:
        """Let *pending* wait for room, unless all that waits is to be discarded."""
        self._pending = pending
        # Checked after the gaps are set, and set by `discard` before it clears them: no
        # gap comes back that another thread has discarded meanwhile.
        if self._is_discarded:
            self._pending = ()

    def _fits(self, event: Event[T]) -> bool:
        try:
            set_index(event, self.counts.delivered + 1)
            self._sink.put_nowait(event)
        except queue.Full:
            return False
        self.counts.delivered += 1
        if event.gap is not None:
            self.counts.count_gap(event.gap)
        return True

    def flush(self) -> bool:
        """Retry pending gaps; return True when none are left.

        Raises the errors of the queue.
        """
        while pending := self._pending:
            if not self._fits(pending[0]):
                return False
            self._keep(pending[1:])
            if not self._open:
                self._condition.wake()
        return True

    def end(self, last: Event[T]) -> bool:
        """Accept nothing more but *last*, which is retried until it fits.

        Returns False when it was closed before.
        """
        accepts, self._open = self._open, False
        if accepts:
            self._keep((*self._pending, last))
        return accepts

    def stop_accepting(self) -> None:
        """Accept nothing more; pending gaps are still retried. Any thread."""
        self._open = False

    def discard(self) -> int:
        """Drop the pending gaps, and return their number. Any thread."""
        self._open = False
        self._is_discarded = True
        lost, self._pending = len(self._pending), ()
        return lost
