"""The sink that mends gaps, in front of the buffer or the user's queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

import attrs

from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.gaps import with_gap
from bybit_sync.delivery.sink import EventSink
from bybit_sync.model.events import Event
from bybit_sync.recovery.mender import Mender

__all__ = ["RecoveringSink"]


class RecoveringSink:
    """Passes pushes on through a gate, and gives gaps to a mender.

    Only the connection thread uses it, unless a method says otherwise.
    """

    gaps_may_wait: bool = True
    on_drop: Callable[[Event[Any]], None] | None = None

    def __init__(self, inner: EventSink[Any], mender: Mender) -> None:
        self._inner = inner
        self.counts: Counts = inner.counts
        """The counters of what the inner sink handed over, and dropped."""
        self._gate = mender.gate
        # The two calls of nearly every push.
        self._admit = mender.gate.admit
        self._put = inner.put
        self.mender: Mender = mender
        """Mends the gaps; the coordinator passes it the answers."""

    def put(self, event: Event[Any]) -> None:
        """Pass *event* on, hold it, or have it mended if it is a gap.

        Raises the errors of the inner sink.
        """
        gap = event.gap
        if gap is not None:
            self.mender.gap(event, gap)
        elif self._gate.is_holding:
            self.mender.hold(event)
        elif (admitted := self._admit(event)) is not None:
            self._put(admitted)

    def flush(self) -> bool:
        """Pass on the held events after a close, and retry pending gaps.

        Returns True when none are left.
        """
        if self._gate.is_closing and self._gate.is_holding:
            self.mender.give_up()
        return self._inner.flush()

    def end(self, last: Event[Any]) -> bool:
        """Pass on the held events, and accept nothing more but *last*.

        Returns False when the inner sink was closed before.
        """
        try:
            if self._gate.is_holding:
                self.mender.give_up()
        except BaseException:  # noqa: BLE001, S110 - an inner sink that raises still gets its end
            pass
        self._gate.is_closing = True
        return self._inner.end(_from(self._gate.lost_since, last))

    def stop_accepting(self) -> None:
        """Accept nothing more; held and buffered events are still delivered.

        Any thread, signal handlers included.
        """
        self._gate.stop_accepting()

    def discard(self) -> int:
        """Drop the held and buffered events, and return their number.

        Any thread.
        """
        return self._gate.discard() + self._inner.discard()

    # --- any thread ---

    # Read with each push: a property of ours would be a call more.
    overflowing: property = property(attrgetter("_inner.overflowing"), doc="True if events were dropped lately.")

    @property
    def size(self) -> int:
        """Return the number of waiting events, held ones included."""
        return self._inner.size + len(self._gate.events)

    @property
    def unflushed(self) -> int:
        """Return the number of gaps that wait for room, +1 while events are held."""
        return self._inner.unflushed + (self._gate.is_closing and self._gate.is_holding)

    def wait_flushed(self, deadline: float) -> bool:
        """Wait until no event is held and no gap waits for room.

        Returns False when *deadline* passes first.
        """
        return self._gate.wait_open(deadline) and self._inner.wait_flushed(deadline)


def _from(lost_since: datetime | None, last: Event[Any]) -> Event[Any]:
    """Return *last* with a gap that begins at *lost_since*, if that is earlier."""
    gap = last.gap
    if gap is None or lost_since is None or lost_since >= gap.since:
        return last
    return with_gap(last, attrs.evolve(gap, since=lost_since), raw=last.raw)
