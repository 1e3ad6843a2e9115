"""Very many executions are read in windows that fit, whatever their times are."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.recovery.asking.pace import Pace
from bybit_sync.rest.windows import SPAN, Window

MOST = 20


def played(times: list[int], whole: Window) -> tuple[list[Window], int]:
    """Return the windows in which *times* are read, and how many had to be read again."""
    pace, windows, again = Pace(whole, MOST), list[Window](), 0
    while True:
        window = pace.window()
        rows = [time for time in times if window.start <= time <= window.end]
        if len(rows) > MOST and window.halves() is not None:
            again += 1
            pace.shorten(window, Window(sorted(rows)[-MOST - 1], max(rows)))
            continue
        windows.append(window)
        pace.advance(window, len(rows))
        if pace.is_done:
            return windows, again


@given(st.lists(st.integers(0, 4 * SPAN), max_size=300), st.integers(0, 4 * SPAN))
def test_every_time_is_in_a_window_of_those_that_follow_each_other(times: list[int], start: int) -> None:
    """None is longer than the exchange allows; what has too many is a millisecond."""
    windows, _ = played(times, Window(start, 4 * SPAN))
    assert (windows[0].start, windows[-1].end) == (start, 4 * SPAN)
    assert all(earlier.end == later.start for earlier, later in pairwise(windows))
    assert all(window.end - window.start <= SPAN for window in windows)


@given(st.integers(0, SPAN), st.integers(21, 200), st.integers(1, 1_000))
def test_a_burst_is_found_in_few_windows(at: int, count: int, apart: int) -> None:
    """However quiet it is before and after."""
    times = [at + number * apart for number in range(count)]
    windows, again = played(times, Window(0, SPAN + 200_000))
    assert again <= 15
    assert len(windows) <= count + 40


def test_even_times_are_read_again_once() -> None:
    """What the first window shows holds for all others."""
    windows, again = played(list(range(0, SPAN, SPAN // 500)), Window(0, SPAN))
    assert again == 1
    assert len(windows) <= 60


def test_a_window_without_rows_to_go_by_is_halved() -> None:
    """It was incomplete from its first page on."""
    pace = Pace(Window(0, 1_000), MOST)
    pace.shorten(pace.window(), None)
    assert pace.window() == Window(0, 500)
