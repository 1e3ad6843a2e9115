"""What makes a stream's part of the account uncertain, and what makes it current again."""

from __future__ import annotations

import pytest

from bybit_sync.account.reducer import Reducer
from bybit_sync.model.events import Gap, GapReason, Stream
from tests.account.events import make, mended, snapshot, window
from tests.recovery.rows import at, gap, order, position, push, trade

POSITIONS, ORDERS, BALANCES, TRADES = Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES, Stream.USER_TRADES
DISCONNECTED, OVERFLOW, UNDECODABLE = GapReason.DISCONNECTED, GapReason.OVERFLOW, GapReason.UNDECODABLE
OUTAGE = window(DISCONNECTED, 10, 20)


def test_it_is_current_after_the_first_snapshots() -> None:
    """Trades need none."""
    reducer = Reducer(Stream)
    assert [stream for stream, validity in reducer.validity.items() if validity.is_current] == [TRADES]
    for stream in (POSITIONS, ORDERS, BALANCES):
        assert reducer.validity[stream].waits_for(stream) == f"{stream.value}: the first snapshot"
        reducer.take(snapshot(stream))
    assert reducer.is_current


@pytest.mark.parametrize("stream", Stream)
def test_a_lost_connection_makes_it_uncertain_until_it_is_mended(stream: Stream) -> None:
    """The other streams stay current."""
    reducer = make()
    reducer.lose(stream, at(10))
    assert (reducer.is_current, reducer.validity[stream].complete_until) == (False, at(10))
    assert reducer.validity[stream].waits_for(stream) == f"{stream.value}: an outage being mended"
    reducer.take(mended(stream, OUTAGE))
    assert (reducer.is_current, reducer.validity[stream].complete_until) == (True, None)


def test_a_second_outage_is_not_mended_by_what_was_read_for_the_first() -> None:
    """It arrives while there is no connection."""
    reducer = make()
    reducer.lose(TRADES, at(10))
    reducer.lose(TRADES, at(30))
    reducer.take(mended(TRADES, OUTAGE), is_live=False)
    assert (reducer.is_current, reducer.validity[TRADES].complete_until) == (False, at(10))


def test_a_push_mends_nothing() -> None:
    """Nor does a first part of what was missing."""
    reducer = make()
    reducer.lose(TRADES, at(10))
    reducer.take(push(trade("a", 20)))
    reducer.take(mended(TRADES, None, trade("b")))  # type: ignore[arg-type]
    assert not reducer.is_current


def test_a_gap_that_was_told_is_mended_by_an_event_for_its_window() -> None:
    """And by no other."""
    reducer = make(gap(DISCONNECTED, 10, 20, recovering=True))
    assert reducer.validity[TRADES].waits_for(TRADES) == "user_trades: a gap being mended (lost)"
    reducer.take(mended(TRADES, window(DISCONNECTED, 12, 20)))
    reducer.take(mended(TRADES, window(DISCONNECTED, 10, 19)))
    assert not reducer.is_current
    reducer.take(mended(TRADES, OUTAGE))
    assert reducer.is_current


def test_dropped_trades_are_mended_only_by_what_was_read_for_them() -> None:
    """The library had received them: an outage around them has other ones."""
    reducer = make(gap(OVERFLOW, 12, 13))
    reducer.take(mended(TRADES, OUTAGE))
    assert not reducer.is_current
    reducer.take(mended(TRADES, window(OVERFLOW, 12, 13)))
    assert reducer.is_current


@pytest.mark.parametrize("reason", [OVERFLOW, DISCONNECTED, UNDECODABLE])
def test_any_snapshot_mends_what_no_other_event_will(reason: GapReason) -> None:
    """It is all there is."""
    reducer = make(gap(reason, 10, 20, stream=ORDERS), snapshot(ORDERS))
    assert reducer.is_current


def test_an_unreadable_push_needs_a_snapshot_that_is_younger() -> None:
    """It may have come after the request of the next one."""
    reducer = make(gap(UNDECODABLE, 12, 15, stream=ORDERS, recovering=True), snapshot(ORDERS))
    assert not reducer.is_current
    reducer.take(mended(ORDERS, window(UNDECODABLE, 12, 15)))
    assert reducer.is_current


def test_what_a_category_lacks_is_told_after_the_rows_of_the_others() -> None:
    """And so makes it uncertain again."""
    reducer = make()
    reducer.lose(POSITIONS, at(10))
    reducer.take(mended(POSITIONS, OUTAGE, position("1")))
    reducer.take(gap(DISCONNECTED, 10, 20, stream=POSITIONS))
    assert reducer.validity[POSITIONS].waits_for(POSITIONS) == "positions: a gap not mended (lost)"


def test_a_gap_that_is_told_again_counts_once() -> None:
    """It cannot be recovered any more."""
    reducer = make(gap(DISCONNECTED, 10, 20, recovering=True), gap(DISCONNECTED, 10, 20))
    assert [found.recovering for found in reducer.validity[TRADES].gaps] == [False]


def test_unresolved_orders_make_it_uncertain() -> None:
    """Until a push or a snapshot tells them."""
    found = [order(name) for name in "abcd"]
    reducer = make(snapshot(ORDERS, *found, unresolved=tuple("abcd")))
    assert reducer.validity[ORDERS].waits_for(ORDERS) == "orders: 4 unresolved (a, b, c, ...)"
    reducer.take(push(order("a", "Filled"), order("e")))
    assert reducer.validity[ORDERS].unresolved == ("b", "c", "d")
    reducer.take(push(order("e")))
    assert not reducer.is_current
    reducer.take(snapshot(ORDERS, *found[1:]))
    assert reducer.is_current


def test_the_end_of_a_stream_is_final() -> None:
    """No snapshot makes it current again."""
    reducer = make(gap(GapReason.ENDED, 10, 20, stream=ORDERS), snapshot(ORDERS))
    assert not reducer.is_current
    assert reducer.validity[ORDERS].ended is not None
    assert reducer.validity[ORDERS].waits_for(ORDERS) == "orders: ended (lost)"


def test_gaps_without_end_are_joined() -> None:
    """The window of the joined ones is as wide as theirs."""
    reducer = make(*(gap(UNDECODABLE, number, number + 1) for number in range(500)))
    gaps: tuple[Gap, ...] = reducer.validity[TRADES].gaps
    assert (len(gaps), gaps[0].since, gaps[-1].until) == (100, at(0), at(500))
    assert gaps[0].until == gaps[1].since
