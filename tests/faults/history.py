"""What a subscription got, and the checks of it: the validators at the head of the catalogue."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bybit_sync import Event, GapReason
from tests.faults.pace import patience

__all__ = ["History", "check", "lost_in_silence", "lost_outside", "names"]


MILLISECOND = timedelta(milliseconds=1)


class History:
    """Every event that one subscription delivered, in order.

    Its `record` is a callback sink, and `put_nowait` makes it a queue. A test takes the events one after the other with
    `next`, `update` and `gap`; `check` looks at all of them, taken or not.
    """

    def __init__(self) -> None:
        self.events: list[Event[Any]] = []
        self.counted = True
        """Whether only what the exchange counted as sent may come: `check` compares."""
        self._new: queue.SimpleQueue[Event[Any]] = queue.SimpleQueue()

    def record(self, event: Event[Any]) -> None:
        """Take *event* down."""
        self.events.append(event)
        self._new.put(event)

    put_nowait = record

    def next(self, timeout: float | None = None) -> Event[Any]:
        """Return the next event that was not taken yet; raises `queue.Empty` when there is none in time."""
        return self._new.get(timeout=patience() if timeout is None else timeout)

    def update(self, name: str) -> Event[Any]:
        """Take the next event, an update of the order *name*."""
        event = self.next()
        assert event.gap is None, f"{name} was to come, not {event!r}"
        assert names(event) == [name]
        return event

    def gap(self, reason: GapReason = GapReason.DISCONNECTED) -> Event[Any]:
        """Take the next event, a gap for *reason*, without data."""
        event = self.next()
        assert event.gap is not None, f"a gap was to come, not {event!r}"
        assert event.gap.reason is reason, event
        assert event.data == ()
        return event

    def nothing_more(self) -> None:
        """Make sure that everything was taken."""
        assert self._new.empty(), self.events


def names(event: Event[Any]) -> list[str]:
    """Return which orders *event* updates; nothing for other streams."""
    return [row.order_id for row in event if getattr(row, "order_id", None)]


# --- the checks ---


def check(events: Sequence[Event[Any]], sent: Sequence[str] | None) -> None:
    """Raise AssertionError when *events*, all that one subscription got, break a promise.

    *sent* are the orders that were pushed; None when nobody knows.
    """
    without_holes(events)
    ended_once_and_last(events)
    marked(events)
    windows_are_windows(events)
    if sent is not None:
        nothing_lost_in_silence(events, sent)


def without_holes(events: Sequence[Event[Any]]) -> None:
    """`index` counts 1, 2, 3 …: nothing was lost between the library and its user."""
    assert [event.index for event in events] == list(range(1, len(events) + 1)), events


def ended_once_and_last(events: Sequence[Event[Any]]) -> None:
    """An ENDED is the last event."""
    ends = [event for event in events if event.gap and event.gap.reason is GapReason.ENDED]
    assert ends in ([], list(events[-1:])), events


def marked(events: Sequence[Event[Any]]) -> None:
    """The first event of a new login is a DISCONNECTED gap, and there is no such gap elsewhere."""
    for before, event in pairwise(events):
        if event.gap is None or event.gap.reason is not GapReason.ENDED:
            told = event.gap is not None and event.gap.reason is GapReason.DISCONNECTED
            assert told == (event.epoch > before.epoch), (before, event)
            assert event.epoch >= before.epoch, (before, event)


def windows_are_windows(events: Sequence[Event[Any]]) -> None:
    """A gap's window does not end before it begins."""
    for event in events:
        assert event.gap is None or event.gap.since <= event.gap.until, event.gap


def nothing_lost_in_silence(events: Sequence[Event[Any]], sent: Sequence[str]) -> None:
    """What arrived is what was sent, in order and once; where something of it is missing, a gap stands there."""
    lost = lost_in_silence(events, sent)
    assert not lost, f"{lost} are missing, and no gap tells it: {events}"


def lost_in_silence(events: Sequence[Event[Any]], sent: Sequence[str]) -> list[str]:
    """Return what of *sent* is missing where no gap tells it; raise AssertionError for what came twice or out of order.

    What was sent before the first that arrived, and after the last, is nobody's business here: the subscription was not there
    yet, or the test did not wait.
    """
    lost: list[str] = []
    at: int | None = None
    told = False
    for event in events:
        told |= event.gap is not None
        for name in names(event):
            assert name in sent, f"{name} was never sent"
            found = sent.index(name) if at is None else sent.index(name, at) if name in sent[at:] else -1
            assert found >= 0, f"{name} came twice or out of order: {events}"
            lost += sent[at:found] if at is not None and not told else []
            at, told = found + 1, False
    return lost


def lost_outside(events: Sequence[Event[Any]], sent: Sequence[str], sent_at: Mapping[str, datetime]) -> list[str]:
    """Return what of *sent* is missing where a gap tells it, and was sent at a time that is in none of the windows there."""
    outside: list[str] = []
    at: int | None = None
    windows: list[tuple[datetime, datetime]] = []
    for event in events:
        windows += [(event.gap.since, event.gap.until)] if event.gap is not None else []
        for name in names(event):
            found = sent.index(name) if at is None else sent.index(name, at)
            lost = sent[at:found] if at is not None else []
            outside += [name for name in lost if windows and not _is_inside(sent_at[name], windows)]
            at, windows = found + 1, []
    return outside


def _is_inside(at: datetime, windows: Sequence[tuple[datetime, datetime]]) -> bool:
    # The exchange tells whole milliseconds, cut off: an overflow's window is made of them.
    return any(since - MILLISECOND <= at <= until + MILLISECOND for since, until in windows)
