"""The fills that a subscription has received: each is delivered once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Final

from bybit_sync.model.events import Event, Gap
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.memory import REMEMBERED, Merged, with_rows
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["TradeMemory"]

Trade = UserTradeUpdate
Key = tuple[object, str]

_REMEMBERED_NS: Final = 600 * 10**9
_REMEMBERED: Final = timedelta(seconds=600)
_MOST_DROPPED: Final = 100_000
_LONG_AGO: Final = datetime.min.replace(tzinfo=timezone.utc)


class TradeMemory:
    """The keys of the delivered fills, for 10 minutes and at least 10,000 of them.

    They are kept in two generations: when the younger one is old and large enough, it
    replaces the older one. A read returns again the fills around a gap, and all fills
    since then: only fills inside a gap are taken from it, and the keys around a gap
    stay as long as it is open.
    """

    is_state: bool = False

    def __init__(self, since: datetime | None = None) -> None:
        self._given = since
        # Older fills are not delivered.
        self._begins = since or _LONG_AGO
        self._young: dict[Key, datetime | None] = {}
        self._old: dict[Key, datetime | None] = {}
        self._born_ns = 0
        # The times of open gaps, and the keys that were delivered there.
        self._spans: list[tuple[datetime, datetime]] = []
        self._pinned: set[Key] = set()
        self._pin_until: datetime | None = None
        # The keys of fills for which their consumer had no room.
        self._dropped: set[Key] = set()

    # --- pushes ---

    def admit(self, event: Event[Trade]) -> Event[Trade] | None:
        """Return *event* without the delivered fills; None when no fill is left."""
        new = []
        for row in event.data:
            key = (row.category, row.exec_id)
            if not self._is_known(key):
                self._young[key] = row.exec_time
                new.append(row)
        if len(self._young) >= REMEMBERED:
            self._grow_old(event.received_ns)
        if self._pin_until is not None:
            self._pin(new, self._pin_until)
        if len(new) == len(event.data):
            return event
        return with_rows(event, tuple(new)) if new else None

    def _is_known(self, key: Key) -> bool:
        return key in self._young or key in self._old or key in self._pinned

    def _grow_old(self, now_ns: int) -> None:
        if now_ns - self._born_ns >= _REMEMBERED_NS:
            self._old, self._young, self._born_ns = self._young, {}, now_ns

    def _pin(self, rows: Iterable[Trade], until: datetime) -> None:
        self._pinned.update(_key(row) for row in rows if row.exec_time is None or row.exec_time <= until)

    def forget(self, event: Event[Trade]) -> None:
        """Note that the fills of *event* were dropped: a read may return them again."""
        for row in event.data:
            key = _key(row)
            self._young.pop(key, None)
            self._old.pop(key, None)
            self._pinned.discard(key)
            # At the limit the oldest gaps are mended with the keys that are left.
            if len(self._dropped) < _MOST_DROPPED:
                self._dropped.add(key)

    # --- reads ---

    def begin(self, at: datetime) -> datetime | None:
        """Deliver nothing from before the given time, or without one from before *at*.

        Without one, nothing is read.
        """
        self._begins = self._given or at
        return self._given

    def known(self) -> tuple[Known, ...]:
        """Return nothing: the answer for a window is complete."""
        return ()

    def since(self, gap: Gap, overlap: timedelta) -> datetime:
        """Return the time from which to read for *gap*, not before the beginning."""
        return max(gap.since - overlap, self._begins)

    def keep(self, gap: Gap, overlap: timedelta) -> None:
        """Keep the keys around *gap* until `release`."""
        since, until = gap.since - overlap, gap.until + overlap
        is_pinned = self._pin_until is not None and self._spans[-1][0] <= since and until <= self._pin_until
        if not is_pinned:
            # Later keys are kept as they come, a while longer than needed: a gap that
            # follows soon has its keys already.
            for generation in (self._young, self._old):
                self._pinned.update(key for key, at in generation.items() if at is None or at >= since)
            self._pin_until = until + _REMEMBERED
        if self._spans and self._spans[-1][0] <= since <= self._spans[-1][1]:
            since, until = self._spans[-1][0], max(self._spans.pop()[1], until)
        self._spans.append((since, until))

    def release(self) -> None:
        """Note that every gap is mended."""
        self._pinned, self._spans, self._pin_until = set(), [], None

    def merge(self, answered: Answered, held: Iterable[Event[Trade]], now_ns: int) -> Merged:  # noqa: ARG002
        """Return the fills of *answered* that were neither delivered nor are *held*."""
        pushed = {_key(row) for event in held for row in event.data}
        rows = tuple(row for row in answered.rows if self._is_missing(row) and _key(row) not in pushed)
        for row in rows:
            self._young[_key(row)] = row.exec_time
            self._pinned.add(_key(row))
            self._dropped.discard(_key(row))
        return Merged(rows, is_news=bool(rows))

    def _is_missing(self, row: Trade) -> bool:
        key, at = _key(row), row.exec_time
        if key in self._dropped:
            return True
        if self._is_known(key) or (at is not None and at < self._begins):
            return False
        return at is None or any(since <= at <= until for since, until in self._spans)


def _key(row: Trade) -> Key:
    return row.category, row.exec_id
