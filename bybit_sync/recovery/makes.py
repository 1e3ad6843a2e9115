"""The events that are made of an answer of REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from bybit_sync.clock import Moment
from bybit_sync.errors import ProtocolError
from bybit_sync.model.events import Event, Gap, GapReason, Source, Stream, new_event
from bybit_sync.recovery.memory import Merged
from bybit_sync.recovery.wants import Answered, Unreadable

__all__ = ["Maker"]

_FAULTS_TOLD: Final = 10


@frozen
class Maker:
    """Makes the events of one answer, delivered *now*."""

    stream: Stream
    client: str
    now: Moment
    epoch: int
    answered: Answered
    merged: Merged
    lacks: tuple[Unreadable, ...]

    def event(self, rows: tuple[Any, ...], recovered: Gap | None, *, snapshot: bool) -> Event[Any]:
        """Return the event with *rows*, which mends *recovered*."""
        return new_event(
            self.stream,
            "",
            self.now.utc,
            self.now.ns,
            rows,
            created_at=self.answered.at,
            client=self.client,
            epoch=self.epoch,
            source=Source.REST,
            snapshot=snapshot,
            recovered=recovered,
            unresolved=self.merged.unresolved,
        )

    def gap(self, window: Gap | None, detail: str) -> Event[Any]:
        """Return the gap for the part of *window* that the answer lacks."""
        reason, since, until = GapReason.START, self.answered.asked_at, self.answered.at
        if window is not None:
            reason, since, until = window.reason, window.since, window.until
        return self._told(Gap(reason=reason, since=since, until=until, detail=detail))

    def undecodable(self, window: Gap | None, rows: Sequence[Unreadable]) -> Event[Any]:
        """Return the gap for *rows* of REST that cannot be read."""
        detail = "; ".join(f"{row.path}: {row.detail}" for row in rows[:_FAULTS_TOLD])
        since = self.answered.asked_at if window is None else window.since
        gap = Gap(
            reason=GapReason.UNDECODABLE,
            since=since,
            until=max(since, self.answered.at),
            missed=len(rows),
            detail=detail,
            error=ProtocolError(f"a row of REST cannot be read: {detail}"),
        )
        return self._told(gap)

    def _told(self, gap: Gap) -> Event[Any]:
        return new_event(
            self.stream,
            "",
            self.now.utc,
            self.now.ns,
            gap=gap,
            client=self.client,
            epoch=self.epoch,
            source=Source.REST,
        )
