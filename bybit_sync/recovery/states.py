"""The orders or positions that a subscription has received.

It never gets an older row after a newer one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from bybit_sync.model.events import Event, Gap, GapReason
from bybit_sync.recovery.memory import FILTERED_NS, REMEMBERED, Merged, with_rows
from bybit_sync.recovery.precedence import Rules, Version, is_older
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["MOST_OPEN", "StateMemory"]

MOST_OPEN: Final = 100_000
"""The most open rows that are remembered: Bybit allows 500 orders for a symbol."""


class StateMemory:
    """The open rows as last delivered, and the versions of the ended ones."""

    is_state: bool = True

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._begins: datetime | None = None
        self._open: dict[Any, Any] = {}
        # The latest 10,000, the oldest first.
        self._ended: dict[Any, Any] = {}
        # The rows of REST that were delivered: older pushes are left out until then
        # (ns).
        self._listed: dict[Any, Version] = {}
        self._listed_until = 0
        # The rows that were open when the current read was requested.
        self._asked: dict[Any, Any] = {}
        self._unresolved: tuple[str, ...] = ()
        # An event was dropped: its consumer needs the next snapshot in any case.
        self._dropped = False

    # --- pushes ---

    def admit(self, event: Event[Any]) -> Event[Any] | None:
        """Return *event* without the rows that are older than a delivered row of REST.

        Returns None when no row is left.
        """
        if self._listed:
            rows = self._not_older(event)
            if len(rows) != len(event.data):
                if not rows:
                    return None
                event = with_rows(event, rows)
        self._note(event.data)
        return event

    def _not_older(self, event: Event[Any]) -> tuple[Any, ...]:
        if event.received_ns > self._listed_until:
            self._listed.clear()
        key, version, listed = self._rules.key, self._rules.version, self._listed
        return tuple(row for row in event.data if key(row) not in listed or not is_older(version(row), listed[key(row)]))

    def _note(self, rows: Iterable[Any]) -> None:
        key_of, is_open, ended = self._rules.key, self._rules.is_open, self._ended
        for row in rows:
            key = key_of(row)
            if is_open(row):
                self._open[key] = row
                if key in ended:
                    del ended[key]
            else:
                self._open.pop(key, None)
                ended[key] = self._rules.stamp(row)
        # Remove half at a time: finding the first key after many deletions is slow.
        if len(ended) > 2 * REMEMBERED:
            self._ended = dict(list(ended.items())[REMEMBERED:])
        if len(self._open) > MOST_OPEN:
            self._open = dict(list(self._open.items())[MOST_OPEN // 2 :])

    def forget(self, event: Event[Any]) -> None:  # noqa: ARG002
        """Note that an event was dropped: the next snapshot is news."""
        self._dropped = True

    # --- reads ---

    def known(self) -> tuple[Known, ...]:
        """Return the open rows, and remember them as those of the request."""
        self._asked = dict(self._open)
        return tuple(dict.fromkeys(map(self._rules.known, self._open.values())))

    def begin(self, at: datetime) -> datetime:
        """Return *at*, the time of the confirmation: it begins with a snapshot."""
        self._begins = at
        return at

    def since(self, gap: Gap, overlap: timedelta) -> datetime | None:
        """Return the time from which to read ended orders, and fills for positions.

        Returns None at the start.
        """
        if gap.reason is GapReason.START:
            return None
        since = gap.since - overlap
        return since if self._begins is None else max(since, self._begins)

    def keep(self, gap: Gap, overlap: timedelta, now_ns: int) -> None:
        """Do nothing: all open rows are kept."""

    def release(self) -> None:
        """Do nothing."""

    def merge(self, answered: Answered, held: Iterable[Event[Any]], now_ns: int) -> Merged:
        """Return the rows of *answered*, or newer delivered ones, and open rows."""
        rules, rows, is_news = self._rules, {}, self._dropped
        for row in answered.rows:
            key, last = rules.key(row), self._last(rules.key(row))
            if not rules.is_open(row) and key not in self._open and self._ended_before(row):
                continue
            if last is None or is_older(last, rules.version(row)):
                rows[key], is_news = row, True
            elif key in self._open:
                # The push is as new, or newer: it has precedence.
                rows[key] = self._open[key]
        unresolved = self._add_unlisted(rows, answered, held)
        is_news = is_news or unresolved != self._unresolved or any(key not in rows for key in self._open)
        self._delivered(rows, unresolved, now_ns)
        return Merged(tuple(rows.values()), is_news, unresolved)

    def _ended_before(self, row: Any) -> bool:
        """Return whether *row*, which was not open, is no news.

        Such as the other leg of a position, and an order that ended before the
        beginning: a subscription that began earlier had it read.
        """
        is_early = self._begins is not None and row.updated_time is not None and row.updated_time < self._begins
        return not self._rules.has_history or is_early

    def _last(self, key: Any) -> Version | None:
        row = self._open.get(key)
        if row is not None:
            return self._rules.version(row)
        return self._rules.ended(self._ended[key]) if key in self._ended else None

    def _add_unlisted(self, rows: dict[Any, Any], answered: Answered, held: Iterable[Event[Any]]) -> tuple[str, ...]:
        """Add to *rows* the open rows that are not listed.

        Returns the ids of orders that no answer contains. A row that changed since the
        request is newer than the answer. A position that is not listed is flat, unless
        it could not be read.
        """
        pushed = {self._rules.key(row) for event in held for row in event.data}
        unresolved: list[str] = []
        for key, row in self._open.items():
            if key in rows:
                continue
            if self._asked.get(key) is not row or key in pushed:
                rows[key] = row
            elif self._rules.has_history:
                rows[key] = row
                unresolved.append(self._rules.known(row).id)
            elif answered.refused or answered.unreadable:
                rows[key] = row
        return tuple(unresolved)

    def _delivered(self, rows: dict[Any, Any], unresolved: tuple[str, ...], now_ns: int) -> None:
        """Note that *rows* are the state of now."""
        before = self._open
        self._open, self._unresolved, self._dropped = {}, unresolved, False
        for key, row in before.items():
            if key not in rows:
                self._ended[key] = self._rules.stamp(row)
        self._note(rows.values())
        self._listed.update((key, self._rules.version(row)) for key, row in rows.items() if before.get(key) is not row)
        self._listed_until = now_ns + FILTERED_NS
