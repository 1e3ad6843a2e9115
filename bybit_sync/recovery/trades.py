"""The fills that a subscription has received: each is delivered once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Final

from bybit_sync.model.enums import Category
from bybit_sync.model.events import Event, Gap
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.fill_keys import FillKeys
from bybit_sync.recovery.memory import REMEMBERED, Merged, with_rows
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["TradeMemory"]

Trade = UserTradeUpdate
Key = tuple[Category | None, str]

_MOST_DROPPED: Final = 100_000
_LONG_AGO: Final = datetime.min.replace(tzinfo=timezone.utc)


class TradeMemory:
    """The fills that were delivered, by category and name.

    A read returns again the fills around a gap, and all fills since then: only fills
    inside a gap are taken from it, and the names around a gap are kept as long as it is
    open.
    """

    is_state: bool = False

    def __init__(self, since: datetime | None = None) -> None:
        self._given = since
        # Older fills are not delivered.
        self._begins = since or _LONG_AGO
        self._keys: defaultdict[Category | None, FillKeys] = defaultdict(FillKeys)
        # The times of open gaps, and until when (ns) new names are kept for them.
        self._spans: list[tuple[datetime, datetime]] = []
        self._pin_until_ns = 0
        # The keys of fills for which their consumer had no room.
        self._dropped: set[Key] = set()

    # --- pushes ---

    def admit(self, event: Event[Trade]) -> Event[Trade] | None:
        """Return *event* without the fills that were delivered before.

        Returns None when none is left.
        """
        # With calls it would cost each push twice as much.
        for at, row in enumerate(event.data):
            keys, name = self._keys[row.category], row.exec_id
            before = len(keys.young)
            keys.young.add(name)
            if name in keys.old or len(keys.young) == before:
                return self._without_known(event, at)
            if before >= REMEMBERED and event.received_ns >= keys.ages_at_ns:
                self._age(keys, event.received_ns)
        return event

    def _without_known(self, event: Event[Trade], at: int) -> Event[Trade] | None:
        """Return *event* without its known fills, which begin *at* that row."""
        rows = event.data[:at] + tuple(filter(self._is_new, event.data[at + 1 :]))
        return with_rows(event, rows) if rows else None

    def _is_new(self, row: Trade) -> bool:
        """Return whether *row* was not delivered before; from now on it was."""
        keys = self._keys[row.category]
        is_new = row.exec_id not in keys
        keys.young.add(row.exec_id)
        return is_new

    def _age(self, keys: FillKeys, now_ns: int) -> None:
        keys.age(now_ns)
        if now_ns <= self._pin_until_ns:
            keys.pin()

    def forget(self, event: Event[Trade]) -> None:
        """Note that the fills of *event* were dropped: a read may return them again."""
        for row in event.data:
            self._keys[row.category].forget(row.exec_id)
            if len(self._dropped) < _MOST_DROPPED:
                self._dropped.add(_key(row))
            elif row.exec_time is not None:
                # Too many to know each: what was delivered around it may come twice.
                self._cover(row.exec_time, row.exec_time)

    # --- reads ---

    def begin(self, at: datetime) -> datetime | None:
        """Deliver nothing from before the given time, or without one from before *at*.

        Without one, nothing is read. One that is still to come counts as *at*: the
        fills until then are pushed, so they are not left out of an outage either.
        """
        self._begins = min(self._given or at, at)
        return self._begins if self._given else None

    def known(self) -> tuple[Known, ...]:
        """Return nothing: the answer for a window is complete."""
        return ()

    def since(self, gap: Gap, overlap: timedelta) -> datetime:
        """Return the time from which to read for *gap*, not before the beginning."""
        return max(gap.since - overlap, self._begins)

    def keep(self, gap: Gap, overlap: timedelta, now_ns: int) -> None:
        """Take fills from reads for *gap*, and keep the names around it.

        Both end with `release`.
        """
        since, until = gap.since - overlap, gap.until + overlap
        for keys in self._keys.values():
            keys.pin()
        self._pin_until_ns = now_ns + _nanoseconds(overlap)
        self._cover(since, until)

    def _cover(self, since: datetime, until: datetime) -> None:
        """Take fills of that time from reads.

        A time that overlaps the last one widens it.
        """
        if self._spans and self._spans[-1][0] <= until and since <= self._spans[-1][1]:
            first, last = self._spans.pop()
            since, until = min(first, since), max(last, until)
        self._spans.append((since, until))

    def release(self) -> None:
        """Note that every gap is mended."""
        self._spans, self._pin_until_ns = [], 0
        for keys in self._keys.values():
            keys.unpin()

    def merge(self, answered: Answered, held: Iterable[Event[Trade]], now_ns: int) -> Merged:  # noqa: ARG002
        """Return the fills of *answered* that were neither delivered nor are *held*."""
        pushed = {_key(row) for event in held for row in event.data}
        rows = tuple(row for row in answered.rows if self._is_missing(row) and _key(row) not in pushed)
        for row in rows:
            self._is_new(row)
            self._dropped.discard(_key(row))
        return Merged(rows, is_news=bool(rows))

    def _is_missing(self, row: Trade) -> bool:
        if _key(row) in self._dropped:
            return True
        at = row.exec_time
        if row.exec_id in self._keys[row.category] or (at is not None and at < self._begins):
            return False
        return at is None or any(since <= at <= until for since, until in self._spans)


def _key(row: Trade) -> Key:
    return row.category, row.exec_id


def _nanoseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1_000
