from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, product

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.delivery.buffer import Buffer, Overflow
from bybit_sync.delivery.gaps import merge, missed_by, with_gap
from bybit_sync.errors import QueueOverflow
from bybit_sync.model.events import Event, GapReason, Source, Stream
from tests.alarms import alarm, on_main_thread_only
from tests.events import Row, check, gap, lost, outline, push
from tests.recovery.rows import at, trade
from tests.recovery.rows import gap as recovery_gap
from tests.recovery.rows import push as recovery_push
from tests.searching import examples
from tests.talking import NOON

DISCONNECTED, UNDECODABLE, OVERFLOW = GapReason.DISCONNECTED, GapReason.UNDECODABLE, GapReason.OVERFLOW
OLDEST, NEWEST, FAIL = Overflow.DROP_OLDEST, Overflow.DROP_NEWEST, Overflow.FAIL


def filled(maxsize: int, overflow: Overflow, *events: Event[Row]) -> Buffer[Row]:
    """Return a buffer that was given *events*."""
    buffer = Buffer[Row](maxsize, overflow)
    for event in events:
        buffer.put(event)
    return buffer


def drained(buffer: Buffer[Row]) -> list[object]:
    """Take everything out of *buffer*; return what matters of it."""
    events = iter(lambda: buffer.take(0), None)
    return [outline(event) for event in events]


# --- one after the other ---


def test_events_come_out_in_order_and_numbered() -> None:
    """The numbers count what was taken, gaps included."""
    buffer = filled(9, OLDEST, push(1), gap(DISCONNECTED, 2), push(3))
    events = [buffer.take(0) for _ in range(3)]
    assert [outline(event) for event in events] == [1, ("DISCONNECTED", None, 2, 2), 3]
    assert [event.index for event in events if event] == [1, 2, 3]


def test_nothing_comes_out_in_time() -> None:
    """None, after the time; more may come."""
    buffer = filled(1, OLDEST)
    assert buffer.take(0) is None
    assert buffer.take(0.001) is None
    assert not buffer.is_spent


# --- full ---


def test_the_oldest_are_dropped_and_a_gap_stands_at_the_head() -> None:
    """One gap, with all that it stands for."""
    assert drained(filled(2, OLDEST, *map(push, range(1, 6)))) == [("OVERFLOW", 3, 1, 3), 4, 5]


def test_the_newest_are_dropped_and_a_gap_stands_in_their_place() -> None:
    """What comes after them finds room again behind it."""
    buffer = filled(2, NEWEST, *map(push, range(1, 6)))
    assert outline(buffer.take()) == 1
    buffer.put(push(6))
    assert drained(buffer) == [2, ("OVERFLOW", 3, 3, 5), 6]


def test_dropping_the_newest_twice_leaves_two_gaps() -> None:
    """Each where its events would stand."""
    buffer = filled(1, NEWEST, push(1), push(2))
    assert outline(buffer.take()) == 1
    buffer.put(push(3))
    buffer.put(push(4))
    assert drained(buffer) == [("OVERFLOW", 1, 2, 2), 3, ("OVERFLOW", 1, 4, 4)]


def test_a_full_buffer_may_be_an_error() -> None:
    """What it holds can still be taken."""
    buffer = filled(2, FAIL, push(1), push(2))
    with pytest.raises(QueueOverflow, match="2 events of orders.*maxsize"):
        buffer.put(push(3))
    assert drained(buffer) == [1, 2]


def test_gaps_find_room_in_a_full_buffer() -> None:
    """Under every policy: they are never dropped."""
    for overflow in Overflow:
        buffer = filled(1, overflow, push(1), gap(DISCONNECTED, 2), gap(DISCONNECTED, 3))
        assert drained(buffer) == [1, ("DISCONNECTED", None, 2, 3)]


def test_gaps_of_several_streams_are_joined_each_with_its_own() -> None:
    """As an account view's buffer has them."""
    orders = [attrs.evolve(gap(DISCONNECTED, number), stream=Stream.ORDERS) for number in (2, 4)]
    trades = [attrs.evolve(gap(DISCONNECTED, number), stream=Stream.USER_TRADES) for number in (3, 5)]
    buffer = filled(1, NEWEST, push(1), orders[0], trades[0], orders[1], trades[1])
    assert drained(buffer) == [1, ("DISCONNECTED", None, 2, 4), ("DISCONNECTED", None, 3, 5)]


def test_the_end_of_a_stream_is_joined_with_no_gap() -> None:
    """It is the last word."""
    buffer = filled(1, NEWEST, gap(DISCONNECTED, 2), gap(GapReason.ENDED, 3))
    assert [outline(event)[0] for event in iter(lambda: buffer.take(0), None)] == ["DISCONNECTED", "ENDED"]  # type: ignore[index]


def test_a_gap_among_the_dropped_is_told_at_the_head() -> None:
    """It is merged with what was dropped before and behind it."""
    buffer = filled(2, OLDEST, push(1), gap(DISCONNECTED, 2), push(3), push(4), push(5))
    assert drained(buffer) == [("DISCONNECTED", None, 1, 3), 4, 5]


def test_dropping_up_to_a_gap_merges_with_it() -> None:
    """Two gaps never follow each other."""
    buffer = filled(2, OLDEST, push(1), gap(UNDECODABLE, 2, missed=1), push(3), push(4))
    assert drained(buffer) == [("UNDECODABLE", 2, 1, 2), 3, 4]


def test_what_was_dropped_is_counted() -> None:
    """And not among what waits."""
    buffer = filled(2, OLDEST, *map(push, range(5)))
    assert (buffer.counts.dropped, buffer.size) == (3, 2)


def test_an_overflow_is_one_story_until_half_of_it_is_taken() -> None:
    """A consumer that is always one behind is not told of a thousand times."""
    buffer = filled(4, OLDEST, *map(push, range(5)))
    for number in range(9, 12):
        buffer.take(), buffer.take()
        buffer.put(push(number))
        assert buffer.overflowing
        buffer.put(push(number))
    drained(buffer)
    buffer.put(push(99))
    assert not buffer.overflowing


# --- merging ---


def test_merged_gaps_cover_both_windows() -> None:
    """Earliest since, latest until, whichever came first; what is missing is summed."""
    merged = merge(gap(OVERFLOW, 5, 6, 2), gap(OVERFLOW, 1, 3, 4))
    assert outline(merged) == ("OVERFLOW", 6, 1, 6)


def test_what_is_unknown_stays_unknown() -> None:
    """A number plus nobody knows how many is nobody knows how many."""
    assert outline(merge(lost(1), gap(OVERFLOW, 2, missed=None))) == ("OVERFLOW", None, 1, 2)


@pytest.mark.parametrize(("less", "graver"), [*combinations((OVERFLOW, UNDECODABLE, GapReason.START, DISCONNECTED), 2)])
def test_the_graver_reason_wins_with_its_words(less: GapReason, graver: GapReason) -> None:
    """In either order."""
    for merged in (merge(gap(less, 1), gap(graver, 2)), merge(gap(graver, 1), gap(less, 2))):
        assert merged.gap is not None
        assert (merged.gap.reason, merged.gap.detail) == (graver, graver.value)


def test_of_two_that_are_equal_the_later_tells() -> None:
    """With its own login and its own words, over the window of both."""
    merged = merge(gap(DISCONNECTED, 1, epoch=6), gap(DISCONNECTED, 2, epoch=7))
    assert (merged.epoch, outline(merged)) == (7, ("DISCONNECTED", None, 1, 2))


@pytest.mark.parametrize("recovering", [*product((True, False), repeat=2)])
def test_a_merged_gap_is_being_mended_only_if_both_are(recovering: tuple[bool, bool]) -> None:
    """What one of the two lost would never come."""
    gaps = [attrs.evolve(lost(1).gap, recovering=each) for each in recovering]  # type: ignore[misc]
    merged = merge(*[attrs.evolve(lost(1), gap=each) for each in gaps])
    assert merged.gap is not None
    assert merged.gap.recovering is all(recovering)


def test_a_gap_in_place_of_rows_of_rest_keeps_their_source_alone() -> None:
    """A gap is no snapshot and mends nothing."""
    hole = gap(DISCONNECTED, 1).gap
    assert hole is not None
    told = with_gap(push(1, source=Source.REST, snapshot=True, recovered=hole, unresolved=("o-1",)), hole, raw=b"")
    assert (told.gap, told.source, told.snapshot, told.recovered, told.unresolved) == (hole, Source.REST, False, None, ())


def test_a_frame_that_nobody_could_read_is_kept_when_it_is_merged() -> None:
    """`raw` is for who wants to look into it."""
    assert merge(gap(OVERFLOW, 1), gap(UNDECODABLE, 2, raw=b"{")).raw == b"{"
    assert merge(gap(UNDECODABLE, 2, raw=b"{"), gap(DISCONNECTED, 3)).raw == b""


some_gaps = st.builds(
    gap,
    st.sampled_from([OVERFLOW, UNDECODABLE, DISCONNECTED]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.none() | st.integers(1, 9),
)


@examples(40)
@given(some_gaps, some_gaps, some_gaps)
def test_it_does_not_matter_which_are_merged_first(a: Event[Row], b: Event[Row], c: Event[Row]) -> None:
    """Three gaps are one gap, in whatever order the buffer came across them."""
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


# --- against a model ---

steps = st.lists(st.sampled_from(["push", "push", "push", "take", "DISCONNECTED", "UNDECODABLE"]), max_size=60)


@examples(60)
@given(st.integers(1, 4), st.sampled_from([OLDEST, NEWEST]), steps)
def test_whatever_happens_nothing_is_lost_untold(maxsize: int, overflow: Overflow, steps: list[str]) -> None:
    """Order is kept, numbers have no holes, memory is bounded, and each missing push lies in a gap before the next one."""
    buffer, taken = Buffer[Row](maxsize, overflow), []
    for time_, step in enumerate(steps):
        if step == "push":
            buffer.put(push(time_))
        elif step == "take":
            taken.append(buffer.take(0))
        else:
            buffer.put(gap(GapReason[step], time_, missed=1 if step == "UNDECODABLE" else None))
        assert buffer.size <= maxsize
        assert len(buffer._items) <= 2 * maxsize + 1
    buffer.stop_accepting()
    history = [event for event in [*taken, *iter(buffer.take, None)] if event is not None]
    assert [event.index for event in history] == list(range(1, len(history) + 1))
    check(history, steps)


# --- the end ---


def test_closing_delivers_what_is_buffered_and_takes_nothing_in() -> None:
    """Then it is spent."""
    buffer = filled(9, OLDEST, push(1))
    buffer.stop_accepting()
    buffer.put(push(2))
    assert not buffer.is_spent
    assert drained(buffer) == [1]
    assert buffer.is_spent


def test_the_last_word_follows_what_is_buffered() -> None:
    """Nothing follows it, and there is one only."""
    buffer = filled(1, OLDEST, push(1), gap(DISCONNECTED, 2))
    buffer.end(gap(GapReason.ENDED, 3))
    buffer.end(gap(GapReason.ENDED, 4))
    buffer.put(push(5))
    assert drained(buffer) == [1, ("DISCONNECTED", None, 2, 2), ("ENDED", None, 3, 3)]


def test_a_closed_buffer_has_no_last_word() -> None:
    """Whoever closed it knows."""
    buffer = filled(1, OLDEST)
    buffer.stop_accepting()
    buffer.end(gap(GapReason.ENDED, 1))
    assert drained(buffer) == []


def test_discarding_says_how_much_was_lost() -> None:
    """Pushes count, and gaps: each was to be told; nothing more comes out."""
    buffer = filled(9, OLDEST, push(1), gap(DISCONNECTED, 2), push(3))
    assert buffer.discard() == 3
    assert buffer.size == 0
    assert buffer.is_spent
    assert buffer.take() is None


# --- threads ---


@contextlib.contextmanager
def consumers(buffer: Buffer[Row], count: int) -> Iterator[list[list[Event[Row]]]]:
    """Have *count* threads take from *buffer* until its end; give a list of what each got."""
    got: list[list[Event[Row]]] = [[] for _ in range(count)]

    def consume(mine: list[Event[Row]]) -> None:
        while (event := buffer.take()) is not None:
            mine.append(event)

    with ThreadPoolExecutor(count) as pool:
        ends = [pool.submit(consume, mine) for mine in got]
        try:
            yield got
        finally:
            buffer.stop_accepting()
            for end in ends:
                end.result(10)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_event_goes_to_one_of_several_consumers(count: int) -> None:
    """In order for each of them, with every number given once, and none left behind asleep."""
    buffer = Buffer[Row](10_000, OLDEST)
    with consumers(buffer, count) as got:
        for number in range(2000):
            buffer.put(push(number))
    everything = sorted((event.index, event.data[0].number) for mine in got for event in mine)
    assert everything == [(number + 1, number) for number in range(2000)]
    assert all(mine == sorted(mine, key=lambda event: event.index) for mine in got)


def parked(buffer: Buffer[Row], count: int) -> None:
    """Wait until *count* threads wait for *buffer*, which is empty."""
    deadline = time.monotonic() + 10
    while buffer.size or len(buffer._condition._waiters) < count:
        assert time.monotonic() < deadline
        time.sleep(0)


def test_one_event_wakes_a_consumer_that_waits() -> None:
    """Each time: put, taken, and parked again."""
    buffer = Buffer[Row](1, FAIL)
    with consumers(buffer, 1) as got:
        for number in range(300):
            parked(buffer, 1)
            buffer.put(push(number))
    assert len(got[0]) == 300


@pytest.mark.parametrize("end", ["stop_accepting", "end", "discard"])
def test_the_end_wakes_all_that_wait(end: str) -> None:
    """However it comes; a last word goes to one of them."""
    buffer = Buffer[Row](1, OLDEST)
    with consumers(buffer, 3) as got:
        parked(buffer, 3)
        getattr(buffer, end)(*([gap(GapReason.ENDED, 1)] if end == "end" else []))
    assert [outline(event) for mine in got for event in mine] == ([("ENDED", None, 1, 1)] if end == "end" else [])


# --- signals ---


class Interrupt(Exception):
    """What a signal handler raises here."""


@on_main_thread_only
def test_a_signal_handler_may_close_what_it_interrupts() -> None:
    """At whatever place: it never waits for the code below it."""
    for round_ in range(200):
        buffer = filled(100, OLDEST, *map(push, range(round_ % 40)))
        with alarm(buffer.stop_accepting, 0.0005, again=0.0005):
            while buffer.take() is not None:
                pass
        assert buffer.is_spent


@on_main_thread_only
def test_an_interrupted_wait_takes_nothing_with_it() -> None:
    """Ctrl-C while one waits leaves the events, and being woken, to those who still do."""
    buffer = Buffer[Row](1000, FAIL)

    def interrupt() -> None:
        raise Interrupt

    with consumers(buffer, 1) as got:
        for number in range(100):
            with contextlib.suppress(Interrupt), alarm(interrupt, 0.001):
                buffer._condition.wait(lambda: False, None)
            buffer.put(push(number))
    assert [event.data[0].number for event in got[0]] == list(range(100))
    assert not buffer._condition._waiters


def test_a_gap_names_the_client_and_the_login_of_what_was_dropped() -> None:
    """Whoever reads one queue for two accounts can tell whose it is."""
    buffer = filled(1, OLDEST, push(1, client="one", epoch=3, id="i", raw=b"x"), push(2))
    told = buffer.take()
    assert told is not None
    assert (told.client, told.epoch, told.id, told.raw, told.data) == ("one", 3, None, b"", ())


def test_without_a_time_of_the_exchange_ours_is_told() -> None:
    """The window of what was dropped is never empty."""
    told = filled(1, OLDEST, push(1, created_at=None), push(2)).take()
    assert told is not None
    assert told.gap is not None
    assert (told.gap.since - NOON).total_seconds() == 1


# --- what was dropped ---


@pytest.mark.parametrize(("policy", "dropped"), [(OLDEST, [1]), (NEWEST, [3])])
def test_what_is_dropped_is_reported(policy: Overflow, dropped: list[int]) -> None:
    """Each event, once."""
    buffer, seen = filled(2, policy, push(1), push(2)), list[object]()
    buffer.on_drop = lambda event: seen.append(outline(event))
    buffer.put(push(3))
    assert seen == dropped


def test_a_recovered_event_that_is_dropped_turns_back_into_its_gap() -> None:
    """With the window that it would have mended, and not recovering any more."""
    told = recovery_gap(DISCONNECTED, 1, 2, recovering=True).gap
    assert told is not None
    event = missed_by(attrs.evolve(push(2), source=Source.REST, recovered=told), detail="full")
    assert event.gap == attrs.evolve(told, recovering=False)


def test_a_start_that_is_dropped_turns_into_a_gap_from_its_first_fill_on() -> None:
    """The consumer has what came before."""
    first = trade("a", -100)
    event = missed_by(recovery_push(first, trade("b", -50), source=Source.REST), detail="full")
    assert event.gap is not None
    assert (event.gap.reason, event.gap.since, event.gap.until) == (GapReason.START, first.exec_time, at(0))
