"""Decide up to which instant a journal has every execution. Pure.

`Progress` is the state of a journal; `after` returns the state after one more event. An
instant is complete when every execution up to it is booked:

* A **push** proves the time at which the exchange made it. A stream is in order, so
  every earlier push has arrived, or a gap was delivered before it.
* A **recovered event** proves the end of its window, and closes the gaps that lie in
  it. Its pushes wait behind it, so nothing between is missing.
* **Rows of the start** prove nothing: more of them may follow. The first push does,
  because pushes wait for the start, or for the gap that replaces it.
* A **gap** stays until it is mended, and nothing behind its beginning is complete. The
  library does not mend OVERFLOW by itself, because it had received the dropped events.
* A **hole in `Event.index`** is an event that never arrived here: the disk failed, or
  the code in between dropped it. Only the next start reads it again.
* A **start for which `complete_until` was not read** cannot have it as ``since=``: the
  time between is missing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from bybit_sync.model.enums import TextEnum
from bybit_sync.model.events import Event, Gap, GapReason, Source

__all__ = ["MARGIN", "MOST", "Cause", "OpenGap", "Progress", "after"]

MARGIN: Final = timedelta(seconds=60)
"""The time within which an execution is pushed, and listed by REST."""
MOST: Final = 1_000
"""Open gaps that are kept apart; further ones are joined to the oldest."""


class Cause(TextEnum):
    """The origin of an open gap, which decides what closes it."""

    TOLD = "told"
    """The current subscription delivered it: an event that recovers its window closes
    it.
    """
    EARLIER = "earlier"
    """It is older than the current subscription, whose start reads the missing rows."""
    OWN = "own"
    """The journal lacks it, not the subscription: only the next start closes it."""


@attrs.frozen
class OpenGap:
    """A gap that is not closed yet."""

    gap: Gap
    cause: Cause = Cause.EARLIER


@attrs.frozen
class Progress:
    """The state of a journal: the proven time, and the open gaps.

    Attributes:
        created: Time at which the file was made, by our clock: used when nothing is
            proven.
        proven: The last instant that an event proved, in exchange time.
        gaps: The gaps that are open.
        index: Number of the last event of the current subscription; not stored.
        starting: Whether its start may not have been read to the end; not stored.
    """

    created: datetime
    proven: datetime | None = None
    gaps: tuple[OpenGap, ...] = ()
    index: int = 0
    starting: bool = False

    @property
    def complete(self) -> datetime:
        """The last complete instant: no gap is before it."""
        return min([self.proven or self.created, *(each.gap.since for each in self.gaps)])


def after(progress: Progress, event: Event[Any], *, asked: bool) -> Progress:
    """Return *progress* after *event*.

    *asked* is True when `complete_until` was read since the last start; else the
    current start did not use it.
    """
    progress = _numbered(progress, event, asked=asked)
    if event.gap is not None:
        return _told(progress, event.gap)
    if event.recovered is not None:
        return _recovered(progress, event, event.recovered)
    if event.source == Source.STREAM:
        return _proven(_started(progress), event, event.created_at)
    return progress


# --- the numbers of events ---


def _numbered(progress: Progress, event: Event[Any], *, asked: bool) -> Progress:
    """Return *progress* with the number of *event*.

    It is the next one, the first one of a subscription, or one behind a hole.
    """
    if event.index == progress.index + 1 > 1:
        return attrs.evolve(progress, index=event.index)
    if event.index == 1:
        return _start(progress, event, asked=asked)
    detail = f"event {event.index} came after event {progress.index}: what lies between was not booked"
    return _lost(progress, event, GapReason.OVERFLOW, detail)


def _start(progress: Progress, event: Event[Any], *, asked: bool) -> Progress:
    earlier = tuple(attrs.evolve(each, cause=Cause.EARLIER) for each in progress.gaps)
    progress = attrs.evolve(progress, gaps=earlier, starting=asked)
    if asked:
        return attrs.evolve(progress, index=1)
    return _lost(progress, event, GapReason.START, "subscribed without since=journal.complete_until")


def _lost(progress: Progress, event: Event[Any], reason: GapReason, detail: str) -> Progress:
    """Return *progress* with a gap of the journal's own up to *event*.

    It replaces an existing one, because its window begins at the same instant.
    """
    since = progress.complete
    gap = Gap(reason=reason, since=since, until=max(since, _instant(event, event.created_at)), detail=detail)
    others = [each for each in progress.gaps if each.cause != Cause.OWN]
    return attrs.evolve(progress, gaps=(*others, OpenGap(gap, Cause.OWN)), index=event.index)


# --- the content of events ---


def _told(progress: Progress, gap: Gap) -> Progress:
    """Return *progress* with *gap* open.

    It replaces one with the same window: a gap is delivered again when it cannot be
    recovered.
    """
    same = (Cause.TOLD, gap.reason, gap.since, gap.until)
    others = [e for e in progress.gaps if (e.cause, e.gap.reason, e.gap.since, e.gap.until) != same]
    return attrs.evolve(progress, gaps=_bounded([*others, OpenGap(gap, Cause.TOLD)]))


def _recovered(progress: Progress, event: Event[Any], window: Gap) -> Progress:
    progress = _started(progress)
    left = tuple(each for each in progress.gaps if not _mends(window, each))
    return _proven(attrs.evolve(progress, gaps=left), event, window.until)


def _mends(window: Gap, each: OpenGap) -> bool:
    """Return whether an event that recovers *window* closes the gap *each*."""
    inside = window.since <= each.gap.since and each.gap.until <= window.until
    return (
        inside and each.cause == Cause.TOLD and (each.gap.reason != GapReason.OVERFLOW or window.reason == GapReason.OVERFLOW)
    )


def _started(progress: Progress) -> Progress:
    """Return *progress* when the start has been read.

    The start contained all missing rows of earlier gaps.
    """
    if not progress.starting:
        return progress
    left = tuple(each for each in progress.gaps if each.cause != Cause.EARLIER)
    return attrs.evolve(progress, gaps=left, starting=False)


def _proven(progress: Progress, event: Event[Any], instant: datetime | None) -> Progress:
    if instant is None:
        return progress
    instant = _instant(event, instant)
    return attrs.evolve(progress, proven=max(progress.proven or instant, instant))


def _instant(event: Event[Any], instant: datetime | None) -> datetime:
    """Return *instant*, or the time at which *event* was read if that is earlier.

    A time in the future proves nothing.
    """
    return min(instant or event.received_at, event.received_at)


def _bounded(gaps: list[OpenGap]) -> tuple[OpenGap, ...]:
    """Return *gaps*, the first two joined as long as there are more than `MOST`.

    Only a start closes a gap over the windows of both.
    """
    while len(gaps) > MOST:
        first, second, *others = gaps
        since, until = min(first.gap.since, second.gap.since), max(first.gap.until, second.gap.until)
        joined = attrs.evolve(second.gap, since=since, until=until, missed=None, recovering=False)
        gaps = [attrs.evolve(first, gap=joined, cause=Cause.OWN), *others]
    return tuple(gaps)
