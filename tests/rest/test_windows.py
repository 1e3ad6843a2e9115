"""Long times are asked for in pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.rest.windows import SPAN, Window, chunks

DAY = 24 * 3_600_000
TIMES = st.integers(1_600_000_000_000, 1_800_000_000_000)


def test_a_short_window_is_one_piece() -> None:
    """With both ends, always: only one of them means seven days."""
    (only,) = chunks(Window(1000, 2000))
    assert only.parameters == {"startTime": 1000, "endTime": 2000}
    assert list(chunks(Window(1000, 1000))) == [Window(1000, 1000)]


@given(start=TIMES, length=st.integers(0, 60 * DAY))
def test_pieces_cover_a_window_without_a_hole(start: int, length: int) -> None:
    """The oldest first, none longer than the exchange allows, neighbours with an instant in common."""
    pieces = list(chunks(Window(start, start + length)))
    assert (pieces[0].start, pieces[-1].end) == (start, start + length)
    assert all(piece.end - piece.start <= SPAN < 7 * DAY for piece in pieces)
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(pieces))


@given(start=TIMES, length=st.integers(0, 60 * DAY))
def test_halves_cover_a_window_until_it_cannot_be_halved(start: int, length: int) -> None:
    """Two instants next to each other have nothing between them."""
    window = Window(start, start + length)
    halves = window.halves()
    assert (halves is None) == (length < 2)
    if halves:
        assert (halves[0].start, halves[1].end, halves[0].end) == (window.start, window.end, halves[1].start)
        assert max(half.end - half.start for half in halves) < length
