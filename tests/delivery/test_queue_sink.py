from __future__ import annotations

import queue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.queue_sink import Outlet
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, GapReason
from tests.events import Row, gap, judge, outline, push
from tests.talking import steady

NEWEST, FAIL = Overflow.DROP_NEWEST, Overflow.FAIL

Inbox = queue.Queue[Event[Row]]


def pair(maxsize: int, overflow: Overflow = NEWEST) -> tuple[Inbox, Outlet[Row]]:
    """Return a user's queue and the way into it."""
    inbox: Inbox = queue.Queue(maxsize)
    return inbox, Outlet(inbox, overflow)


def drained(inbox: Inbox) -> list[object]:
    """Take everything out of *inbox*; return what matters of it."""
    return [outline(inbox.get_nowait()) for _ in range(inbox.qsize())]


def test_events_go_into_the_queue_in_order_and_numbered() -> None:
    """Gaps as well."""
    inbox, outlet = pair(9)
    for event in (push(1), gap(GapReason.DISCONNECTED, 2), push(3)):
        outlet.put(event)
    assert [inbox.get_nowait().index for _ in range(3)] == [1, 2, 3]
    assert outlet.index == 3


def test_what_a_full_queue_missed_is_told_before_anything_newer() -> None:
    """One gap for all of it, as soon as there is room."""
    inbox, outlet = pair(2)
    for number in range(1, 6):
        outlet.put(push(number))
    assert drained(inbox) == [1, 2]
    outlet.put(push(6))
    assert drained(inbox) == [("OVERFLOW", 3, 3, 5), 6]
    assert outlet.dropped == 3


def test_what_is_owed_is_offered_without_a_new_event() -> None:
    """Nobody has to wait for the next push to hear of what is missing."""
    inbox, outlet = pair(1)
    outlet.put(push(1))
    outlet.put(push(2))
    assert not outlet.offer()
    assert drained(inbox) == [1]
    assert outlet.offer()
    assert drained(inbox) == [("OVERFLOW", 1, 2, 2)]
    assert outlet.offer()
    assert inbox.empty()


def test_an_event_that_finds_room_only_for_the_gap_is_missed_too() -> None:
    """It is told by the next gap."""
    inbox, outlet = pair(1)
    for number in (1, 2):
        outlet.put(push(number))
    drained(inbox)
    outlet.put(push(3))
    assert drained(inbox) == [("OVERFLOW", 1, 2, 2)]
    assert outlet.size == 1


def test_a_gap_that_does_not_fit_is_owed() -> None:
    """And merged with what is owed already."""
    inbox, outlet = pair(1)
    for event in (push(1), push(2), gap(GapReason.DISCONNECTED, 3), gap(GapReason.DISCONNECTED, 4)):
        outlet.put(event)
    drained(inbox)
    assert outlet.offer()
    assert drained(inbox) == [("DISCONNECTED", None, 2, 4)]


def test_an_event_that_did_not_fit_takes_no_number() -> None:
    """The numbers in the queue have no holes."""
    inbox, outlet = pair(1)
    outlet.put(push(1))
    outlet.put(push(2))
    inbox.get_nowait()
    outlet.put(push(3))
    assert inbox.get_nowait().index == 2


def test_a_full_queue_may_be_an_error() -> None:
    """A gap is owed all the same."""
    _, outlet = pair(1, FAIL)
    outlet.put(push(1))
    outlet.put(gap(GapReason.DISCONNECTED, 2))
    with pytest.raises(QueueOverflow, match="orders is full"):
        outlet.put(push(3))


def test_the_last_word_is_owed_until_it_fits() -> None:
    """Behind what was owed before; nothing follows it."""
    inbox, outlet = pair(1)
    for number in (1, 2):
        outlet.put(push(number))
    outlet.end(gap(GapReason.ENDED, 3))
    outlet.end(gap(GapReason.ENDED, 4))
    outlet.put(push(5))
    seen = drained(inbox)
    while not outlet.offer():
        seen += drained(inbox)
    assert [*seen, *drained(inbox)] == [1, ("OVERFLOW", 1, 2, 2), ("ENDED", None, 3, 3)]


@pytest.mark.parametrize("end", ["close", "discard"])
def test_after_the_end_nothing_is_put(end: str) -> None:
    """The user may use the queue for something else."""
    inbox, outlet = pair(9)
    getattr(outlet, end)()
    outlet.put(push(1))
    outlet.end(gap(GapReason.ENDED, 2))
    assert outlet.offer()
    assert inbox.empty()


def test_what_was_discarded_is_not_offered() -> None:
    """Whoever withdrew wants to hear nothing more."""
    inbox, outlet = pair(1)
    outlet.put(push(1))
    outlet.put(push(2))
    outlet.discard()
    drained(inbox)
    assert outlet.offer()
    assert inbox.empty()


def test_what_the_queue_raises_is_raised() -> None:
    """Its owner broke it, and only this subscription pays."""

    class Broken:
        def put_nowait(self, item: object) -> None:
            raise OSError("shut down")

    with pytest.raises(OSError, match="shut down"):
        Outlet[Row](Broken(), NEWEST).put(push(1))


def test_an_overflow_is_one_story_until_a_calm_minute() -> None:
    """A queue that is full most of the time takes an event now and then: that ends nothing."""
    inbox, outlet = pair(2)
    for number in range(5):
        outlet.put(push(number))
    for number, overflowing in [(5, True), (64, True), (65, False)]:
        drained(inbox)
        outlet.put(push(number))
        assert outlet.overflowing is overflowing


steps = st.lists(st.sampled_from(["push", "push", "push", "take", "DISCONNECTED"]), max_size=60)


@steady(max_examples=200)
@given(st.integers(1, 3), steps)
def test_whatever_happens_nothing_is_lost_untold(maxsize: int, steps: list[str]) -> None:
    """Numbers have no holes, and each missing push lies in a gap before the next one."""
    inbox, outlet = pair(maxsize)
    history: list[Event[Row]] = []
    for time, step in enumerate(steps):
        if step == "take":
            history += [] if inbox.empty() else [inbox.get_nowait()]
        else:
            outlet.put(push(time) if step == "push" else gap(GapReason.DISCONNECTED, time))
    while not outlet.offer() or not inbox.empty():
        history.append(inbox.get_nowait())
    assert [event.index for event in history] == list(range(1, len(history) + 1))
    judge(history, steps)
