"""The protocol of what takes events: buffer, adapter of a user's queue, recovery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from bybit_sync.delivery.counts import Counts
from bybit_sync.model.events import Event

__all__ = ["EventSink"]


T_contra = TypeVar("T_contra", contravariant=True)


class EventSink(Protocol[T_contra]):
    """A place where the connection thread puts events, in order and numbered."""

    on_drop: Callable[[Event[Any]], None] | None
    """Called with each dropped event, on the connection thread; None by default."""

    @property
    def gaps_may_wait(self) -> bool:
        """Return False when `flush` has nothing to do: every gap finds room."""

    @property
    def counts(self) -> Counts:
        """Return the counters of what it handed over, and dropped."""

    @property
    def overflowing(self) -> bool:
        """Return True if events were dropped lately."""

    def put(self, event: Event[T_contra]) -> None:
        """Add *event*, or apply the overflow policy. Only the connection thread."""

    def flush(self) -> bool:
        """Retry pending gaps; return True when none are left.

        Only the connection thread.
        """

    @property
    def size(self) -> int:
        """Return the number of events that wait in it. Any thread."""

    @property
    def unflushed(self) -> int:
        """Return the number of gaps that wait for room in a user's queue.

        Any thread.
        """

    def wait_flushed(self, deadline: float) -> bool:
        """Wait until no gap waits for room.

        Returns False when *deadline* passes first. Any thread.
        """

    def end(self, last: Event[T_contra]) -> bool:
        """Accept nothing more but *last*. Only the connection thread.

        Returns False when it was closed before: then it does not accept *last*.
        """

    def stop_accepting(self) -> None:
        """Accept nothing more; buffered events are still delivered.

        Any thread, signal handlers included.
        """

    def discard(self) -> int:
        """Drop the buffered events; return their number. Any thread."""
