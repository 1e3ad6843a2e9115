"""The open gaps of one subscription."""

from __future__ import annotations

from typing import Any, Final

import attrs

from bybit_sync.delivery.gaps import merge, with_gap
from bybit_sync.model.events import Event, Gap, GapReason

__all__ = ["UNDECODABLE_EVERY", "Windows"]

UNDECODABLE_EVERY: Final = 60.0
"""The seconds between two reads that only undecodable rows cause."""
_NEVER: Final = float("inf")
_NOW: Final = float("-inf")


class Windows:
    """The gap that is being mended, and the gaps that wait.

    A gap is kept as the event that reports it.
    """

    def __init__(self) -> None:
        self._current: Event[Any] | None = None
        # They came during the read of the current one, whose answer may not cover them.
        self._later: Event[Any] | None = None
        # They could not be mended, and wait for the next outage.
        self._unmended: Event[Any] | None = None
        # The consumer was too slow; they wait for `refresh`.
        self._overflown: Event[Any] | None = None
        self.is_told: bool = False
        """True when the consumer knows the current gap, or a part of it."""
        self.wants_snapshot: bool = False
        """True when `refresh` was called."""
        self.is_asked: bool = False
        """True while a read for all of it runs."""
        self.lags: bool = False
        """True while REST contradicts itself, and will be read again."""
        self._undecodable_at = _NOW

    @property
    def gap(self) -> Gap | None:
        """Return the gap that is being mended; None when there is none."""
        return self._current.gap if self._current is not None else None

    # --- gaps ---

    def open(self, event: Event[Any]) -> None:
        """Add *event*, an outage, and the gaps that waited for one."""
        for earlier in (self._unmended, self._later):
            event = _merged(earlier, event)
        self._unmended = self._later = None
        self.is_told = False
        self._add(event)

    def join(self, event: Event[Any], *, is_holding: bool) -> None:
        """Add *event*, which the consumer knows: now, or after the current read.

        With *is_holding* now, so that one answer mends both.
        """
        if self.is_asked and not is_holding:
            self._later = _merged(self._later, event)
        else:
            self.is_told = True
            self._add(event)

    def _add(self, event: Event[Any]) -> None:
        self._current = _merged(self._current, event)
        # The answer to the current read does not cover it.
        self.is_asked = False

    def lost(self, event: Event[Any]) -> None:
        """Add *event*, the gap for events for which the consumer had no room."""
        if event.gap is not None and event.gap.reason is GapReason.OVERFLOW:
            self._overflown = _merged(self._overflown, event)
        else:
            self.fail(event)

    def fail(self, event: Event[Any]) -> None:
        """Add *event*, a gap that cannot be mended now; the next outage retries it."""
        self._unmended = _merged(self._unmended, event)

    def refresh(self, *, is_state: bool) -> None:
        """Mend all open gaps; with *is_state*, read a snapshot in any case."""
        waiting = [event for event in (self._unmended, self._overflown) if event is not None]
        self._unmended = self._overflown = None
        for event in waiting:
            self.is_told = True
            self._add(event)
        # Whatever waits for its minute is read now.
        self._undecodable_at = _NOW
        if is_state:
            self.wants_snapshot, self.is_asked = True, False

    # --- reporting and mending ---

    def tell(self, *, recovering: bool, detail: str = "") -> Event[Any] | None:
        """Return the event that reports the current gap, which then counts as told.

        Returns None when there is none.
        """
        window, gap = self._current, self.gap
        if window is None or gap is None:
            return None
        text = f"{gap.detail}; {detail}" if detail else gap.detail
        self._current = with_gap(window, attrs.evolve(gap, recovering=recovering, detail=text), raw=b"")
        self.is_told = True
        return self._current

    def close(self) -> None:
        """Note that the current gap is mended, or cannot be mended now.

        Continues with the gaps that came during its read.
        """
        self._current, self._later = self._later, None
        self.is_told = self._current is not None
        self.is_asked = self.wants_snapshot = False

    def give_up(self) -> None:
        """Note that the current gap cannot be mended now."""
        if self._current is not None:
            self.fail(self._current)
        self.close()

    @property
    def has_waiting(self) -> bool:
        """Return whether gaps wait that are to be read from their own beginning."""
        return self._unmended is not None or self._overflown is not None

    @property
    def are_mended(self) -> bool:
        """Return whether no gap waits."""
        return not (self._current or self._later or self._unmended or self._overflown)

    @property
    def are_known(self) -> bool:
        """Return whether nothing is missing of what was read. Any thread."""
        return not (self.lags or self._current or self._later or self._unmended or self._overflown)

    # --- reads ---

    def read_due(self) -> float:
        """Return when the gap is to be read, in monotonic seconds.

        Returns infinity when there is none, or while a read runs.
        """
        if self.is_asked or (self._current is None and not self.wants_snapshot):
            return _NEVER
        return self._undecodable_at + UNDECODABLE_EVERY if self._is_minor() else _NOW

    def asked(self, now: float) -> None:
        """Note that a read for all of it runs since *now*."""
        self.is_asked = True
        if self._is_minor():
            self._undecodable_at = now

    def _is_minor(self) -> bool:
        return self.gap is not None and self.gap.reason is GapReason.UNDECODABLE and not self.wants_snapshot


def _merged(first: Event[Any] | None, second: Event[Any]) -> Event[Any]:
    return second if first is None else merge(first, second)
