"""Events of REST and outages, by hand."""

from __future__ import annotations

from typing import Any

from bybit_sync.account.reducer import Reducer
from bybit_sync.model.events import Event, Gap, GapReason, Source, Stream, new_event
from tests.recovery.rows import at, ns

__all__ = ["make", "mended", "snapshot", "window"]

LISTED = (Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES)


def window(reason: GapReason, since: float, until: float, **fields: Any) -> Gap:
    """Return a gap."""
    return Gap(reason=reason, since=at(since), until=at(until), detail="lost", **fields)


def snapshot(stream: Stream, *rows: Any, seconds: float = 0.0, **fields: Any) -> Event[Any]:
    """Return the snapshot of *rows*, all that there is."""
    return _read(stream, rows, seconds, snapshot=True, **fields)


def mended(stream: Stream, recovered: Gap, *rows: Any, **fields: Any) -> Event[Any]:
    """Return the event that mends *recovered*; a snapshot, where the stream has them."""
    return _read(stream, rows, 0.0, snapshot=stream in LISTED, recovered=recovered, **fields)


def _read(stream: Stream, rows: tuple[Any, ...], seconds: float, **fields: Any) -> Event[Any]:
    return new_event(stream, "", at(seconds), ns(seconds), rows, created_at=at(seconds), source=Source.REST, **fields)


def make(*events: Event[Any], **options: Any) -> Reducer:
    """Return the state after the first snapshots, without a row, and *events*."""
    reducer = Reducer(Stream, **options)
    for event in (*map(snapshot, LISTED), *events):
        reducer.take(event)
    return reducer
