"""A bounded buffer between the connection thread and a slow consumer.

It reports the events that it drops.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.gaps import merge, missed_by
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, GapReason, set_index
from bybit_sync.threads.waiting import SignalSafeCondition
from bybit_sync.threads.wake_round import WakeRound

__all__ = ["Buffer", "Overflow"]


T = TypeVar("T")


class Overflow(str, Enum):
    """The policy for events that find the buffer full."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    FAIL = "fail"


class Buffer(Generic[T]):
    """A queue of events from one thread to any number of others.

    It numbers the events as they are taken, and holds *maxsize* events with data. Gaps
    need no room: neighbours are merged, so they are never dropped. A consumer that
    waits is woken through *wake_round*, without one at once.
    """

    gaps_may_wait: bool = False

    def __init__(self, maxsize: int, overflow: Overflow, wake_round: WakeRound | None = None) -> None:
        self._maxsize = maxsize
        self._overflow = overflow
        self._items: deque[Event[T]] = deque()
        # Reentrant: a signal handler may close the buffer that the interrupted code
        # reads from.
        self._lock = threading.RLock()
        self._condition = SignalSafeCondition()
        self._wake_round = wake_round or WakeRound()
        self._open = True
        self.size: int = 0
        """The number of waiting events with data."""
        self.counts: Counts = Counts()
        """The counters of what was taken, and dropped."""
        self.overflowing: bool = False
        """True if events were dropped since the buffer was last less than half full."""
        self.on_drop: Callable[[Event[Any]], None] | None = None
        """Called with each event that is dropped."""

    # --- the producer's side: only the connection thread ---

    def put(self, event: Event[T]) -> None:
        """Add *event*, or apply the overflow policy.

        Raises `QueueOverflow` when the policy is FAIL.
        """
        with self._lock:
            if not self._open:
                return
            if event.gap is not None:
                self._add_gap(event)
            elif self.size < self._maxsize:
                # Not reset by the first event that fits: a consumer that is always
                # behind gets one warning, not thousands.
                self.overflowing = self.overflowing and self.size > self._maxsize // 2
                self._items.append(event)
                self.size += 1
            else:
                self._add_to_full(event)
        self._wake_round.wake(self._condition)

    def _add_gap(self, event: Event[T]) -> None:
        """Add *event*, merged with the gap of its stream among the last ones.

        An account view's buffer has events of several streams. Nothing follows the end
        of a stream, which no gap can be merged with.
        """
        items, at = self._items, len(self._items) - 1
        while at >= 0 and items[at].gap is not None and not _is_end(event):
            if items[at].stream is event.stream:
                items[at] = merge(items[at], event)
                return
            at -= 1
        items.append(event)

    def _add_to_full(self, event: Event[T]) -> None:
        if self._overflow is Overflow.FAIL:
            raise QueueOverflow(
                f"{self._maxsize} events of {event.stream.value} wait for their consumer and overflow='fail' allows no more: "
                "consume faster, or raise maxsize="
            )
        self.overflowing = True
        self.counts.dropped += 1
        if self._overflow is Overflow.DROP_NEWEST:
            self._add_gap(self._dropped_as_gap(event))
        else:
            self._drop_oldest()
            self._items.append(event)

    def _dropped_as_gap(self, event: Event[T]) -> Event[T]:
        if self.on_drop is not None:
            self.on_drop(event)
        return missed_by(event, detail=f"the consumer fell {self._maxsize} events behind")

    def _drop_oldest(self) -> None:
        items = self._items
        before = items.popleft() if items[0].gap is not None else None
        gap = self._dropped_as_gap(items.popleft())
        if before is not None:
            gap = merge(before, gap)
        if items and items[0].gap is not None:
            gap = merge(gap, items.popleft())
        items.appendleft(gap)

    # --- pending gaps: there are none, because gaps always fit ---

    @property
    def unflushed(self) -> int:
        """Return 0."""
        return 0

    def flush(self) -> bool:
        """Return True."""
        return True

    def wait_flushed(self, deadline: float) -> bool:  # noqa: ARG002
        """Return True at once: buffered events can still be taken."""
        return True

    # --- the end ---

    def stop_accepting(self) -> None:
        """Accept nothing more; buffered events can still be taken.

        Any thread, signal handlers included.
        """
        self._open = False
        self._condition.wake()

    def end(self, last: Event[T]) -> bool:
        """Accept nothing more but *last*, which follows the buffered events.

        Returns False when it was closed before.
        """
        with self._lock:
            accepts, self._open = self._open, False
            if accepts:
                self._items.append(last)
        self._condition.wake()
        return accepts

    def discard(self) -> int:
        """Drop the buffered events; return their number, gaps included.

        Any thread.
        """
        with self._lock:
            self._open = False
            lost, self.size = len(self._items), 0
            self._items.clear()
        self._condition.wake()
        return lost

    # --- the consumers' side: any thread ---

    def take(self, timeout: float | None = None) -> Event[T] | None:
        """Return the next event.

        Returns None at the end, or when *timeout* (in seconds; None: no limit) passes
        first.
        """
        event = self._pop()
        if event is not None:
            return event
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_spent and self._condition.wait(self._may_have_changed, deadline):
            if (event := self._pop()) is not None:
                return event
        return None

    def _pop(self) -> Event[T] | None:
        with self._lock:
            if not self._items:
                return None
            # Count before taking: Ctrl-C in between leaves a hole in the numbers, never
            # a loss without a hole.
            counts = self.counts
            counts.delivered = index = counts.delivered + 1
            event = self._items.popleft()
            if event.gap is None:
                self.size -= 1
            else:
                counts.count_gap(event.gap)
            set_index(event, index)
            return event

    def _may_have_changed(self) -> bool:
        return bool(self._items) or not self._open

    @property
    def is_spent(self) -> bool:
        """Return whether nothing is left and nothing more can come."""
        return not self._open and not self._items


def _is_end(event: Event[Any]) -> bool:
    return event.gap is not None and event.gap.reason is GapReason.ENDED
