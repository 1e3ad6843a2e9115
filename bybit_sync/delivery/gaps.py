"""Gaps made from events that were dropped, and gaps merged from neighbours."""

from __future__ import annotations

from typing import Final, TypeVar

import attrs

from bybit_sync.model.events import Event, Gap, GapReason, Source, new_event
from bybit_sync.model.trades import UserTradeUpdate

__all__ = ["merge", "missed_by", "with_gap"]


T = TypeVar("T")


_WEIGHT: Final = {GapReason.OVERFLOW: 0, GapReason.UNDECODABLE: 1, GapReason.START: 2, GapReason.DISCONNECTED: 3}


def merge(first: Event[T], second: Event[T]) -> Event[T]:
    """Return one gap for two that follow each other.

    It has both windows, the sum of the missing events and the graver reason, and is
    `recovering` only if both are: the loss of the other is not read again.
    """
    a, b = first.gap, second.gap
    assert a is not None
    assert b is not None
    graver, gap = (first, a) if _WEIGHT[a.reason] > _WEIGHT[b.reason] else (second, b)
    missed = None if a.missed is None or b.missed is None else a.missed + b.missed
    since, until = min(a.since, b.since), max(a.until, b.until)
    gap = attrs.evolve(gap, since=since, until=until, missed=missed, recovering=a.recovering and b.recovering)
    return with_gap(graver, gap, raw=graver.raw)


def missed_by(event: Event[T], *, detail: str) -> Event[T]:
    """Return the gap that replaces *event*, which was dropped.

    An event that mends a gap turns back into that gap.
    """
    if event.recovered is not None:
        return with_gap(event, attrs.evolve(event.recovered, recovering=False), raw=b"")
    since = until = event.created_at or event.received_at
    reason = GapReason.OVERFLOW
    if event.source is Source.REST:
        reason = GapReason.START
        # Fills, the oldest first, are older than the answer that contains them.
        since = min([since, *(row.exec_time for row in event.data[:1] if isinstance(row, UserTradeUpdate) and row.exec_time)])
    return with_gap(event, Gap(reason=reason, since=since, until=until, missed=1, detail=detail), raw=b"")


def with_gap(event: Event[T], gap: Gap, *, raw: bytes) -> Event[T]:
    """Return a copy of *event* with *gap* and the frame *raw* instead of its data.

    The attributes about the data, `snapshot`, `recovered` and `unresolved`, go with it.
    """
    return new_event(
        stream=event.stream,
        topic=event.topic,
        gap=gap,
        received_at=event.received_at,
        received_ns=event.received_ns,
        raw=raw,
        client=event.client,
        epoch=event.epoch,
        source=event.source,
    )
