"""The validity of one stream's part of an account: what is missing, and until when.

Pure: each function returns the next validity.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import attrs

from bybit_sync.model.events import Event, Gap, GapReason, Source, Stream

__all__ = ["Validity", "after", "lost"]

_MOST_GAPS: Final = 100
_IDS_SHOWN: Final = 3


@attrs.frozen
class Validity:
    """The completeness of one stream.

    Attributes:
        is_listed: Whether its beginning is known: for trades there is none.
        is_lost: Whether the connection was lost, and the outage is not mended yet.
        lost_at: The exchange's time up to which it was complete when that happened, or
            before orders became unresolved.
        gaps: The gaps that were told, and that nothing has mended.
        unresolved: Ids of orders of which REST shows nothing.
    """

    is_listed: bool = False
    is_lost: bool = False
    lost_at: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    unresolved: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Return whether nothing is known to be missing."""
        return self.is_listed and not (self.is_lost or self.gaps or self.unresolved)

    @property
    def complete_until(self) -> datetime | None:
        """Return the exchange's time up to which nothing is missing.

        Returns None when that is not known, or when nothing is missing at all.
        """
        if not self.gaps:
            return self.lost_at
        earliest = min(gap.since for gap in self.gaps)
        return earliest if self.lost_at is None else min(earliest, self.lost_at)

    @property
    def ended(self) -> Gap | None:
        """Return the gap with which the stream ended; None while it goes on."""
        return next((gap for gap in self.gaps if gap.reason is GapReason.ENDED), None)

    def waits_for(self, stream: Stream) -> str:
        """Return what *stream* lacks, in words; "" when it is current."""
        facts = [_described(gap) for gap in self.gaps[-1:]]
        if self.is_lost:
            facts.append("an outage being mended")
        elif not self.is_listed and not facts:
            facts.append("the first snapshot")
        if self.unresolved:
            more = ", ..." if len(self.unresolved) > _IDS_SHOWN else ""
            ids = ", ".join(self.unresolved[:_IDS_SHOWN])
            facts.append(f"{len(self.unresolved)} unresolved ({ids}{more})")
        return f"{stream.value}: {', '.join(facts)}" if facts else ""


def _described(gap: Gap) -> str:
    if gap.reason is GapReason.ENDED:
        return f"ended ({gap.detail})"
    return f"a gap {'being mended' if gap.recovering else 'not mended'} ({gap.detail})"


def lost(validity: Validity, at: datetime | None) -> Validity:
    """Return *validity* after the connection was lost.

    The stream was complete until *at*. An outage that is not mended yet goes on.
    """
    earliest = at if validity.lost_at is None else validity.lost_at
    return attrs.evolve(validity, is_lost=True, lost_at=earliest)


def after(validity: Validity, event: Event[Any], *, is_live: bool) -> Validity:
    """Return *validity* after *event*.

    Unless *is_live*, an outage goes on: what is read now may miss its end.
    """
    if event.gap is not None:
        return _told(validity, event.gap)
    if event.source is Source.STREAM:
        return _resolved(validity, event) if validity.unresolved else validity
    return _read(validity, event, is_live=is_live)


def _told(validity: Validity, gap: Gap) -> Validity:
    """Return *validity* with *gap*.

    A gap that is told again, because it cannot be recovered, replaces the first.
    """
    others = [g for g in validity.gaps if (g.reason, g.since, g.until) != (gap.reason, gap.since, gap.until)]
    return attrs.evolve(validity, gaps=_bounded([*others, gap]))


def _bounded(gaps: list[Gap]) -> tuple[Gap, ...]:
    """Return *gaps*, the first two joined as long as there are too many."""
    while len(gaps) > _MOST_GAPS:
        first, second, *others = gaps
        since, until = min(first.since, second.since), max(first.until, second.until)
        gaps = [attrs.evolve(first, since=since, until=until), *others]
    return tuple(gaps)


def _resolved(validity: Validity, event: Event[Any]) -> Validity:
    """Return *validity* without the orders that *event* shows."""
    shown = {row.order_id for row in event.data}
    left = tuple(name for name in validity.unresolved if name not in shown)
    return attrs.evolve(validity, unresolved=left, lost_at=validity.lost_at if left or validity.is_lost else None)


def _read(validity: Validity, event: Event[Any], *, is_live: bool) -> Validity:
    mends = event.snapshot or event.recovered is not None
    is_lost = validity.is_lost and not (mends and is_live)
    unresolved = event.unresolved if event.snapshot else validity.unresolved
    lost_at = validity.lost_at or (event.recovered.since if event.recovered is not None else None)
    return attrs.evolve(
        validity,
        is_listed=validity.is_listed or event.snapshot,
        is_lost=is_lost,
        lost_at=lost_at if is_lost or unresolved else None,
        gaps=_left(validity.gaps, event),
        unresolved=unresolved,
    )


def _left(gaps: Iterable[Gap], event: Event[Any]) -> tuple[Gap, ...]:
    return tuple(gap for gap in gaps if gap.reason is GapReason.ENDED or not _mends(event, gap))


def _mends(event: Event[Any], gap: Gap) -> bool:
    """Return whether nothing of *gap* is missing after *event*.

    A snapshot is all there is. Only a gap that is `recovering` may belong to a later
    one: its update may be younger than this snapshot.
    """
    window = event.recovered
    if event.snapshot and not gap.recovering:
        return True
    is_inside = window is not None and window.since <= gap.since and gap.until <= window.until
    return is_inside and (gap.reason is not GapReason.OVERFLOW or window.reason is GapReason.OVERFLOW)  # type: ignore[union-attr]
