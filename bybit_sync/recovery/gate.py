"""The gate in front of a subscription's sink.

It holds events while a gap is being mended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bybit_sync.delivery.gaps import missed_by
from bybit_sync.delivery.sink import EventSink
from bybit_sync.model.events import Event
from bybit_sync.recovery.memory import Memory
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["MOST_HELD", "Gate"]

MOST_HELD: Final = 100_000
"""The most events that are held."""
_NEVER: Final = float("inf")


class Gate:
    """Passes events on to *inner*, or holds them, in order.

    The memory removes the rows that must not be delivered.

    Only the connection thread, unless a method says otherwise.
    """

    def __init__(self, inner: EventSink[Any], memory: Memory, on_lost: Callable[[Event[Any]], None]) -> None:
        self._inner = inner
        self._memory = memory
        self.admit: Callable[[Event[Any]], Event[Any] | None] = memory.admit
        """Returns a push without what must not be delivered.

        None when nothing is left.
        """
        self._on_lost = on_lost
        inner.on_drop = self._dropped
        self._condition = SignalSafeCondition()
        self.events: list[Event[Any]] = []
        """The events that are held."""
        self.is_holding: bool = False
        """True from before the first event is held until the last one was passed on."""
        self.is_closing: bool = False
        """True when no more events are accepted. Set by any thread."""
        self.lost_since: datetime | None = None
        """The time of the first event that the inner sink refused, and did not get."""
        self.opens_at: float = _NEVER
        """The time at which holding must end, in monotonic seconds."""

    def hold(self, until: float) -> None:
        """Hold events until `open`, *until* at the latest."""
        if not self.is_holding:
            self.opens_at = until
        self.is_holding = True

    @property
    def is_full(self) -> bool:
        """Return whether no further event can be held."""
        return len(self.events) >= MOST_HELD

    def open(self) -> None:
        """Pass on the held events, and from then on every new one.

        Raises the errors of the inner sink.
        """
        events, self.events = self.events, []
        try:
            for event in events:
                self.pass_on(event)
        finally:
            # Set before checking `is_closing`; a thread that closes sets that before
            # checking this: at least one side notices.
            self.is_holding, self.opens_at = False, _NEVER
            if self.is_closing:
                self._inner.stop_accepting()
            self._condition.wake()

    def pass_on(self, event: Event[Any]) -> None:
        """Pass *event* on, without the rows that must not be delivered."""
        admitted = self.admit(event) if event.gap is None else event
        if admitted is not None:
            self.put(admitted)

    def put(self, event: Event[Any]) -> None:
        """Pass *event* on as it is, before the held events.

        Raises the errors of the inner sink.
        """
        try:
            self._inner.put(event)
        except BaseException:
            self._refused(event)
            raise

    def _refused(self, event: Event[Any]) -> None:
        gap = event.gap or missed_by(event, detail="").gap
        assert gap is not None
        self.lost_since = gap.since if self.lost_since is None else min(self.lost_since, gap.since)

    def _dropped(self, event: Event[Any]) -> None:
        self._memory.forget(event)
        self._on_lost(missed_by(event, detail="the consumer was too slow"))

    def stop_accepting(self) -> None:
        """Accept nothing more. The connection thread passes the held events on later.

        Any thread.
        """
        self.is_closing = True
        if not self.is_holding:
            self._inner.stop_accepting()

    def discard(self) -> int:
        """Drop the held events, and return their number. Any thread."""
        self.is_closing = True
        events, self.events = self.events, []
        return len(events)

    def wait_open(self, deadline: float) -> bool:
        """Wait until no event is held. Returns False when *deadline* passes first.

        Any thread.
        """
        return self._condition.wait(lambda: not self.is_holding, deadline)
