"""The counters of each subscription, and their sums for each stream of a client."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from bybit_sync.model.events import Gap, GapReason, Stream
from bybit_sync.status import StreamTotals

__all__ = ["Counts", "Totals"]


class Counts:
    """The counters of one subscription.

    They are an object of their own, because the sums need them after the subscription,
    with all the events in its buffer, is gone. Each counter has one writer at a time,
    or the lock of its sink; any thread may read them.
    """

    __slots__ = ("delivered", "dropped", "gaps", "handler_errors", "undecodable")

    def __init__(self) -> None:
        self.delivered: int = 0
        """The number of events that were handed over: the index of the last one."""
        self.dropped: int = 0
        """The number of events that found the sink full."""
        self.undecodable: int = 0
        """The number of rows, and of whole frames, that could not be read."""
        self.handler_errors: int = 0
        """The number of calls of the callback that raised."""
        self.gaps: dict[GapReason, int] = dict.fromkeys(GapReason, 0)
        """The number of gaps that were handed over, by reason. Its keys stay."""

    def count_gap(self, gap: Gap) -> None:
        """Count *gap*, which was handed over."""
        self.gaps[gap.reason] += 1


class _Counted(Protocol):
    """A subscription, as far as the sums need it."""

    stream: Stream

    @property
    def counts(self) -> Counts:
        """Return its counters."""


_Sums = Mapping[Stream, StreamTotals]
# Nothing but the counters: the subscription may go, with all that it holds.
_Part = tuple["weakref.ref[_Counted]", Stream, Counts]
_NOTHING: Final = StreamTotals(delivered=0, dropped=0, undecodable=0, handler_errors=0, gaps=dict.fromkeys(GapReason, 0))


class Totals:
    """The sums over all subscriptions that a client has had, for each stream.

    They never decrease: a closed subscription counts on while its buffer is delivered.
    """

    def __init__(self) -> None:
        self._added = 0
        # The sums of the subscriptions that were collected, and the counters of all
        # others. Replaced as a whole: a reader on another thread counts none twice and
        # misses none.
        self._parts: tuple[_Sums, tuple[_Part, ...]] = (dict.fromkeys(Stream, _NOTHING), ())

    def add(self, subscription: _Counted) -> int:
        """Add *subscription*; return its number, from 1 on.

        Only the connection thread.
        """
        sums, parts = self._parts
        gone: list[_Part] = []
        kept: list[_Part] = []
        for part in parts:
            (gone if part[0]() is None else kept).append(part)
        kept.append((weakref.ref(subscription), subscription.stream, subscription.counts))
        self._parts = _with(sums, gone), tuple(kept)
        self._added += 1
        return self._added

    def read(self) -> _Sums:
        """Return the sums at this moment. Any thread."""
        return _with(*self._parts)


def _with(sums: _Sums, parts: Iterable[_Part]) -> _Sums:
    """Return *sums* with the counters of *parts* added."""
    sums = dict(sums)
    for _, stream, counts in parts:
        sums[stream] = _plus(sums[stream], counts)
    return sums


def _plus(total: StreamTotals, counts: Counts) -> StreamTotals:
    return StreamTotals(
        delivered=total.delivered + counts.delivered,
        dropped=total.dropped + counts.dropped,
        undecodable=total.undecodable + counts.undecodable,
        handler_errors=total.handler_errors + counts.handler_errors,
        gaps={reason: number + counts.gaps[reason] for reason, number in total.gaps.items()},
    )
