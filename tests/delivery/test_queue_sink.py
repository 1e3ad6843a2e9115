from __future__ import annotations

import queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.queue_sink import QueueSink
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, GapReason
from tests.events import Row, check, gap, outline, push
from tests.searching import examples

NEWEST, FAIL = Overflow.DROP_NEWEST, Overflow.FAIL

Inbox = queue.Queue[Event[Row]]


def pair(maxsize: int, overflow: Overflow = NEWEST) -> tuple[Inbox, QueueSink[Row]]:
    """Return a user's queue and the way into it."""
    inbox: Inbox = queue.Queue(maxsize)
    return inbox, QueueSink(inbox, overflow)


def drained(inbox: Inbox) -> list[object]:
    """Take everything out of *inbox*; return what matters of it."""
    return [outline(inbox.get_nowait()) for _ in range(inbox.qsize())]


def test_events_go_into_the_queue_in_order_and_numbered() -> None:
    """Gaps as well."""
    inbox, sink = pair(9)
    for event in (push(1), gap(GapReason.DISCONNECTED, 2), push(3)):
        sink.put(event)
    assert [inbox.get_nowait().index for _ in range(3)] == [1, 2, 3]
    assert sink.counts.delivered == 3


def test_what_a_full_queue_missed_is_told_before_anything_newer() -> None:
    """One gap for all of it, as soon as there is room."""
    inbox, sink = pair(2)
    for number in range(1, 6):
        sink.put(push(number))
    assert drained(inbox) == [1, 2]
    sink.put(push(6))
    assert drained(inbox) == [("OVERFLOW", 3, 3, 5), 6]
    assert sink.counts.dropped == 3


def test_a_gap_is_counted_when_it_fits() -> None:
    """By its reason; one that waits for room is not handed over yet."""
    inbox, sink = pair(1)
    sink.put(push(1))
    sink.put(push(2))
    assert sink.counts.gaps[GapReason.OVERFLOW] == 0
    inbox.get_nowait()
    assert sink.flush()
    assert sink.counts.gaps[GapReason.OVERFLOW] == 1


def test_what_is_dropped_is_reported() -> None:
    """Each event, once."""
    (_, sink), seen = pair(1), list[object]()
    sink.on_drop = lambda event: seen.append(outline(event))
    for number in (1, 2, 3):
        sink.put(push(number))
    assert seen == [2, 3]


def test_what_is_owed_is_offered_without_a_new_event() -> None:
    """Nobody has to wait for the next push to hear of what is missing."""
    inbox, sink = pair(1)
    sink.put(push(1))
    sink.put(push(2))
    assert not sink.flush()
    assert drained(inbox) == [1]
    assert sink.flush()
    assert drained(inbox) == [("OVERFLOW", 1, 2, 2)]
    assert sink.flush()
    assert inbox.empty()


def test_an_event_that_finds_room_only_for_the_gap_is_missed_too() -> None:
    """It is told by the next gap."""
    inbox, sink = pair(1)
    for number in (1, 2):
        sink.put(push(number))
    drained(inbox)
    sink.put(push(3))
    assert drained(inbox) == [("OVERFLOW", 1, 2, 2)]
    assert sink.size == 1


def test_a_gap_that_does_not_fit_is_owed() -> None:
    """And merged with what is owed already."""
    inbox, sink = pair(1)
    for event in (push(1), push(2), gap(GapReason.DISCONNECTED, 3), gap(GapReason.DISCONNECTED, 4)):
        sink.put(event)
    drained(inbox)
    assert sink.flush()
    assert drained(inbox) == [("DISCONNECTED", None, 2, 4)]


def test_an_event_that_did_not_fit_takes_no_number() -> None:
    """The numbers in the queue have no holes."""
    inbox, sink = pair(1)
    sink.put(push(1))
    sink.put(push(2))
    inbox.get_nowait()
    sink.put(push(3))
    assert inbox.get_nowait().index == 2


def test_a_full_queue_may_be_an_error() -> None:
    """A gap is owed all the same."""
    _, sink = pair(1, FAIL)
    sink.put(push(1))
    sink.put(gap(GapReason.DISCONNECTED, 2))
    with pytest.raises(QueueOverflow, match="orders is full"):
        sink.put(push(3))


def test_the_last_word_is_owed_until_it_fits() -> None:
    """Behind what was owed before; nothing follows it."""
    inbox, sink = pair(1)
    for number in (1, 2):
        sink.put(push(number))
    sink.end(gap(GapReason.ENDED, 3))
    sink.end(gap(GapReason.ENDED, 4))
    sink.put(push(5))
    seen = drained(inbox)
    while not sink.flush():
        seen += drained(inbox)
    assert [*seen, *drained(inbox)] == [1, ("OVERFLOW", 1, 2, 2), ("ENDED", None, 3, 3)]


@pytest.mark.parametrize("end", ["stop_accepting", "discard"])
def test_after_the_end_nothing_is_put(end: str) -> None:
    """The user may use the queue for something else."""
    inbox, sink = pair(9)
    getattr(sink, end)()
    sink.put(push(1))
    sink.end(gap(GapReason.ENDED, 2))
    assert sink.flush()
    assert inbox.empty()


class Discarding(Inbox):
    """A queue in whose `put_nowait` another thread discards what waits in *sink*."""

    sink: QueueSink[Row] | None = None

    def put_nowait(self, item: Event[Row]) -> None:
        """Take *item*, meanwhile."""
        if self.sink is not None:
            self.sink.discard()
        super().put_nowait(item)


@pytest.mark.parametrize("room", [True, False])
def test_what_is_discarded_while_it_is_put_does_not_come_back(room: bool) -> None:  # noqa: FBT001
    """Neither the gap after the one that had room, nor one that had none: nothing would ever end its retries."""
    inbox = Discarding(1)
    sink = QueueSink(inbox, NEWEST)
    for number in (1, 2):
        sink.put(push(number))
    if room:
        sink.end(gap(GapReason.ENDED, 3))
        drained(inbox)
    inbox.sink = sink
    assert sink.flush() if room else not sink.flush()
    sink.put(push(4))
    sink.end(gap(GapReason.ENDED, 5))
    assert (sink.flush(), sink.unflushed) == (True, 0)


def test_what_was_discarded_is_not_offered() -> None:
    """Whoever withdrew wants to hear nothing more."""
    inbox, sink = pair(1)
    sink.put(push(1))
    sink.put(push(2))
    sink.discard()
    drained(inbox)
    assert sink.flush()
    assert inbox.empty()


def test_what_the_queue_raises_is_raised() -> None:
    """Its owner broke it, and only this subscription pays."""

    class Broken:
        def put_nowait(self, item: object) -> None:
            raise OSError("shut down")

    with pytest.raises(OSError, match="shut down"):
        QueueSink[Row](Broken(), NEWEST).put(push(1))


def test_an_overflow_is_one_story_until_a_calm_minute() -> None:
    """A queue that is full most of the time takes an event now and then: that ends nothing."""
    inbox, sink = pair(2)
    for number in range(5):
        sink.put(push(number))
    for number, overflowing in [(5, True), (64, True), (65, False)]:
        drained(inbox)
        sink.put(push(number))
        assert sink.overflowing is overflowing


steps = st.lists(st.sampled_from(["push", "push", "push", "take", "DISCONNECTED"]), max_size=60)


@examples(40)
@given(st.integers(1, 3), steps)
def test_whatever_happens_nothing_is_lost_untold(maxsize: int, steps: list[str]) -> None:
    """Numbers have no holes, and each missing push lies in a gap before the next one."""
    inbox, sink = pair(maxsize)
    history: list[Event[Row]] = []
    for time, step in enumerate(steps):
        if step == "take":
            history += [] if inbox.empty() else [inbox.get_nowait()]
        else:
            sink.put(push(time) if step == "push" else gap(GapReason.DISCONNECTED, time))
    while not sink.flush() or not inbox.empty():
        history.append(inbox.get_nowait())
    assert [event.index for event in history] == list(range(1, len(history) + 1))
    check(history, steps)
