"""The time over which a subscription is known to have missed nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.gaps import with_gap
from bybit_sync.model.events import Event, Gap

__all__ = ["CompleteWindow"]


class CompleteWindow:
    """The exchange's time from the subscribe to the last data that was read.

    Only the connection thread. Times of the exchange are computed as late as possible,
    because each pong makes its clock more exact.
    """

    def __init__(self) -> None:
        # The moment of the last subscribe.
        self._asked: Moment | None = None
        # The data that was read since then. None while nothing can be missing: a
        # confirmation then needs no gap.
        self._coverage: Coverage | None = None

    @property
    def is_begun(self) -> bool:
        """Return whether updates may be missing.

        The stream was confirmed before, or pushes were not delivered.
        """
        return self._coverage is not None

    def begin(self, asked: Moment, coverage: Coverage) -> None:
        """Start again at *asked*; *coverage* then measures what was read."""
        self._asked, self._coverage = asked, coverage

    def uncover(self, asked: Moment, clock: ExchangeClock, *, is_live: bool) -> None:
        """Empty the window: pushes since *asked*, the subscribe, are not delivered.

        A stream that was never confirmed gets an empty window, at *asked*. The window
        of a STALE stream ended before, and stays.
        """
        if self._coverage is None:
            self._asked = asked
        if self._coverage is None or is_live:
            self._coverage = Coverage(clock)

    def freeze(self) -> None:
        """Stop counting: later data does not extend the window."""
        # Copy it, because the connection goes on changing its own.
        if self._coverage is not None:
            self._coverage = evolve(self._coverage)

    def began(self) -> datetime | None:
        """Return the exchange's time of the last subscribe, as known by now.

        Returns None before a confirmation.
        """
        return self._coverage.clock.earliest(self._asked) if self._coverage and self._asked else None

    def complete_until(self) -> datetime | None:
        """Return the exchange's time up to which nothing is missing, as known by now.

        Returns None before a confirmation.
        """
        began, read = self.began(), self._coverage.complete_until() if self._coverage else None
        return max(began, read) if began is not None and read is not None else began

    def proven_until(self) -> datetime | None:
        """Return the time of the last pong, else `complete_until`. Any thread.

        It costs little: nothing is computed from the clock.
        """
        coverage = self._coverage
        return (coverage.told if coverage is not None else None) or self.complete_until()

    def clip(self, event: Event[Any], gap: Gap) -> Event[Any]:
        """Return *event* with *gap*, cut at the beginning of the window."""
        began = self.began()
        if began is None or gap.since >= began:
            return event
        return with_gap(event, evolve(gap, since=min(began, gap.until)), raw=event.raw)
